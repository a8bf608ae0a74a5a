"""The share of the only worker: all partitions."""

from __future__ import annotations

from server.log.contract import EventLog


class WholeLog:
    """A PartitionShare. Partitions of a log never change while it is used."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._partitions: frozenset[int] | None = None

    @property
    def name(self) -> None:
        return None

    def owned(self) -> frozenset[int]:
        if self._partitions is None:
            self._partitions = frozenset(self._log.partitions())
        return self._partitions

    def close(self) -> None:
        self._partitions = None
