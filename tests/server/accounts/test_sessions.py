"""Sessions end by themselves, by hand, and with whatever changes who may sign in."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import Connection, func, select

from server.accounts.session_types import Session
from server.accounts.sessions import (
    PER_USER_MAX,
    begin_session,
    end_session,
    end_sessions,
    find_session,
    list_sessions,
    note_use,
    session_holds,
)
from server.accounts.users import disable, end_all_sessions, required_user, set_role
from server.people.roles import Role
from server.store.database import Database
from server.store.tables import console_sessions
from tests.server.accounts.doors import NOW, door, sign_in, user

MINUTE, HOUR = 60_000, 3_600_000


def _found(database: Database, cookie: str, now: int = NOW) -> Session | None:
    with database.read() as connection:
        return find_session(connection, cookie, now)


def test_a_cookie_finds_its_session_with_who_it_is_and_is_kept_as_a_digest_only(database: Database) -> None:
    user(database, "anna", Role.HR)
    cookie = sign_in(database, "anna").cookie
    found = _found(database, cookie)
    assert found is not None
    assert (found.user, found.role, found.language, found.theme) == ("anna", Role.HR, "en", "auto")
    assert (found.address, found.by_provider, found.ends_at) == ("192.0.2.7", False, NOW + 12 * HOUR)
    with database.read() as connection:
        assert cookie not in repr(connection.execute(select(console_sessions)).all())
    for wrong in ("", cookie[:-1], cookie + "x", "x" * 5000, "\ud800", "\x00"):
        assert _found(database, wrong) is None


def test_a_session_ends_unused_after_an_hour_and_in_any_case_after_twelve(database: Database) -> None:
    user(database, "anna")
    cookie = sign_in(database, "anna").cookie
    assert _found(database, cookie, NOW + HOUR - 1) is not None
    assert _found(database, cookie, NOW + HOUR) is None
    for at in range(NOW + 30 * MINUTE, NOW + 12 * HOUR, 30 * MINUTE):
        session = _found(database, cookie, at)
        assert session is not None
        assert session.is_use_worth_noting(at)
        with database.begin() as connection:
            note_use(connection, session, at)
        again = _found(database, cookie, at)
        assert again is not None
        assert not again.is_use_worth_noting(at + MINUTE - 1)
    assert _found(database, cookie, NOW + 12 * HOUR) is None


def _other_role(connection: Connection) -> None:
    set_role(connection, "anna", Role.HR, now=NOW, actor="user:root")


def _disabled(connection: Connection) -> None:
    disable(connection, "anna", now=NOW, actor="user:root")


def _ended(connection: Connection) -> None:
    assert end_all_sessions(connection, "anna", now=NOW, actor="user:root") == 2


@pytest.mark.parametrize("change", [_other_role, _disabled, _ended])
def test_what_changes_who_may_sign_in_ends_all_sessions_of_that_user_alone(
    database: Database, change: Callable[[Connection], None]
) -> None:
    user(database, "anna")
    user(database, "omar")
    hers, omars = [sign_in(database, "anna").cookie for _ in range(2)], sign_in(database, "omar").cookie
    session = _found(database, hers[0])
    assert session is not None
    with database.begin() as connection:
        change(connection)
        assert not session_holds(connection, session.session_id, NOW)
    assert [_found(database, each) for each in hers] == [None, None]
    assert _found(database, omars) is not None


def test_a_new_password_ends_the_other_sessions(database: Database) -> None:
    anna, at = user(database, "anna"), door()
    first, second = (sign_in(database, "anna", at).cookie for _ in range(2))
    here = _found(database, first)
    assert here is not None
    at.change_password(
        database, anna.id, "anna", "a heron in the reeds", "two herons there", but=here.session_id, now=NOW
    )
    assert _found(database, first) is not None
    assert _found(database, second) is None


def test_one_ends_ones_own_sessions_and_nobody_elses(database: Database) -> None:
    anna, omar = user(database, "anna"), user(database, "omar")
    cookie = sign_in(database, "anna").cookie
    session = _found(database, cookie)
    assert session is not None
    with database.begin() as connection:
        assert not end_session(connection, session.session_id, omar.id, now=NOW, actor="user:omar")
        assert len(list_sessions(connection, anna.id, NOW)) == 1
        assert end_session(connection, session.session_id, anna.id, now=NOW, actor="user:anna")
        assert not end_session(connection, session.session_id, anna.id, now=NOW, actor="user:anna")
        assert list_sessions(connection, anna.id, NOW) == []


def test_sessions_of_a_user_are_bounded_and_old_ones_are_cleared(database: Database) -> None:
    anna = user(database, "anna")
    with database.begin() as connection:
        cookies = [
            begin_session(connection, anna.id, address="", now=NOW + each, lasts_ms=HOUR, idle_ms=HOUR)
            for each in range(PER_USER_MAX + 3)
        ]
        assert len(list_sessions(connection, anna.id, NOW)) == PER_USER_MAX
        assert find_session(connection, cookies[2], NOW) is None
        assert find_session(connection, cookies[3], NOW) is not None
        late = NOW + 48 * HOUR
        begin_session(connection, anna.id, address="", now=late, lasts_ms=HOUR, idle_ms=HOUR)
        assert connection.execute(select(func.count()).select_from(console_sessions)).scalar_one() == 1
        assert end_sessions(connection, required_user(connection, "anna").id) == 1
