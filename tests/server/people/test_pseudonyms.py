"""Pseudonyms stay, differ, say nothing, and are undone only with a reason, on the record."""

from __future__ import annotations

import pytest
from sqlalchemy import func, insert, select

from server import audit
from server.people.hr_import import import_people
from server.people.pseudonyms import (
    UnknownPseudonym,
    candidate,
    give_pseudonyms,
    known_pseudonyms,
    label,
    pseudonym,
    pseudonym_key,
    shown_names,
    unmask,
)
from server.store.database import Database
from server.store.tables import audit as audit_table
from server.store.tables import pseudonyms


def _give(database: Database, subject: str) -> str:
    with database.begin() as connection:
        return pseudonym(connection, subject)


def test_pseudonym_stays_the_same_and_says_whether_it_is_a_person(database: Database) -> None:
    person = _give(database, "person:1007")
    assert person == _give(database, "person:1007")
    assert person.startswith("P-")
    assert len(person) == 7
    assert not set(person[2:]) & set("OILU")
    assert _give(database, "account:1007").startswith("A-")


def test_two_installations_give_different_pseudonyms(database: Database) -> None:
    with database.begin() as connection:
        key = pseudonym_key(connection)
        assert pseudonym_key(connection) == key
    assert len(key) == 32
    assert candidate(key, "person:1") != candidate(bytes(32), "person:1")
    assert label(key, "H", "laptop") != label(key, "D", "laptop")


def test_collision_makes_the_later_one_longer(database: Database) -> None:
    with database.begin() as connection:
        short = candidate(pseudonym_key(connection), "person:1007")
        connection.execute(insert(pseudonyms).values(subject="person:other", pseudonym=short))
    longer = _give(database, "person:1007")
    assert longer.startswith(short)
    assert len(longer) == len(short) + 1
    assert _give(database, "person:other") == short


def test_ten_thousand_pseudonyms_differ(database: Database) -> None:
    with database.begin() as connection:
        given = give_pseudonyms(connection, [f"person:{number}" for number in range(10_000)])
        assert pseudonym(connection, "person:77") == given["person:77"]
    assert len(set(given.values())) == 10_000


def test_reading_needs_no_write_once_all_are_given(database: Database) -> None:
    subjects = [f"person:{number}" for number in range(1200)]
    _, first = shown_names(database, subjects)
    with database.begin():  # a second writer would have to wait, and fail
        _, second = shown_names(database, subjects)
    assert first == second
    with database.read() as connection:
        assert known_pseudonyms(connection, ["person:3", "person:none"]) == {"person:3": first["person:3"]}


def test_unmasking_needs_a_reason_and_leaves_a_row(database: Database) -> None:
    text = b"id,name,accounts\n1007,Alice Wang,alice CORP\\alice\n"
    with database.begin() as connection:
        import_people(connection, text, actor="cli:hr", at=1)
        shown = pseudonym(connection, "person:1007")
    with pytest.raises(ValueError, match="reason"), database.begin() as connection:
        unmask(connection, shown, actor="cli:omar", at=2, reason="  ")
    with database.begin() as connection:
        found = unmask(connection, shown.lower(), actor="cli:omar", at=2, reason="case 42")
    assert (found.name, found.accounts, found.subject) == (
        "Alice Wang",
        ("alice", "corp\\alice"),
        "person:1007",
    )
    with database.read() as connection:
        last = connection.execute(select(audit_table).order_by(audit_table.c.seq.desc())).first()
        assert audit.verify(connection) is None
    assert last is not None
    assert (last.actor, last.action, last.object, last.reason) == (
        "cli:omar", "pseudonym.unmask", shown, "case 42",
    )  # fmt: skip


def test_mistyped_letters_that_the_alphabet_leaves_out_are_understood(database: Database) -> None:
    with database.begin() as connection:
        connection.execute(insert(pseudonyms).values(subject="person:7", pseudonym="P-10A1B"))
        assert unmask(connection, "p-IoAlb", actor="a", at=1, reason="r").subject == "person:7"


def test_unknown_pseudonym_is_said_and_leaves_no_row(database: Database) -> None:
    with pytest.raises(UnknownPseudonym, match="P-ZZZZZ"), database.begin() as connection:
        unmask(connection, "P-ZZZZZ", actor="a", at=1, reason="r")
    with database.read() as connection:
        assert connection.execute(select(func.count()).select_from(audit_table)).scalar_one() == 0


def test_account_of_nobody_unmasks_to_itself(database: Database) -> None:
    shown = _give(database, "account:printer")
    with database.begin() as connection:
        found = unmask(connection, shown, actor="a", at=1, reason="r")
    assert (found.name, found.accounts) == (None, ("printer",))
