"""Signs of life of workers that share a log: a row each in `workers`, for `leaver status`."""

from __future__ import annotations

from collections.abc import Collection

import msgspec
from sqlalchemy import Connection, delete, select

from event_schema.struct_base import Milliseconds
from server.store.tables import workers
from server.store.upsert import upsert

SIGN_MS = 10_000
"""A worker that has nothing to do says so this often."""
SILENT_MS = 60_000
FORGOTTEN_MS = 24 * 3600 * 1000
"""The row of a worker that never came back goes after so long."""


class WorkerRow(msgspec.Struct, frozen=True):
    """`batches`, `conflicts`: since it started."""

    name: str
    started_at: Milliseconds
    seen_at: Milliseconds
    partitions: tuple[int, ...]
    batch_at: Milliseconds | None
    batches: int
    conflicts: int


class SignOfLife:
    """One worker's row. Without a name (the only worker) nothing is written."""

    def __init__(self, name: str | None, now: int) -> None:
        self._name = name
        self._started_at = now
        self._seen_at = 0
        self._batch_at: int | None = None
        self._batches = 0
        self.conflicts = 0

    def is_due(self, now: int) -> bool:
        return self._name is not None and not 0 <= now - self._seen_at < SIGN_MS

    def batch(self, connection: Connection, partitions: Collection[int], now: int) -> None:
        """Within the batch's commit."""
        self._batch_at = now
        self._batches += 1
        self.write(connection, partitions, now)

    def write(self, connection: Connection, partitions: Collection[int], now: int) -> None:
        if self._name is None:
            return
        self._seen_at = now
        row = WorkerRow(
            self._name,
            self._started_at,
            now,
            tuple(sorted(partitions)),
            self._batch_at,
            self._batches,
            self.conflicts,
        )
        upsert(connection, workers, [msgspec.to_builtins(row)])

    def forget_others(self, connection: Connection, now: int) -> None:
        """Removes what is left of workers that are long gone."""
        connection.execute(delete(workers).where(workers.c.seen_at < now - FORGOTTEN_MS))

    def end(self, connection: Connection) -> None:
        """In good order."""
        connection.execute(delete(workers).where(workers.c.name == self._name))


def list_workers(connection: Connection) -> tuple[WorkerRow, ...]:
    rows = connection.execute(select(workers).order_by(workers.c.name))
    return tuple(
        WorkerRow(
            row.name,
            row.started_at,
            row.seen_at,
            tuple(row.partitions),
            row.batch_at,
            row.batches,
            row.conflicts,
        )
        for row in rows
    )
