"""Whatever rosters come: the same again changes nothing, undo brings all back, no account has two owners."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection

from server.erasure.undone_imports import undo_import
from server.people.directory import load_directory
from server.people.directory_changes import newer_directory
from server.people.facts import PersonFacts
from server.people.facts_store import load_facts
from server.people.hr_import import ImportOptions, import_people
from server.people.import_report import ImportReport
from server.store.database import open_database, upgrade
from tests.server.people.directories import answers

pytestmark = pytest.mark.databases("sqlite")

_ids = st.sampled_from("123")
_names = st.lists(st.sampled_from(["a", "b", "c", "d"]), max_size=3).map(
    lambda names: " ".join(sorted(set(names)))
)
_dates = st.sampled_from(["", "2026-10-01", "2026-11-30", "2026-12-24", "soon"])
_rows = st.tuples(_ids, _names, _names, _dates, _dates, st.sampled_from(["", "1", "2", "3", "9"]))
_rosters = st.lists(st.lists(_rows, min_size=1, max_size=4), min_size=1, max_size=4)
HEADER = "id,accounts,devices,notice date,last working day,manager"


class _RolledBack(Exception):
    pass


def _import(connection: Connection, rows: list[tuple[str, ...]], at: int) -> ImportReport:
    text = "\n".join((HEADER, *(",".join(row) for row in rows))) + "\n"
    options = ImportOptions(skip_bad_rows=True, expect_leavers=9, expect_withdrawn=9)
    return import_people(connection, text.encode(), actor="test", at=at, options=options)


def _check_owners(known: dict[str, PersonFacts]) -> None:
    held = [(name, each) for person in known.values() for each in person.accounts for name in [each.name]]
    for name, one in held:
        for other, two in held:
            if name == other and one is not two:
                ends = [each.until if each.until is not None else 2**60 for each in (one, two)]
                begins = [each.since or 0 for each in (one, two)]
                assert max(begins) >= min(ends), (one, two)


@given(_rosters)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_rosters_one_after_the_other(tmp_path: Path, rosters: list[list[tuple[str, ...]]]) -> None:
    database = open_database(f"sqlite:///{tmp_path}/any.db", clock=lambda: 0)
    upgrade(database)
    try:
        with database.begin() as connection:
            kept = load_directory(connection)
            for number, rows in enumerate(rosters):
                before = load_facts(connection)
                report = _import(connection, rows, 1000 + number)
                after = load_facts(connection)
                _check_owners(after)
                assert report.added + report.changed == len(
                    {key for key in after if after[key] != before.get(key)}
                )
                again = _import(connection, rows, 1000 + number)
                assert (again.added, again.changed) == (0, 0)
                assert report.import_id is not None
                undo_import(connection, report.import_id, actor="test", at=5000)
                assert load_facts(connection) == before
                _import(connection, rows, 1000 + number)
                assert load_facts(connection) == after
                kept = newer_directory(connection, kept)
                assert answers(kept) == answers(load_directory(connection))
            assert {record.name for record in load_directory(connection).accounts()} <= {"a", "b", "c", "d"}
            raise _RolledBack
    except _RolledBack:
        pass
    finally:
        database.close()
