"""Days on which collectors that see the whole company ran on any machine, as a worker knows them.

What other workers' heartbeats brought is taken over at the start of a batch: within a UTC day rows only come,
so their number tells whether any did.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlalchemy import Connection, func, select

from server.pipeline.activity_history import ANYWHERE
from server.store.tables import days_watched_anywhere
from server.store.upsert import Row


class WatchedAnywhere:
    def __init__(self) -> None:
        self._days: dict[str, set[int]] = {}
        self._since: int | None = None
        self._stored = -1
        self._new: list[Row] = []

    @property
    def days(self) -> Mapping[str, set[int]]:
        """By collector. To be read only."""
        return self._days

    def refresh(self, connection: Connection, since: int) -> int | None:
        """The first day from which on anything changed; None: nothing. since: UTC day."""
        row = days_watched_anywhere.c
        number = connection.execute(select(func.count()).where(row.day >= since)).scalar_one()
        if (since, number) == (self._since, self._stored) and not self._new:
            return None
        before = {(collector, day) for collector, days in self._days.items() for day in days}
        query = select(row.collector, row.day).where(row.day >= since)
        stored = {(collector, day) for collector, day in connection.execute(query)}
        self._days = {}
        for collector, day in stored:
            self._days.setdefault(collector, set()).add(day)
        # Of a batch that was never written.
        self._new.clear()
        self._since, self._stored = since, number
        return min((day for _, day in before ^ stored if day >= since), default=None)

    def add(self, collector: str, days: Iterable[int]) -> list[int]:
        """Returns those that are news."""
        if collector not in ANYWHERE:
            return []
        known = self._days.setdefault(collector, set())
        new = sorted(set(days) - known)
        known.update(new)
        self._new += [{"collector": collector, "day": day} for day in new]
        return new

    def rows(self) -> list[Row]:
        """Those that are to be written, in one order for all workers."""
        return sorted(self._new, key=lambda row: (row["collector"], row["day"]))

    def written(self) -> None:
        self._stored += len(self._new)
        self._new.clear()
