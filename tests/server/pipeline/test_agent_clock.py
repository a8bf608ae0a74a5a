"""Heartbeats that come late, twice or out of order cost no event and hide no newer state."""

from __future__ import annotations

from sqlalchemy import func, select

from event_schema.control_records import CollectorState, Heartbeat
from event_schema.wire import WireRecord
from server.store.tables import agent_findings, agents, channel_days, collector_days, dead_letters
from tests.server.pipeline.conftest import DAY, NOW, NewServer, Server
from tests.server.pipeline.endpoint import Endpoint, copied_file

HOUR = 3_600_000


def _beat(endpoint: Endpoint, sent_at: int, *days_watched: int, backlog: int = 0) -> WireRecord:
    watching = CollectorState(
        name="removable_storage",
        state="running",
        observed=0,
        restarts=0,
        dropped={},
        days_watched=days_watched,
    )
    return endpoint.heartbeat(
        Heartbeat(
            sent_at=sent_at,
            version="0.1.0",
            next_seq=endpoint.next_seq,
            backlog_events=backlog,
            backlog_bytes=0,
            lost_events=0,
            collectors=(watching,),
        )
    )


def _agent(server: Server) -> tuple[int, int, int]:
    """(when heard, backlog it told, clock offset)."""
    with server.database.read() as connection:
        row = connection.execute(select(agents)).one()
    return row.heartbeat_at, row.heartbeat["backlog_events"], row.clock_offset


def test_an_old_heartbeat_sent_again_neither_moves_events_nor_hides_the_newer_state(server: Server) -> None:
    endpoint = Endpoint()
    endpoint.enrol(server.database)
    yesterday = NOW // DAY - 1
    old = _beat(endpoint, NOW - HOUR, yesterday, backlog=7)
    server.take(_beat(endpoint, NOW, backlog=1))
    server.now += 1000
    server.take(old, endpoint.record([copied_file(NOW)]))
    assert _agent(server) == (NOW, 1, 0)
    with server.database.read() as connection:
        assert connection.execute(select(func.count()).select_from(dead_letters)).scalar_one() == 0
        assert connection.execute(select(channel_days.c.last_time)).scalar_one() == NOW
        assert connection.execute(select(collector_days.c.day)).scalar_one() == yesterday
        assert connection.execute(select(agent_findings)).all() == []


def test_a_first_heartbeat_that_was_held_back_for_an_hour_costs_no_event(server: Server) -> None:
    endpoint = Endpoint()
    endpoint.enrol(server.database)
    server.take(_beat(endpoint, NOW - HOUR), endpoint.record([copied_file(NOW - 1000)]))
    server.take(_beat(endpoint, NOW), endpoint.record([copied_file(NOW - 500)]))
    with server.database.read() as connection:
        assert connection.execute(select(func.count()).select_from(dead_letters)).scalar_one() == 0
        assert connection.execute(select(channel_days.c.files, channel_days.c.last_time)).one() == (2, NOW)
    assert _agent(server)[2] == 0


def test_a_clock_that_is_set_back_is_believed_at_the_same_time_whenever_the_server_restarts(
    new_server: NewServer,
) -> None:
    endpoint = Endpoint()
    outcomes = []
    for restarts in (False, True):
        server = new_server()
        endpoint.enrol(server.database)
        server.take(_beat(endpoint, NOW))
        worker, offsets = server.worker(), []
        for step in range(1, 13):
            server.now = NOW + step * 15_000
            server.log.append([_beat(endpoint, server.now - HOUR)])
            if restarts:
                worker = server.worker()
            worker.step(0)
            offsets.append(_agent(server)[2])
        outcomes.append(offsets)
    assert outcomes[0] == outcomes[1] == [0] * 8 + [HOUR] * 4
