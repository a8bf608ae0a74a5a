"""Signing off: by whom, about which leaving, on the record without a name, and taken back."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from server.people.hr_import import ImportOptions, import_people
from server.people.leaver_ledger import load_leaver, signed_off
from server.people.leaving import Leaver
from server.people.roles import NotAllowed, Role
from server.people.sign_offs import CannotSign, Item, SignOff, sign_off, take_back
from server.store.database import Database
from server.store.tables import audit
from tests.server.conftest import NOW

pytestmark = pytest.mark.databases("sqlite")
GONE = "id,name,accounts,notice date,last working day\nE1,Ann Example,ann,2026-10-01,2026-11-13\n"


def _import(database: Database, content: str) -> None:
    with database.begin() as connection:
        import_people(
            connection, content.encode(), actor="test", at=NOW, options=ImportOptions(expect_leavers=9)
        )


def _leaving(database: Database) -> Leaver:
    with database.read() as connection:
        found = load_leaver(connection, "E1", NOW)
    assert found is not None
    return found


def _sign(database: Database, item: Item, role: Role, note: str | None = None) -> None:
    leaving = _leaving(database)
    with database.begin() as connection:
        sign_off(connection, leaving, item, role=role, actor="cli:root", at=NOW, note=note)


def _signed(database: Database) -> tuple[SignOff, ...]:
    leaving = _leaving(database)
    with database.read() as connection:
        return signed_off(connection, [leaving]).get("E1", ())


def test_who_when_and_why_are_kept_in_the_order_of_the_items(database: Database) -> None:
    _import(database, GONE)
    _sign(database, Item.ACCOUNTS, Role.ADMINISTRATOR, "mail is kept until 4 December for Ann's successor")
    _sign(database, Item.DATES, Role.HR)
    first, second = _signed(database)
    assert first == SignOff(Item.DATES, Role.HR, NOW, "cli:root", None)
    assert (second.item, second.note) == (
        Item.ACCOUNTS,
        "mail is kept until 4 December for Ann's successor",
    )


def test_what_is_open_needs_a_note_that_says_why(database: Database) -> None:
    _import(database, GONE)
    with pytest.raises(CannotSign, match="1 of the accounts is open: a note has to say why"):
        _sign(database, Item.ACCOUNTS, Role.ADMINISTRATOR)
    _sign(database, Item.DEVICES, Role.HR)
    assert [each.item for each in _signed(database)] == [Item.DEVICES]


@pytest.mark.parametrize(
    ("item", "role"),
    [
        (Item.DATES, Role.ADMINISTRATOR),
        (Item.DATES, Role.ANALYST),
        (Item.ACCOUNTS, Role.HR),
        (Item.DEVICES, Role.ANALYST),
        (Item.SECRETS, Role.HR),
        (Item.ACTIVITY, Role.HR),
        (Item.ACTIVITY, Role.ADMINISTRATOR),
    ],
)
def test_nobody_signs_or_takes_back_what_is_not_theirs(database: Database, item: Item, role: Role) -> None:
    _import(database, GONE)
    with pytest.raises(NotAllowed, match="that is for"):
        _sign(database, item, role, "x")
    with database.begin() as connection, pytest.raises(NotAllowed):
        take_back(connection, "E1", item, role=role, actor="x", at=NOW)
    assert _signed(database) == ()


def test_a_last_day_that_changes_has_to_be_signed_anew(database: Database) -> None:
    _import(database, GONE)
    _sign(database, Item.DATES, Role.HR)
    _import(database, GONE.replace("2026-11-13", "2026-11-20"))
    assert _signed(database) == ()
    # The hour alone does not matter.
    _sign(database, Item.DATES, Role.HR)
    _import(database, "id,last working day,last hour\nE1,2026-11-20,17:30\n")
    assert [each.item for each in _signed(database)] == [Item.DATES]


def test_taken_back_it_is_gone_and_the_trail_has_both_without_a_name_or_a_note(database: Database) -> None:
    _import(database, GONE)
    _sign(database, Item.ACCOUNTS, Role.ADMINISTRATOR, "agreed with Ann Example")
    with database.begin() as connection:
        take_back(connection, "E1", Item.ACCOUNTS, role=Role.ADMINISTRATOR, actor="cli:bob", at=NOW + 1)
    assert _signed(database) == ()
    with database.begin() as connection, pytest.raises(CannotSign, match="IT did not sign off the accounts"):
        take_back(connection, "E1", Item.ACCOUNTS, role=Role.ADMINISTRATOR, actor="cli:bob", at=NOW + 1)
    with database.read() as connection:
        rows = connection.execute(select(audit).where(audit.c.action.like("leaver.%"))).all()
    assert [(row.action, row.actor) for row in rows] == [
        ("leaver.sign_off", "cli:root"),
        ("leaver.take_back", "cli:bob"),
    ]
    assert rows[0].detail == {
        "item": "accounts",
        "role": "administrator",
        "last_day": "2026-11-13",
        "open": 1,
    }
    assert "Ann" not in str(rows)
    assert "E1" not in str(rows)
    assert rows[0].object.startswith("P-")


def test_without_a_last_day_there_is_nothing_to_sign(database: Database) -> None:
    _import(database, "id,notice date\nE1,2026-11-01\n")
    with pytest.raises(CannotSign, match="no last working day is known yet"):
        _sign(database, Item.DATES, Role.HR)


def test_several_roles_may_sign_one_item_each_for_itself(database: Database) -> None:
    _import(database, GONE)
    _sign(database, Item.ACCOUNTS, Role.ADMINISTRATOR, "a")
    _sign(database, Item.ACCOUNTS, Role.ANALYST, "b")
    _sign(database, Item.ACCOUNTS, Role.ANALYST, "c")
    assert [(each.role, each.note) for each in _signed(database)] == [
        (Role.ADMINISTRATOR, "a"),
        (Role.ANALYST, "c"),
    ]
