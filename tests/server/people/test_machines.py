"""Machines that come back and go to others: by hand, and whatever HR's nightly file still lists."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from server.people.account_names import machine_trait
from server.people.directory import load_directory
from server.people.facts_store import load_facts
from server.people.flags import UnknownPerson
from server.people.hr_import import ImportOptions, import_people
from server.people.import_report import ImportReport
from server.people.machines import MachineRefused, reissue_machine, return_machine
from server.store.database import Database
from server.store.tables import audit, people_changes
from tests.server.conftest import NOW

pytestmark = pytest.mark.databases("sqlite")
DAY = 86_400_000
STAFF = """id,accounts,devices,notice date,last working day
E1,ann,laptop-7,2026-10-01,2026-11-13
E2,bob,,,
E3,cat,,,
"""


def _import(database: Database, content: str = STAFF, at: int = NOW) -> ImportReport:
    with database.begin() as connection:
        return import_people(
            connection, content.encode(), actor="test", at=at, options=ImportOptions(expect_leavers=9)
        )


def _held(database: Database, person: str) -> list[tuple[str, int | None, int | None]]:
    with database.read() as connection:
        traits = load_facts(connection, [person])[person].traits
    return [(held.name, held.since, held.until) for held in traits]


def _return(database: Database, person: str = "E1", machine: str = "Laptop-7", when: int = NOW - DAY) -> None:
    with database.begin() as connection:
        return_machine(connection, person, machine, when=when, actor="cli:root", at=NOW)


def _reissue(database: Database, person: str, machine: str = "laptop-7", when: int = NOW) -> tuple[str, ...]:
    with database.begin() as connection:
        return reissue_machine(
            connection, machine, person, when=when, actor="cli:root", at=NOW, was_seen=True
        )


@pytest.mark.parametrize(
    ("written", "trait"),
    [
        ("Laptop-7", "host:laptop-7"),
        (" host:Laptop-7 ", "host:laptop-7"),
        ("device:0781:5591:S1", "device:0781:5591:S1"),
        ("DEVICE:0781:5591:S1", "device:0781:5591:S1"),
    ],
)
def test_a_machine_is_named_by_its_host_or_as_a_device(written: str, trait: str) -> None:
    assert machine_trait(written) == trait


def test_what_was_given_back_stays_so_however_long_the_file_lists_it(database: Database) -> None:
    _import(database)
    _return(database)
    assert _held(database, "E1") == [("host:laptop-7", None, NOW - DAY)]
    for night in range(1, 4):
        assert _import(database, at=NOW + night * DAY).changed == 0
    assert _held(database, "E1") == [("host:laptop-7", None, NOW - DAY)]


def test_it_is_the_persons_again_where_the_file_tells_a_later_start(database: Database) -> None:
    _import(database)
    _return(database)
    _import(database, "id,devices,since\nE1,laptop-7,2026-11-25\n", at=NOW + 5 * DAY)
    assert _held(database, "E1") == [
        ("host:laptop-7", None, NOW - DAY),
        ("host:laptop-7", NOW + 3 * DAY, None),
    ]


def test_a_reissued_machine_stays_with_the_next_one_although_the_file_lists_the_last(
    database: Database,
) -> None:
    _import(database)
    assert _reissue(database, "E2") == ("E1",)
    report = _import(database, at=NOW + DAY)
    assert (report.changed, report.problems) == (0, ())
    assert _held(database, "E1") == [("host:laptop-7", None, NOW)]
    assert _held(database, "E2") == [("host:laptop-7", NOW, None)]
    # Who is not in a file stays as they are; the younger binding counts.
    _import(database, "id,devices\nE3,laptop-7\n", at=NOW + 2 * DAY)
    assert _held(database, "E3") == [("host:laptop-7", NOW + 2 * DAY, None)]
    with database.read() as connection:
        holder = load_directory(connection).holder("host:laptop-7", NOW + 3 * DAY)
    assert holder is not None
    assert holder.id == "E3"


def test_it_is_in_the_history_and_on_the_record_by_pseudonym(database: Database) -> None:
    _import(database)
    _return(database)
    _reissue(database, "E2")
    with database.read() as connection:
        ways = connection.execute(select(people_changes.c.way).order_by(people_changes.c.id)).scalars().all()
        rows = connection.execute(select(audit).where(audit.c.action.like("%device"))).all()
    assert ways[3:] == ["device", "device"]
    assert [row.action for row in rows] == ["people.return_device", "people.reissue_device"]
    assert all(row.object.startswith("P-") for row in rows)
    assert "laptop" not in str(rows)


def test_what_cannot_be_is_refused_and_changes_nothing(database: Database) -> None:
    _import(database, STAFF.replace("laptop-7,", "laptop-7,").replace("E2,bob,,", "E2,bob,tablet-2,"))
    before = {person: _held(database, person) for person in ("E1", "E2", "E3")}
    with pytest.raises(MachineRefused, match="E1 has no host:tablet-2; has host:laptop-7"):
        _return(database, machine="tablet-2")
    with pytest.raises(MachineRefused, match="it is yet to come"):
        _return(database, when=NOW + 1)
    with pytest.raises(UnknownPerson, match="nobody has the id E9"):
        _return(database, person="E9")
    with pytest.raises(MachineRefused, match="E1 has left by then"):
        _reissue(database, "E1", "tablet-2")
    with pytest.raises(MachineRefused, match="E2 has host:tablet-2 already"):
        _reissue(database, "E2", "tablet-2")
    assert {person: _held(database, person) for person in ("E1", "E2", "E3")} == before


def test_nobody_gives_back_what_they_only_got_later(database: Database) -> None:
    _import(database)
    _reissue(database, "E2", when=NOW - 2 * DAY)
    with pytest.raises(MachineRefused, match="E2 has host:laptop-7 only since 2026-11-20"):
        _return(database, person="E2", when=NOW - 3 * DAY)
    with pytest.raises(MachineRefused, match="somebody has host:laptop-7 from 2026-11-20 on"):
        _reissue(database, "E3", when=NOW - 3 * DAY)
    assert _held(database, "E2") == [("host:laptop-7", NOW - 2 * DAY, None)]


def test_a_machine_that_nobody_had_is_given_out(database: Database) -> None:
    _import(database)
    assert _reissue(database, "E3", "device:0781:5591:S1") == ()
    assert _held(database, "E3") == [("device:0781:5591:S1", NOW, None)]


def test_a_file_that_never_knew_a_machine_does_not_take_it_by_its_silence(database: Database) -> None:
    _import(database)
    _reissue(database, "E3", "tablet-9")
    assert _import(database, at=NOW + DAY).changed == 0
    assert _held(database, "E3") == [("host:tablet-9", NOW, None)]
