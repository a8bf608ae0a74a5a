"""The fleet: who is how, the worst first; gaps; whose machine it is."""

from __future__ import annotations

from typing import Any

from sqlalchemy import insert, update

from server.agents.fleet import DAY_MS, Standing, days_watched, read_fleet
from server.console.fleet_reading import FleetFilter, fleet_page
from server.people.directory import load_directory
from server.people.hr_import import import_people
from server.store.database import Database
from server.store.tables import agents, collector_days, subject_agents
from tests.server.conftest import NOW

HOUR = 3_600_000
TODAY = NOW // DAY_MS
PEOPLE = """id,name,accounts,devices,department,notice date,last working day
E1,Alice Wang,alice,laptop-1,Sales,2026-11-01,2026-11-28
E2,Berta Braun,berta,,Sales,,
"""


def beat(**more: Any) -> dict[str, Any]:
    return {"version": "0.1.0", "backlog_events": 0, "backlog_bytes": 0, "lost_events": 0, **more}


def add(database: Database, name: str, heard: int | None, heartbeat: dict[str, Any] | None = None) -> None:
    with database.begin() as connection:
        connection.execute(
            insert(agents).values(
                name=name,
                created_at=0,
                enrolled_at=NOW - 9 * DAY_MS,
                clock_offset=0,
                heartbeat_at=heard,
                heartbeat=None if heard is None else heartbeat or beat(),
            )
        )


def test_each_agent_has_the_standing_that_its_last_word_gives_it(database: Database) -> None:
    add(database, "reports", NOW - 10_000)
    add(database, "is-late", NOW - HOUR)
    add(database, "is-silent", NOW - 25 * HOUR)
    add(database, "never-spoke", None)
    add(database, "was-stopped", NOW - 48 * HOUR, beat(stopping=True))
    add(database, "was-revoked", NOW - 10_000)
    with database.begin() as connection:
        connection.execute(update(agents).where(agents.c.name == "was-revoked").values(revoked_at=NOW))
        found = read_fleet(connection, load_directory(connection), now=NOW)
    assert [(agent.name, agent.standing) for agent in found] == [
        ("is-silent", Standing.SILENT),
        ("never-spoke", Standing.NEVER),
        ("is-late", Standing.LATE),
        ("was-stopped", Standing.STOPPED),
        ("reports", Standing.REPORTING),
        ("was-revoked", Standing.REVOKED),
    ]


def test_leavers_machines_come_first_among_those_that_are_alike(database: Database) -> None:
    with database.begin() as connection:
        import_people(connection, PEOPLE.encode(), actor="test", at=NOW)
        connection.execute(insert(subject_agents).values(subject="person:E2", agent="desk-9", first_time=NOW))
    for name in ("laptop-1", "desk-9", "a-machine"):
        add(database, name, NOW)
    with database.read() as connection:
        found = read_fleet(connection, load_directory(connection), now=NOW)
    assert [agent.name for agent in found] == ["laptop-1", "a-machine", "desk-9"]
    assert (found[0].person, found[0].department, found[0].days_to_last_day) == ("E1", "Sales", 6)
    assert found[0].is_leavers
    assert found[1].person is None
    assert (found[2].person, found[2].is_leavers) == ("E2", False)


def test_gaps_are_days_without_a_collector_up_to_yesterday(database: Database) -> None:
    add(database, "laptop-1", NOW)
    add(database, "never-watched", NOW)
    add(database, "never-spoke", None)
    with database.begin() as connection:
        for day in (TODAY - 6, TODAY - 5, TODAY - 2):
            connection.execute(
                insert(collector_days).values(agent="laptop-1", collector="removable_storage", day=day)
            )
        connection.execute(
            update(agents).where(agents.c.name == "never-watched").values(enrolled_at=NOW - 3 * DAY_MS)
        )
        found = {each.name: each for each in read_fleet(connection, load_directory(connection), now=NOW)}
        watched = days_watched(connection, "laptop-1", now=NOW)
    assert found["laptop-1"].gaps == (TODAY - 7, TODAY - 4, TODAY - 3, TODAY - 1)
    assert found["never-watched"].gaps == (TODAY - 2, TODAY - 1)
    assert found["never-spoke"].gaps == ()
    assert len(watched) == 14
    assert [day for day, names in watched.items() if names] == [TODAY - 6, TODAY - 5, TODAY - 2]


def test_pages_neither_repeat_nor_skip_while_agents_change_places(database: Database) -> None:
    for number in range(230):
        add(database, f"host-{number:03}", NOW)
    with database.read() as connection:
        first = read_fleet(connection, load_directory(connection), now=NOW)
    one = fleet_page(first, FleetFilter())
    assert one.next_after is not None
    with database.begin() as connection:
        connection.execute(update(agents).where(agents.c.name == one.agents[-1].name).values(revoked_at=NOW))
        later = read_fleet(connection, load_directory(connection), now=NOW)
    two = fleet_page(later, FleetFilter(standing="reporting"), one.next_after)
    assert [agent.name for agent in two.agents] == [f"host-{number:03}" for number in range(100, 200)]
    assert fleet_page(first, FleetFilter(), "no place").agents == one.agents


def test_what_an_agent_says_of_itself_is_not_repeated_on_trust(database: Database) -> None:
    collectors = [
        {"name": "removable_storage", "state": "running", "observed": 3, "restarts": 0, "detail": "fanotify"},
        {"name": "<b>evil</b>", "state": "failed", "observed": 0, "restarts": 2, "dropped": {"a\x1b[0m": 4}},
    ]
    add(database, "laptop-1", NOW, beat(collectors=collectors, version="\x1b]0;evil"))
    with database.read() as connection:
        (found,) = read_fleet(connection, load_directory(connection), now=NOW)
    assert [each.name for each in found.collectors] == ["removable_storage", "other"]
    assert found.not_running == ("other",)
    assert "\x1b" not in "".join(found.collectors[1].dropped)
    assert found.version == "odd"
