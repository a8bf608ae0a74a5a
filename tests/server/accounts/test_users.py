"""Users are added, invited, disabled; an administrator who can sign in is always left."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import select

from server.accounts.invitations import (
    LASTS_MS,
    InvitationEnded,
    accept_invitation,
    find_invitation,
    invite,
    invite_first_administrator,
)
from server.accounts.passwords import PasswordRefused, Passwords
from server.accounts.users import (
    AccountRefused,
    LastAdministrator,
    UnknownUser,
    add_user,
    disable,
    enable,
    has_administrator,
    list_users,
    required_user,
    set_role,
)
from server.people.roles import Role
from server.store.database import Database
from server.store.tables import audit, console_invitations
from tests.server.accounts.doors import NOW, PASSWORD, QUICK, sign_in, user

PASSWORDS = Passwords(QUICK)


def _first(database: Database, now: int = NOW) -> str | None:
    with database.begin() as connection:
        return invite_first_administrator(connection, now=now, actor="leaver up")


def _accept(database: Database, token: str, name: str = "", *, now: int = NOW) -> str:
    return accept_invitation(database, PASSWORDS, token, name=name, password=PASSWORD, now=now)


def test_the_first_administrator_comes_by_a_token_for_one_use(database: Database) -> None:
    token = _first(database)
    assert token is not None
    with database.read() as connection:
        assert token not in repr(connection.execute(select(console_invitations)).all())
    with pytest.raises(PasswordRefused):
        accept_invitation(database, PASSWORDS, token, name="root", password="short", now=NOW)
    with pytest.raises(AccountRefused, match="small letters"):
        _accept(database, token, "Ärger")
    assert _accept(database, token, "Root") == "root"
    with pytest.raises(InvitationEnded):
        _accept(database, token, "second")
    assert sign_in(database, "root").user == "root"
    with database.read() as connection:
        assert [(each.name, each.role) for each in list_users(connection)] == [("root", Role.ADMINISTRATOR)]
        assert token not in repr(connection.execute(select(audit)).all())
    assert _first(database) is None


def test_a_token_of_the_first_administrator_ends_with_the_next_one_a_day_and_another_administrator(
    database: Database,
) -> None:
    before, token = _first(database), _first(database)
    assert before is not None
    assert token is not None
    for wrong, now in ((before, NOW), (token, NOW + LASTS_MS), ("", NOW), ("x" * 500, NOW), ("\ud800", NOW)):
        with pytest.raises(InvitationEnded):
            _accept(database, wrong, "root", now=now)
    user(database, "other", Role.ADMINISTRATOR)
    with pytest.raises(InvitationEnded):
        _accept(database, token, "root")


def test_who_is_invited_sets_a_password_once_and_is_nobody_elses_name(database: Database) -> None:
    with database.begin() as connection:
        added = add_user(connection, "anna", Role.HR, now=NOW, actor="user:root")
        assert (added.state, added.can_sign_in) == ("invited", False)
        first = invite(connection, "anna", now=NOW, actor="user:root")
        second = invite(connection, "anna", now=NOW, actor="user:root")
        with pytest.raises(AccountRefused, match="already"):
            add_user(connection, "anna", Role.HR, now=NOW, actor="user:root")
        with pytest.raises(UnknownUser):
            invite(connection, "nobody", now=NOW, actor="user:root")
    with pytest.raises(InvitationEnded):
        _accept(database, first)
    assert _accept(database, second, "administrator") == "anna"
    with database.read() as connection:
        anna = required_user(connection, "anna")
        assert (anna.role, anna.state) == (Role.HR, "active")
        assert find_invitation(connection, second, NOW) is None


def test_who_was_disabled_meanwhile_is_not_let_in_by_an_invitation(database: Database) -> None:
    user(database, "anna")
    with database.begin() as connection:
        token = invite(connection, "anna", now=NOW, actor="user:root")
        disable(connection, "anna", now=NOW, actor="user:root", reason="left")
    with pytest.raises(InvitationEnded):
        _accept(database, token)
    with database.begin() as connection:
        with pytest.raises(AccountRefused, match="disabled"):
            invite(connection, "anna", now=NOW, actor="user:root")
        enable(connection, "anna", now=NOW, actor="user:root")
    assert sign_in(database, "anna").user == "anna"


def test_the_last_administrator_who_can_sign_in_stays_one(database: Database) -> None:
    user(database, "root", Role.ADMINISTRATOR)
    with database.begin() as connection:
        add_user(connection, "invited", Role.ADMINISTRATOR, now=NOW, actor="user:root")
        with pytest.raises(LastAdministrator):
            disable(connection, "root", now=NOW, actor="user:root")
        with pytest.raises(LastAdministrator):
            set_role(connection, "root", Role.HR, now=NOW, actor="user:root")
        disable(connection, "invited", now=NOW, actor="user:root")
        assert has_administrator(connection)


def test_two_administrators_who_disable_each_other_at_once_leave_one(database: Database) -> None:
    for name in ("anna", "omar"):
        user(database, name, Role.ADMINISTRATOR)
    together, refused = threading.Barrier(2), []

    def disable_one(name: str, by: str) -> None:
        together.wait(10)
        try:
            with database.begin() as connection:
                disable(connection, name, now=NOW, actor=f"user:{by}")
        except LastAdministrator:
            refused.append(name)

    threads = [
        threading.Thread(target=disable_one, args=pair) for pair in (("anna", "omar"), ("omar", "anna"))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(refused) == 1
    with database.read() as connection:
        assert [each.name for each in list_users(connection) if each.can_sign_in] == refused


def test_every_change_is_on_record(database: Database) -> None:
    user(database, "root", Role.ADMINISTRATOR)
    user(database, "anna")
    with database.begin() as connection:
        set_role(connection, "anna", Role.AUDITOR, now=NOW, actor="user:root")
        set_role(connection, "anna", Role.AUDITOR, now=NOW, actor="user:root")
        disable(connection, "anna", now=NOW, actor="user:root", reason="left")
        disable(connection, "anna", now=NOW, actor="user:root", reason="again")
        enable(connection, "anna", now=NOW, actor="user:root")
    with database.read() as connection:
        about = audit.c.object == "user:anna"
        rows = connection.execute(select(audit.c.actor, audit.c.action, audit.c.reason).where(about)).all()
    assert [tuple(row) for row in rows] == [
        ("cli:root", "user.add", None),
        ("cli:root", "user.invite", None),
        ("user:anna", "user.password", None),
        ("user:root", "user.role", None),
        ("user:root", "user.disable", "left"),
        ("user:root", "user.enable", None),
    ]
