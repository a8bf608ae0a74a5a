"""Results do not depend on how the log was cut into batches, nor on when the server was restarted.

The soak test kills one agent; here several report about the same people, heartbeats widen what is known of
watched days in between and after the last event, late events come, and a model scores.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterable
from pathlib import Path

import pytest
from sqlalchemy import select

from event_schema.codec import encode_event
from event_schema.control_records import CollectorState, Heartbeat
from event_schema.ocsf_objects import Host, HostType
from event_schema.wire import RecordKind, WireRecord
from policies.rule_file import load_policies
from server.commands.opening import open_installation
from server.installation import Installation
from server.log.contract import EventLog
from server.log.embedded import EmbeddedLog
from server.pipeline.worker import PipelineWorker
from server.store.tables import models
from tests.server.pipeline.endpoint import Endpoint
from tests.soak.comparison import tables_fault
from tests.soak.installation import prepare_data
from tests.soak.outcome import Outcome, read_outcome
from tests.soak.script import scripted_event

EVENTS = 600
AGENTS = ("desk-1", "desk-2", "desk-3")
DAY_MS = 86_400_000
POLICIES = load_policies()
NOW = 1_794_823_200_000
"""2026-11-16T10:00Z: whether the last heartbeats change an alert depends on the weekday and the hour."""


def _heartbeat(now: int, days: Iterable[int]) -> Heartbeat:
    watching = CollectorState(
        name="removable_storage",
        state="running",
        observed=0,
        restarts=0,
        dropped={},
        days_watched=tuple(days),
    )
    return Heartbeat(
        sent_at=now,
        version="0.1.0",
        next_seq=0,
        backlog_events=0,
        backlog_bytes=0,
        lost_events=0,
        collectors=(watching,),
    )


def _stream(endpoints: list[Endpoint], now: int) -> list[WireRecord]:
    """Records of all endpoints in a random order; those of each stay in their own order."""
    dice = random.Random(1)
    today = now // DAY_MS
    found: list[WireRecord] = []
    number = 0
    while number < EVENTS:
        endpoint = dice.choice(endpoints)
        if dice.random() < 0.15:
            newest = today - dice.randrange(30)
            found.append(endpoint.heartbeat(_heartbeat(now, range(newest - dice.randrange(20), newest))))
            continue
        count = min(dice.randint(1, 12), EVENTS - number)
        host = Host(hostname=endpoint.name, type_id=HostType.DESKTOP, uid=endpoint.name)
        events = [scripted_event(number + i, EVENTS, now, host, "0.1.0") for i in range(count)]
        found.append(endpoint.raw_record([encode_event(event) for event in events]))
        number += count
    # Widest at the last, and no event follows: alerts of before must still come to say the same.
    for widest in (25, 55, 80):
        beat = _heartbeat(now, range(today - widest, today + 1))
        found += [endpoint.heartbeat(beat) for endpoint in dice.sample(endpoints, len(endpoints))]
    return found


def _run(data: Path, records: list[WireRecord], now: int, *, batch: int, restart_every: int) -> Outcome:
    with open_installation(data) as installation:
        # Its clock is the log's receive time: on a slow machine the last run is minutes after the first, and
        # the agents' clocks would be corrected by that.
        log = EmbeddedLog(installation.directory.log_path, lambda: now)
        log.append(records)
        worker = _worker(installation, log, now, batch)
        steps = 0
        while worker.step(0).records:
            steps += 1
            if steps % restart_every == 0:
                worker = _worker(installation, log, now, batch)
        log.close()
    return read_outcome(data)


def _worker(installation: Installation, log: EventLog, now: int, batch: int) -> PipelineWorker:
    return PipelineWorker(
        installation.database, log, clock=lambda: now, policies=POLICIES, records_per_batch=batch
    )


@pytest.mark.long
@pytest.mark.timeout(600)
def test_one_worker_many_workers_and_any_batches_give_the_same_days_and_alerts(tmp_path: Path) -> None:
    prepared = tmp_path / "prepared"
    now = prepare_data(prepared, lambda: NOW)
    endpoints = [Endpoint(name, epoch=f"{place:016x}") for place, name in enumerate(AGENTS)]
    with open_installation(prepared) as installation:
        for endpoint in endpoints:
            endpoint.enrol(installation.database, now)
        with installation.database.read() as connection:
            summary = connection.execute(select(models.c.summary).where(models.c.active)).scalar_one()
        assert not summary["cold_start"]
    records = _stream(endpoints, now)
    outcomes = []
    for batch, restart_every in ((10_000, 10_000), (1, 10_000), (2, 2), (25, 1)):
        data = tmp_path / f"batches of {batch}"
        shutil.copytree(prepared, data)
        outcomes.append(_run(data, records, now, batch=batch, restart_every=restart_every))
    last_event = max(place for place, record in enumerate(records) if record.kind == RecordKind.EVENTS)
    data = tmp_path / "until the last event"
    shutil.copytree(prepared, data)
    earlier = _run(data, records[: last_event + 1], now, batch=1, restart_every=10_000)
    whole = outcomes[0]
    assert earlier.tables["storage days"] == whole.tables["storage days"]
    assert tables_fault(earlier, whole, "alerts"), "the last heartbeats change no alert: nothing is shown"
    assert len(whole.tables["alerts"]) >= 4
    assert any("anomaly" in repr(row) for row in whole.tables["alerts"])
    for other in outcomes[1:]:
        assert whole.events == other.events
        for name in whole.tables:
            assert tables_fault(whole, other, name) == ""
