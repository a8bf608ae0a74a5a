"""Old data goes at its end and not before; the log is trimmed only below what was committed."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Table, func, insert, select, update

from event_schema.wire import RecordKind, pack_control
from server.agents.registry import TOKEN_LIFE, create_token
from server.housekeeping import DAY, TOKEN_KEPT, Housekeeping, drop_old, trim_log
from server.log.embedded import EmbeddedLog
from server.store.database import Database
from server.store.tables import (
    agent_findings,
    alert_days,
    alerts,
    collector_days,
    days_watched_anywhere,
    dead_letters,
    enrolment_tokens,
    event_blocks,
    known_exports,
    log_positions,
    queue_days,
    subject_agents,
    subject_events,
    subject_places,
)
from tests.server.alerts.recorded_leak import open_alert

NOW = 1_795_305_600_000
TODAY = NOW // DAY


def _count(database: Database, table: Table) -> int:
    with database.read() as connection:
        return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def _add_block(database: Database, last_day: int, first_seq: int) -> None:
    place = {"agent": "a", "epoch": "0" * 16, "first_seq": first_seq}
    block = {**place, "count": 1, "received_at": NOW, "last_day": last_day}
    indexed = {**place, "subject": "person:1", "day": last_day, "channel": "c", "last_seq": first_seq}
    with database.begin() as connection:
        connection.execute(insert(event_blocks).values(**block, signature=b"s", value=b"v", leaver=b"l"))
        connection.execute(insert(subject_events).values(**indexed))


def test_events_go_after_their_days_with_their_index_and_younger_ones_stay(database: Database) -> None:
    for number, age in enumerate([0, 89, 90, 91, 92, 400]):
        _add_block(database, TODAY - age, number)
    dropped = drop_old(
        database, now=NOW, events_days=90, alerts_days=730, uses_days=730, stop=threading.Event()
    )
    assert (dropped["event_blocks"], dropped["subject_events"]) == (3, 2)
    with database.read() as connection:
        kept = connection.execute(select(event_blocks.c.last_day)).scalars().all()
        indexed = connection.execute(select(subject_events.c.day)).scalars().all()
    assert sorted(TODAY - day for day in kept) == [0, 89, 90]
    # The index is by the person's day, which may begin earlier.
    assert sorted(TODAY - day for day in indexed) == [0, 89, 90, 91]
    again = drop_old(
        database, now=NOW, events_days=90, alerts_days=730, uses_days=730, stop=threading.Event()
    )
    assert not any(again.values())


@pytest.mark.parametrize(("events_days", "oldest"), [(90, 120), (200, 200)])
def test_days_on_which_collectors_ran_stay_as_long_as_models_or_events_need_them(
    database: Database, events_days: int, oldest: int
) -> None:
    ages = (0, 90, 120, 121, 200, 201)
    days = [TODAY - age for age in ages]
    with database.begin() as connection:
        told = [{"agent": "mx", "collector": "mail", "day": day} for day in days]
        connection.execute(insert(collector_days), told)
        connection.execute(insert(days_watched_anywhere), [{"collector": "mail", "day": day} for day in days])
    drop_old(
        database, now=NOW, events_days=events_days, alerts_days=730, uses_days=730, stop=threading.Event()
    )
    with database.read() as connection:
        for table in (collector_days, days_watched_anywhere):
            kept = connection.execute(select(table.c.day)).scalars().all()
            assert sorted(TODAY - day for day in kept) == [
                a for a in (0, 90, 120, 121, 200, 201) if a <= oldest
            ]


def test_a_great_many_old_rows_go_in_several_transactions(database: Database) -> None:
    row = {"partition": 0, "event_index": -1, "received_at": NOW - 91 * DAY, "reason": "truncated"}
    row |= {"message": "x", "size": 1, "data": b"x"}
    with database.begin() as connection:
        connection.execute(insert(dead_letters), [{**row, "offset": offset} for offset in range(5450)])
        connection.execute(insert(dead_letters).values(**{**row, "received_at": NOW}, offset=5450))
    assert (
        drop_old(database, now=NOW, events_days=90, alerts_days=730, uses_days=730, stop=threading.Event())[
            "dead_letters"
        ]
        == 5450
    )
    assert _count(database, dead_letters) == 1


def test_devices_and_endpoints_go_when_they_were_not_seen_for_as_long_as_events_stay(
    database: Database,
) -> None:
    _add_block(database, TODAY - 1, 1)
    used = {"subject": "person:1", "channel": "uploads", "first_time": NOW - 400 * DAY}
    seen = {"subject": "person:1", "first_time": NOW - 400 * DAY}
    odd = {"agent": "a", "detail": "x", "first_at": NOW - 400 * DAY, "count": 1}
    made = [{"origin": "database_export", "sha256": "a" * 64, "seen_at": NOW - age * DAY} for age in (91, 89)]
    with database.begin() as connection:
        connection.execute(insert(known_exports), made)
        connection.execute(insert(subject_places).values(**used, place="old", last_time=NOW - 93 * DAY))
        connection.execute(insert(subject_places).values(**used, place="new", last_time=NOW - 89 * DAY))
        connection.execute(insert(subject_agents), [{**seen, "agent": "a"}, {**seen, "agent": "gone"}])
        connection.execute(insert(agent_findings).values(**odd, kind="gap", last_at=NOW - 91 * DAY))
        connection.execute(insert(agent_findings).values(**odd, kind="cloned", last_at=NOW - 89 * DAY))
    drop_old(database, now=NOW, events_days=90, alerts_days=730, uses_days=730, stop=threading.Event())
    with database.read() as connection:
        assert connection.execute(select(subject_places.c.place)).scalars().all() == ["new"]
        assert connection.execute(select(known_exports.c.seen_at)).scalars().all() == [NOW - 89 * DAY]
        assert connection.execute(select(subject_agents.c.agent)).scalars().all() == ["a"]
        assert connection.execute(select(agent_findings.c.kind)).scalars().all() == ["cloned"]


def test_held_alerts_go_with_the_days_that_they_stood_on(database: Database) -> None:
    open_alert(database, events=1, alert_id=1, subject="person:1")
    with database.begin() as connection:
        connection.execute(update(alerts).values(status="held", last_time=NOW))
        connection.execute(insert(queue_days).values(queue="day", day=TODAY, cap=3))

    def kept(later: int) -> tuple[int, int]:
        drop_old(database, now=later, events_days=90, alerts_days=730, uses_days=730, stop=threading.Event())
        return _count(database, alerts), _count(database, queue_days)

    assert kept(NOW + 90 * DAY) == (1, 1)
    assert kept(NOW + 93 * DAY) == (0, 0)


def test_closed_alerts_go_at_their_end_with_their_days_and_open_ones_stay(database: Database) -> None:
    for number, closed_at in enumerate([None, NOW, NOW + DAY], start=1):
        open_alert(database, events=1, alert_id=number, subject=f"person:{number}")
        if closed_at is not None:
            with database.begin() as connection:
                closing = update(alerts).where(alerts.c.id == number)
                connection.execute(closing.values(status="closed", closed_at=closed_at))
    later = NOW + 730 * DAY + 1

    def dropped(events_days: int) -> int:
        found = drop_old(
            database,
            now=later,
            events_days=events_days,
            alerts_days=730,
            uses_days=730,
            stop=threading.Event(),
        )
        return found["alerts"]

    assert dropped(events_days=1000) == 0, "its days are still there"
    assert dropped(events_days=90) == 1
    with database.read() as connection:
        assert set(connection.execute(select(alerts.c.id)).scalars()) == {1, 3}
        assert set(connection.execute(select(alert_days.c.alert)).scalars()) == {1, 3}


def test_spent_tokens_are_kept_a_week_and_then_go(database: Database) -> None:
    with database.begin() as connection:
        create_token(connection, "a", now=NOW, actor="test")
    at_end = NOW + TOKEN_LIFE + TOKEN_KEPT
    assert (
        drop_old(
            database, now=at_end, events_days=90, alerts_days=730, uses_days=730, stop=threading.Event()
        )["enrolment_tokens"]
        == 0
    )
    assert (
        drop_old(
            database, now=at_end + 1, events_days=90, alerts_days=730, uses_days=730, stop=threading.Event()
        )["enrolment_tokens"]
        == 1
    )
    assert _count(database, enrolment_tokens) == 0


def test_the_log_keeps_what_is_not_committed(database: Database, tmp_path: Path) -> None:
    log = EmbeddedLog(tmp_path / "log.db", lambda: NOW)
    key = Ed25519PrivateKey.generate()
    record = pack_control(
        key, agent="a", kind=RecordKind.HEARTBEAT, epoch="0" * 16, first_seq=0, count=0, content=b"{}"
    )
    log.append([record] * 10)
    trim_log(database, log)
    assert log.first_offsets() == {0: 0}
    with database.begin() as connection:
        connection.execute(insert(log_positions).values(partition=0, fence=1, next_offset=7))
    trim_log(database, log)
    assert log.first_offsets() == {0: 7}
    assert [entry.offset for entry in log.read({0: 7}, max_records=10, timeout=0)] == [7, 8, 9]
    log.close()


def test_the_loop_does_every_job_at_start_and_ends_when_told(database: Database, tmp_path: Path) -> None:
    log = EmbeddedLog(tmp_path / "log.db", lambda: NOW)
    _add_block(database, TODAY - 100, 0)
    done: list[str] = []
    stop = threading.Event()

    def renewed() -> None:
        done.append("certificate")
        stop.set()

    housekeeping = Housekeeping(
        database,
        log,
        events_days=90,
        alerts_days=730,
        uses_days=730,
        clock=lambda: NOW,
        renew_certificate=renewed,
    )
    thread = threading.Thread(target=housekeeping.run, args=(stop,))
    thread.start()
    thread.join(10)
    assert not thread.is_alive()
    assert done == ["certificate"]
    assert _count(database, event_blocks) == 0
    log.close()
