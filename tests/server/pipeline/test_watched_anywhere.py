"""On which days collectors that see the whole company ran, as every worker knows it."""

from __future__ import annotations

import pytest
from sqlalchemy import delete, select

from event_schema.control_records import CollectorState, Heartbeat
from server.pipeline.activity_history import ANYWHERE, FEEDING
from server.pipeline.memory import Memory
from server.pipeline.watched_anywhere import WatchedAnywhere
from server.store.tables import agents, collector_days, days_watched_anywhere
from tests.server.pipeline.conftest import DAY, NOW, Server
from tests.server.pipeline.endpoint import Endpoint, copied_file
from tests.server.pipeline.scored_company import (
    TODAY,
    account_of,
    learnt_company,
    learnt_models,
    stored_anomalies,
)

SINCE = TODAY - 120
pytestmark = pytest.mark.databases("sqlite")


def _heartbeat(*days: int, collectors: tuple[str, ...] = ("mail",)) -> Heartbeat:
    states = tuple(
        CollectorState(name=name, state="running", observed=0, restarts=0, dropped={}, days_watched=days)
        for name in collectors
    )
    return Heartbeat(
        sent_at=NOW,
        version="0.1.0",
        next_seq=0,
        backlog_events=0,
        backlog_bytes=0,
        lost_events=0,
        collectors=states,
    )


def _stored(server: Server) -> list[tuple[str, int]]:
    with server.database.read() as connection:
        row = days_watched_anywhere.c
        return [(each.collector, each.day) for each in connection.execute(select(row.collector, row.day))]


@pytest.mark.databases("sqlite", "postgresql")
def test_each_day_is_kept_once_whichever_machines_tell_it(server: Server) -> None:
    mx, spare = Endpoint("mx"), Endpoint("spare", epoch="e" * 16)
    for endpoint in (mx, spare):
        endpoint.enrol(server.database)
        server.take(
            endpoint.heartbeat(_heartbeat(TODAY - 1, TODAY, collectors=("mail", "removable_storage")))
        )
    assert sorted(_stored(server)) == [("mail", TODAY - 1), ("mail", TODAY)]
    assert {"mail"} == ANYWHERE & {"mail", "removable_storage"}
    assert ANYWHERE < FEEDING


def test_what_another_worker_wrote_is_taken_over_and_what_was_never_written_is_forgotten(
    server: Server,
) -> None:
    first, other = WatchedAnywhere(), WatchedAnywhere()
    with server.database.read() as connection:
        for each in (first, other):
            assert each.refresh(connection, SINCE) is None
    assert first.add("mail", [TODAY, TODAY - 3]) == [TODAY - 3, TODAY]
    assert first.add("mail", [TODAY]) == []
    assert first.add("removable_storage", [TODAY]) == []
    with server.database.begin() as connection:
        connection.execute(days_watched_anywhere.insert(), first.rows())
    first.written()
    other.add("printing", [TODAY - 7])
    with server.database.read() as connection:
        assert first.refresh(connection, SINCE) is None
        # Its own batch failed: that day is not known, and what was measured with it is stale.
        assert other.refresh(connection, SINCE) == TODAY - 7
        assert other.refresh(connection, SINCE) is None
        assert first.refresh(connection, SINCE + 1) is None
    assert dict(other.days) == dict(first.days) == {"mail": {TODAY - 3, TODAY}}
    with server.database.begin() as connection:
        connection.execute(delete(days_watched_anywhere).where(days_watched_anywhere.c.day < TODAY))
    with server.database.read() as connection:
        assert first.refresh(connection, TODAY) is None
    assert dict(first.days) == {"mail": {TODAY}}


def test_a_memory_knows_the_days_that_models_look_at_and_no_more(server: Server) -> None:
    days = [TODAY - 200, TODAY - 121, TODAY - 120, TODAY]
    with server.database.begin() as connection:
        connection.execute(agents.insert().values(name="mx", created_at=0, enrolled_at=0))
        told = [{"agent": "mx", "collector": "mail", "day": day} for day in days]
        connection.execute(collector_days.insert(), told)
        anywhere = [{"collector": "mail", "day": day} for day in days]
        connection.execute(days_watched_anywhere.insert(), anywhere)
    with server.database.read() as connection:
        memory = Memory(connection, server.clock)
        memory.look_at_agents(connection, ["mx"])
    assert memory.watched_anywhere() == {"mail": {TODAY - 120, TODAY}}
    assert memory.agents["mx"].watched == {"mail": {TODAY - 120, TODAY}}


def test_a_silence_that_is_told_of_late_counts_for_what_is_scored_after_it(server: Server) -> None:
    """A collector ran, and nobody had said so: then what it saw is rarer than it seemed."""
    learnt_company(server.database, learnt_models()[0])
    with server.database.begin() as connection:
        # Of the machine on which everybody was seen.
        for table in (collector_days, days_watched_anywhere):
            connection.execute(delete(table).where(table.c.collector == "removable_storage"))
    endpoint = Endpoint("laptop-1")
    endpoint.enrol(server.database)
    copies = [copied_file(NOW - 1000 + n, size=10**7, account=account_of(3), name=f"{n}") for n in range(2)]
    server.take(endpoint.record(copies[:1]))
    with server.database.read() as connection:
        (before,) = stored_anomalies(connection)
    told = range(NOW // DAY - 89, NOW // DAY)
    server.take(endpoint.heartbeat(_heartbeat(*told, collectors=("removable_storage",))))
    server.take(endpoint.record(copies[1:]))
    with server.database.read() as connection:
        (after,) = stored_anomalies(connection)
    assert after["evidence"] != before["evidence"]
