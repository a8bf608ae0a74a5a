"""What happens by the clock: old data goes, spent tokens go, the log is trimmed, the certificate renewed.

Every deletion is in small transactions, so that the pipeline is never kept waiting for long.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

import msgspec
from sqlalchemy import ColumnElement, Table, delete, select

from server.log.contract import EventLog, LogUnavailable
from server.store.database import Database
from server.store.tables import (
    dead_letters,
    enrolment_tokens,
    event_blocks,
    log_positions,
    rule_days,
    storage_days,
)

DAY = 24 * 3600 * 1000
TOKEN_KEPT = 7 * DAY
"""A used or expired token stays for so long, to tell an administrator what became of it."""
ROWS_PER_TRANSACTION = 200

_logger = logging.getLogger("leaver.housekeeping")


class Dropped(msgspec.Struct, frozen=True):
    """How many rows went."""

    event_blocks: int
    dead_letters: int
    storage_days: int
    rule_days: int
    tokens: int


def drop_old(database: Database, *, now: int, events_days: int, stop: threading.Event) -> Dropped:
    """Drops what is past its end. A block goes when its youngest event is older than `events_days` days."""
    first_kept_day = now // DAY - events_days
    first_kept = first_kept_day * DAY
    return Dropped(
        event_blocks=_drop(database, event_blocks, event_blocks.c.last_day < first_kept_day, stop),
        dead_letters=_drop(database, dead_letters, dead_letters.c.received_at < first_kept, stop),
        storage_days=_drop(database, storage_days, storage_days.c.day < first_kept_day, stop),
        rule_days=_drop(database, rule_days, rule_days.c.day < first_kept_day, stop),
        tokens=_drop(database, enrolment_tokens, enrolment_tokens.c.expires_at < now - TOKEN_KEPT, stop),
    )


def trim_log(database: Database, log: EventLog) -> None:
    """Lets go what the pipeline has committed. Raises LogUnavailable."""
    with database.read() as connection:
        committed = {
            row.partition: row.next_offset
            for row in connection.execute(select(log_positions.c.partition, log_positions.c.next_offset))
        }
    if committed:
        log.trim(committed)


class Housekeeping:
    """The loop; `run` is a SupervisedThread's work."""

    def __init__(
        self,
        database: Database,
        log: EventLog,
        *,
        events_days: int,
        clock: Callable[[], int],
        say_state: Callable[[], None],
        renew_certificate: Callable[[], None],
        state_seconds: float = 5.0,
        trim_seconds: float = 60.0,
        drop_seconds: float = 3600.0,
    ) -> None:
        self._database = database
        self._log = log
        self._events_days = events_days
        self._clock = clock
        self._jobs: list[tuple[float, Callable[[threading.Event], None]]] = [
            (state_seconds, lambda _stop: say_state()),
            (trim_seconds, self._trim),
            (drop_seconds, self._drop),
            (drop_seconds, lambda _stop: renew_certificate()),
        ]

    def run(self, stop: threading.Event) -> None:
        due = [time.monotonic()] * len(self._jobs)
        while not stop.is_set():
            for index, (seconds, job) in enumerate(self._jobs):
                if not stop.is_set() and time.monotonic() >= due[index]:
                    job(stop)
                    due[index] = time.monotonic() + seconds
            stop.wait(max(0.0, min(due) - time.monotonic()))

    def _trim(self, _stop: threading.Event) -> None:
        try:
            trim_log(self._database, self._log)
        except LogUnavailable as error:
            _logger.warning("log_not_trimmed", extra={"detail": str(error)})

    def _drop(self, stop: threading.Event) -> None:
        dropped = drop_old(self._database, now=self._clock(), events_days=self._events_days, stop=stop)
        if any(msgspec.structs.astuple(dropped)):
            _logger.info("old_data_dropped", extra={"rows": msgspec.to_builtins(dropped)})


def _drop(database: Database, table: Table, old: ColumnElement[bool], stop: threading.Event) -> int:
    keys = list(table.primary_key.columns)
    total = 0
    while not stop.is_set():
        with database.begin() as connection:
            rows = connection.execute(select(*keys).where(old).limit(ROWS_PER_TRANSACTION)).all()
            for row in rows:
                place = [key == value for key, value in zip(keys, row, strict=True)]
                connection.execute(delete(table).where(*place))
        total += len(rows)
        if len(rows) < ROWS_PER_TRANSACTION:
            break
    return total
