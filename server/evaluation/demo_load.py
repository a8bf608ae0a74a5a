"""Puts the sample company into a running installation, by the ways that a real one uses.

People by the CSV import, endpoints by enrolment with keys of their own, history as signed records on the
log; the running pipeline takes them from there. Then the model is trained on what the database holds.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import select

from event_schema.codec import encode_event
from event_schema.control_records import CollectorState, Heartbeat, encode_control
from event_schema.wire import EVENTS_PER_RECORD_MAX, RecordKind, WireRecord, pack_control, pack_events
from server.agents.registry import create_token, redeem_token
from server.evaluation.demo_company import HISTORY_DAYS, DemoPerson, demo_company, demo_history, people_csv
from server.log.contract import EventLog
from server.people.hr_import import import_people
from server.pki.authority import Authority
from server.store.database import Database
from server.store.tables import log_positions
from server.training.activity_training import train_activities
from server.training.stored_models import StoredModel

_DAY_MS = 86_400_000
_SILENCE_SECONDS_MAX = 120.0

Progress = Callable[[str, int, int], None]
"""(what, done, of)."""


class DemoFailed(Exception):
    """The sample company could not be loaded; the message says at which step."""


class DemoLoaded(msgspec.Struct, frozen=True):
    people: int
    events: int
    days: int
    model: StoredModel
    leaver_id: str


def load_demo(
    database: Database,
    log: EventLog,
    authority: Authority,
    *,
    clock: Callable[[], int],
    seed: int,
    leaver_account: str,
    time_zone: str,
    version: str,
    progress: Progress,
) -> DemoLoaded:
    """`leaver_account`: the account on this machine that the leaver of the sample company uses.

    Raises DemoFailed when nothing takes the records from the log (leaver up must be running).
    """
    now = clock()
    people = demo_company(seed, datetime.fromtimestamp(now / 1000, UTC).date())
    leaver = people[0]
    with database.begin() as connection:
        report = import_people(
            connection,
            people_csv(people, {leaver.id: leaver_account}, time_zone),
            actor="demo",
            at=now,
        )
    if report.stopped is not None:
        raise DemoFailed(f"people: {report.stopped}")
    total = 0
    for number, person in enumerate(people, start=1):
        records, events = _records(database, authority, person, seed, now, version)
        log.append(records)
        total += events
        progress("60 days of 60 people", number, len(people))
    _wait_until_taken(database, log, progress)
    return DemoLoaded(len(people), total, HISTORY_DAYS, train_activities(database, now=clock()), leaver.id)


def _records(
    database: Database, authority: Authority, person: DemoPerson, seed: int, now: int, version: str
) -> tuple[list[WireRecord], int]:
    """The endpoint's whole history, and a heartbeat that says on which days it watched."""
    key = Ed25519PrivateKey.generate()
    with database.begin() as connection:
        token = create_token(connection, person.host, now=now, actor="demo")
        redeem_token(connection, token, key.public_key(), authority, now=now)
    epoch = f"{int.from_bytes(key.public_key().public_bytes_raw()[:8]):016x}"
    events = [encode_event(event) for event in demo_history(person, seed, now, version)]
    records = [
        pack_events(
            key,
            agent=person.host,
            epoch=epoch,
            first_seq=first,
            events=events[first : first + EVENTS_PER_RECORD_MAX],
        )
        for first in range(0, len(events), EVENTS_PER_RECORD_MAX)
    ]
    today = now // _DAY_MS
    watching = CollectorState(
        name="removable_storage",
        state="running",
        observed=len(events),
        restarts=0,
        dropped={},
        days_watched=tuple(range(today - HISTORY_DAYS, today + 1)),
    )
    heartbeat = Heartbeat(
        sent_at=now,
        version=version,
        next_seq=len(events),
        backlog_events=0,
        backlog_bytes=0,
        lost_events=0,
        collectors=(watching,),
        stopping=True,
    )
    content = encode_control(heartbeat)
    last = pack_control(
        key,
        agent=person.host,
        kind=RecordKind.HEARTBEAT,
        epoch=epoch,
        first_seq=len(events),
        count=0,
        content=content,
    )
    # First, because silence on its days must be known before the copies are judged.
    return [last, *records], len(events)


def _wait_until_taken(database: Database, log: EventLog, progress: Progress) -> None:
    """Until the pipeline has committed what lies on the log now."""
    ends, firsts = log.end_offsets(), log.first_offsets()
    whole = sum(end - firsts[partition] for partition, end in ends.items())
    before, changed_at = -1, time.monotonic()
    while True:
        with database.read() as connection:
            done = {
                row.partition: row.next_offset
                for row in connection.execute(select(log_positions.c.partition, log_positions.c.next_offset))
            }
        left = sum(max(0, end - done.get(partition, firsts[partition])) for partition, end in ends.items())
        progress("taken in by the pipeline", whole - left, whole)
        if not left:
            return
        if left != before:
            before, changed_at = left, time.monotonic()
        elif time.monotonic() - changed_at > _SILENCE_SECONDS_MAX:
            raise DemoFailed("nothing takes the records from the log: is leaver up running on this data?")
        time.sleep(0.1)
