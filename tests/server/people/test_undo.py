"""An import is undone whole, or, where something stands on it, not at all."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from server.erasure.undone_imports import undo_import
from server.people.directory import load_directory
from server.people.facts import Holding, LeaverFlag
from server.people.facts_store import load_facts
from server.people.flags import flag_person, unflag_person
from server.people.hr_import import ImportOptions, import_people
from server.people.import_report import ImportReport
from server.people.undo import CannotUndo, UnknownImport, list_imports
from server.store.database import Database
from server.store.tables import accounts, audit


def _import(database: Database, text: str, at: int) -> ImportReport:
    with database.begin() as connection:
        options = ImportOptions(skip_bad_rows=True)
        return import_people(connection, text.encode(), actor="cli:hr", at=at, options=options)


def _undo(database: Database, number: int, at: int = 9000) -> tuple[int, int]:
    with database.begin() as connection:
        done = undo_import(connection, number, actor="cli:hr", at=at)
    return done.removed, done.restored


def _everything(database: Database) -> object:
    with database.read() as connection:
        return load_facts(connection), connection.execute(select(accounts.c.account)).scalars().all()


HEADER = "id,name,accounts,devices,manager,last working day,last hour\n"
FIRST = HEADER + "1,Ada,ada desk,pc-1,,,\n2,Bob,bob,pc-2,1,2026-11-30,17:00\n"
SECOND = HEADER + "1,Ada B,ada,pc-2,,2026-12-24,\n2,Bob,bob desk,,1,,\n3,Cy,cy,,1,,\n"


def test_everybody_is_again_as_before_and_whom_it_brought_is_gone(database: Database) -> None:
    _import(database, FIRST, 1000)
    before = _everything(database)
    _import(database, SECOND, 2000)
    assert _everything(database) != before
    assert _undo(database, 2) == (1, 2)
    assert _everything(database) == before
    # And the first one too: what came after it was taken back.
    assert _undo(database, 1) == (2, 0)
    assert _everything(database) == ({}, [])
    with database.read() as connection:
        assert [(each.id, each.undone_at) for each in list_imports(connection)] == [(2, 9000), (1, 9000)]
        actions = connection.execute(select(audit.c.action).order_by(audit.c.seq)).scalars().all()
    assert actions == ["people.import", "people.import", "people.undo", "people.undo"]


def test_a_handover_is_undone_as_if_it_had_never_been(database: Database) -> None:
    _import(database, FIRST, 1000)
    _import(database, SECOND, 2000)
    with database.read() as connection:
        known = load_facts(connection)
        directory = load_directory(connection)
    assert Holding("desk", until=2000) in known["1"].accounts
    assert Holding("desk", since=2000) in known["2"].accounts
    owners = [directory.person_by_account("desk", None, at) for at in (1999, 2000)]
    assert [owner.id for owner in owners if owner] == ["1", "2"]
    assert directory.holder("host:pc-2", 2000) == directory.person("1")
    _undo(database, 2)
    with database.read() as connection:
        directory = load_directory(connection)
    assert directory.person_by_account("desk", None, 10**12) == directory.person("1")
    assert directory.holder("host:pc-2", 10**12) == directory.person("2")


def test_an_import_on_which_a_later_change_stands_is_not_undone(database: Database) -> None:
    _import(database, FIRST, 1000)
    _import(database, "id,department\n2,Sales\n", 2000)
    with pytest.raises(CannotUndo, match=r"1 of its people were changed since: 2 \(import 2\)"):
        _undo(database, 1)
    with database.begin() as connection:
        flag_person(connection, "2", LeaverFlag(20_500), actor="x", at=3000, reason=None)
    with pytest.raises(CannotUndo, match=r"2 \(flag\)"):
        _undo(database, 2)
    with database.begin() as connection:
        unflag_person(connection, "2", actor="x", at=4000, reason=None)
    assert _undo(database, 2) == (0, 1)


def test_an_import_whose_people_lead_others_by_now_is_not_undone(database: Database) -> None:
    _import(database, "id\n1\n", 1000)
    _import(database, "id\n5\n", 2000)
    _import(database, "id,manager\n1,5\n", 3000)
    with pytest.raises(CannotUndo, match="1 is led by 5, whom it brought"):
        _undo(database, 2)


def test_an_import_whose_account_somebody_else_has_by_now_is_not_undone(database: Database) -> None:
    _import(database, "id,accounts\n1,desk\n", 1000)
    _import(database, "id,accounts\n1,\n", 2000)
    _import(database, "id,accounts\n2,desk\n", 3000)
    with pytest.raises(CannotUndo, match="2 has the account desk by now, which would go back to 1"):
        _undo(database, 2)


def test_twice_stopped_or_unknown_ones_are_not_undone(database: Database) -> None:
    _import(database, "id\n1\n", 1000)
    _undo(database, 1)
    with pytest.raises(CannotUndo, match="undone before"):
        _undo(database, 1)
    with pytest.raises(UnknownImport, match="there is no import 7"):
        _undo(database, 7)
    with database.begin() as connection:
        import_people(connection, b"id,priority\n\n,\n2,1\n2,2\n", actor="x", at=1)
    with pytest.raises(CannotUndo, match="nothing of import 2 was taken over"):
        _undo(database, 2)
