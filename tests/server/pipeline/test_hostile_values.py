"""What a hostile or broken endpoint may say within the schema is stored or set aside, on both databases.

PostgreSQL takes no U+0000 in text, enforces lengths and refuses numbers over 64 bits; SQLite does neither,
or not then. The pipeline must not stop on one of them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import select

from event_schema.control_records import CollectorState, Heartbeat
from event_schema.ocsf_events import Event, event_metadata
from event_schema.wire import RecordKind, WireRecord, pack_control
from server.alerts.views import alert_detail, alert_views
from server.config import RetentionConfig
from server.pipeline.day_sums import DAY_BYTES_MAX
from server.status import read_status
from server.store.column_types import WHOLE_MAX
from server.store.tables import (
    agent_epochs,
    agent_findings,
    channel_days,
    collector_days,
    dead_letters,
    subject_events,
    subject_places,
)
from tests.server.pipeline.conftest import DAY, NOW, Server
from tests.server.pipeline.endpoint import Endpoint, copied_file

TODAY = NOW // DAY


@pytest.fixture
def endpoint(server: Server) -> Endpoint:
    made = Endpoint()
    made.enrol(server.database)
    server.employ("p1", "alice", notice_date=TODAY - 10, last_working_day=TODAY + 6)
    return made


def _rows(server: Server, table: Any) -> list[Any]:
    with server.database.read() as connection:
        return list(connection.execute(select(table)))


def _seen_by(event: Event, collector: str) -> Event:
    return msgspec.structs.replace(event, metadata=event_metadata(collector, "0.1.0"))


def test_zero_characters_in_names_are_kept_as_data_and_found_again_after_a_restart(
    server: Server, endpoint: Endpoint
) -> None:
    def odd(time: int) -> Event:
        return copied_file(time, name="a\0b.csv", device="0781:5591:\0\0", account="mal\0lory")

    server.take(
        endpoint.record([odd(NOW)]),
        endpoint.record([copied_file(NOW, name="c\0.csv", device="s\0tick", size=10**9)]),
    )
    # A new worker has nothing but the database.
    server.take(endpoint.record([odd(NOW + 1)]))
    days = {day.subject: day for day in _rows(server, channel_days)}
    assert set(days) == {"account:mal\ufffdlory@laptop-1", "person:p1"}
    assert [day.files for day in days.values()].count(2) == 1
    places = {row.place for row in _rows(server, subject_places)}
    assert places == {"device:0781:5591:\ufffd\ufffd", "device:s\ufffdtick"}
    assert _rows(server, dead_letters) == []
    (shown,) = [alert for alert in alert_views(server.database) if alert.who.status == "notice"]
    evidence = alert_detail(server.database, shown.id).evidence
    assert [event.event["file"]["name"] for event in evidence.largest] == ["c\0.csv"]


def test_names_as_long_as_the_schema_allows_fit_and_stay_apart(server: Server, endpoint: Endpoint) -> None:
    long = "数" * 500
    events = [
        _seen_by(
            copied_file(NOW + n, device=f"{long}{n}", account=f"{long}{n}", host="h" * 512), f"{long}{n}"
        )
        for n in range(3)
    ]
    server.take(endpoint.record(events))
    server.take(endpoint.record(events[:1]))
    assert sorted(day.files for day in _rows(server, channel_days)) == [1, 1, 2]
    places = _rows(server, subject_events)
    assert len({place.subject for place in places}) == len({place.channel for place in places}) == 3
    assert max(len(place.channel) for place in places) == 64


def test_impossible_sizes_and_counts_are_stored_as_the_greatest_that_there_is(
    server: Server, endpoint: Endpoint, tmp_path: Path
) -> None:
    server.take(endpoint.record([copied_file(NOW + n, size=WHOLE_MAX) for n in range(3)]))
    assert [day.bytes for day in _rows(server, channel_days)] == [DAY_BYTES_MAX]
    for epoch in ("a" * 16, "b" * 16, "c" * 16):
        endpoint.epoch, endpoint.next_seq = epoch, 0
        server.take(endpoint.loss(WHOLE_MAX - 10))
    for epoch in ("d" * 16, "e" * 16, "f" * 16):
        endpoint.epoch, endpoint.next_seq = epoch, WHOLE_MAX - 10
        server.take(endpoint.record([copied_file(NOW)]))
    counts = {found.kind: found.count for found in _rows(server, agent_findings)}
    assert counts["events_lost"] == counts["gap"] == WHOLE_MAX
    assert len(_rows(server, agent_epochs)) == 7
    with server.database.read() as connection:
        told = read_status(
            connection, server.log, "embedded", None, now=NOW, directory=tmp_path, kept=RetentionConfig()
        )
    assert told.agents[0].lost_events == 3 * (WHOLE_MAX - 10)


def test_a_heartbeat_full_of_odd_texts_is_stored(server: Server, endpoint: Endpoint, tmp_path: Path) -> None:
    collectors = tuple(
        CollectorState(
            name=name,
            state="running",
            observed=WHOLE_MAX,
            restarts=0,
            dropped={"\0": 2**62},
            detail="\0" * 1000,
            days_watched=(TODAY,),
        )
        for name in ("\0", "x" * 512, "数" * 512)
    )
    heartbeat = Heartbeat(
        sent_at=NOW,
        version="\0\ud7ff",
        next_seq=0,
        backlog_events=WHOLE_MAX,
        backlog_bytes=0,
        lost_events=WHOLE_MAX,
        collectors=collectors,
    )
    server.take(endpoint.heartbeat(heartbeat))
    server.take(endpoint.heartbeat(heartbeat))
    names = sorted(row.collector for row in _rows(server, collector_days))
    assert "\ufffd" in names
    assert sorted(map(len, names)) == [1, 64, 64]
    with server.database.read() as connection:
        (agent,) = read_status(
            connection, server.log, "embedded", None, now=NOW, directory=tmp_path, kept=RetentionConfig()
        ).agents
    assert agent.version == "odd"
    assert _rows(server, dead_letters) == []


def test_what_cannot_be_read_becomes_a_dead_letter_whatever_characters_it_holds(
    server: Server, endpoint: Endpoint
) -> None:
    stranger = WireRecord("a\0b", "1", "events", "\0", 0, 1, b"", b"")
    unsigned = WireRecord("laptop-1", "1", "\0", "0" * 16, 0, 1, b"", b"")
    garbage = pack_control(
        endpoint.key,
        agent="laptop-1",
        kind=RecordKind.HEARTBEAT,
        epoch=endpoint.epoch,
        first_seq=0,
        count=0,
        content=b'{"a\\u0000":"\\ud800"}',
    )
    odd = endpoint.raw_record([b'{"class_uid":1001,"x\\u0000y":1}'])
    half = endpoint.raw_record([b'{"class_uid":1001,"\\udc00":1}'])
    server.take(stranger, unsigned, garbage, odd, half, endpoint.record([copied_file(NOW)]))
    assert [day.files for day in _rows(server, channel_days)] == [1]
    dead = {(letter.offset, letter.event_index): letter for letter in _rows(server, dead_letters)}
    assert sorted(dead) == [(0, -1), (1, -1), (2, -1), (3, 0), (4, -1)]
    assert dead[0, -1].agent == "a\ufffdb"
    assert "\0" not in "".join(letter.message for letter in dead.values())
    assert b"x\\u0000y" in dead[3, 0].data
    assert {found.agent for found in _rows(server, agent_findings)} >= {"a\ufffdb", "laptop-1"}
