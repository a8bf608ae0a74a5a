"""Old data goes at its end and not before; the log is trimmed only below what was committed."""

from __future__ import annotations

import threading
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Table, func, insert, select

from event_schema.wire import RecordKind, pack_control
from server.agents.registry import TOKEN_LIFE, create_token
from server.housekeeping import DAY, TOKEN_KEPT, Housekeeping, drop_old, trim_log
from server.log.embedded import EmbeddedLog
from server.store.database import Database
from server.store.tables import (
    dead_letters,
    enrolment_tokens,
    event_blocks,
    log_positions,
    subject_events,
)

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
    dropped = drop_old(database, now=NOW, events_days=90, stop=threading.Event())
    assert (dropped["event_blocks"], dropped["subject_events"]) == (3, 2)
    with database.read() as connection:
        kept = connection.execute(select(event_blocks.c.last_day)).scalars().all()
        indexed = connection.execute(select(subject_events.c.day)).scalars().all()
    assert sorted(TODAY - day for day in kept) == [0, 89, 90]
    # The index is by the person's day, which may begin earlier.
    assert sorted(TODAY - day for day in indexed) == [0, 89, 90, 91]
    again = drop_old(database, now=NOW, events_days=90, stop=threading.Event())
    assert not any(again.values())


def test_a_great_many_old_rows_go_in_several_transactions(database: Database) -> None:
    row = {"partition": 0, "event_index": -1, "received_at": NOW - 91 * DAY, "reason": "truncated"}
    row |= {"message": "x", "size": 1, "data": b"x"}
    with database.begin() as connection:
        connection.execute(insert(dead_letters), [{**row, "offset": offset} for offset in range(5450)])
        connection.execute(insert(dead_letters).values(**{**row, "received_at": NOW}, offset=5450))
    assert drop_old(database, now=NOW, events_days=90, stop=threading.Event())["dead_letters"] == 5450
    assert _count(database, dead_letters) == 1


def test_spent_tokens_are_kept_a_week_and_then_go(database: Database) -> None:
    with database.begin() as connection:
        create_token(connection, "a", now=NOW, actor="test")
    at_end = NOW + TOKEN_LIFE + TOKEN_KEPT
    assert drop_old(database, now=at_end, events_days=90, stop=threading.Event())["enrolment_tokens"] == 0
    assert drop_old(database, now=at_end + 1, events_days=90, stop=threading.Event())["enrolment_tokens"] == 1
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
        clock=lambda: NOW,
        say_state=lambda: done.append("state"),
        renew_certificate=renewed,
    )
    thread = threading.Thread(target=housekeeping.run, args=(stop,))
    thread.start()
    thread.join(10)
    assert not thread.is_alive()
    assert done == ["state", "certificate"]
    assert _count(database, event_blocks) == 0
    log.close()
