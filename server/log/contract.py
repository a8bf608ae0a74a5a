"""What the log between agents and server promises, whichever implementation is used.

- A record that `append` returned for, or that a broker acknowledged, survives a crash.
- Records of one agent lie in one partition, in the order of appending; a partition is a sequence of
  rising offsets (not necessarily dense).
- Reading is by explicit position: the reader keeps its positions in its own database transaction, and
  reads the same records again when it comes back with the same position.
- `appended_at` is the log's own clock (milliseconds UTC): the receive time of all its events.

The contract suite in tests/server/log/ runs on both implementations, on a real Apache Kafka.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from event_schema.wire import WireRecord


class LogUnavailable(Exception):
    """The log cannot be reached or written now; trying again later may work. The message says why."""


class PositionLost(Exception):
    """The position asked for was trimmed, or lies beyond the end because the log was replaced by a shorter
    one. Carries what is gone, so that it can be counted; reading goes on at `first_kept` (what was read
    before comes again then, and its numbers show it)."""

    def __init__(self, partition: int, asked: int, first_kept: int) -> None:
        super().__init__(f"partition {partition}: offset {asked} is lost, the log starts at {first_kept}")
        self.partition = partition
        self.asked = asked
        self.first_kept = first_kept


class LoggedRecord(msgspec.Struct, frozen=True):
    """A record as it lies on the log. `record` is None if its headers do not make a WireRecord."""

    partition: int
    offset: int
    appended_at: int
    record: WireRecord | None
    raw: bytes
    """The value as it lies on the log, for the dead-letter table; equals record.value where there is one."""
    fault: str | None = None
    """Why there is no record, naming the header."""


class EventLog(Protocol):
    def partitions(self) -> Sequence[int]:
        """All partition numbers. Raises LogUnavailable."""

    def append(self, records: Sequence[WireRecord]) -> None:
        """Durable when it returns; all or nothing for the embedded log, in order for each agent on both.

        Raises LogUnavailable; the caller may then append the same records again (they are deduplicated
        by their sequence numbers).
        """

    def read(self, positions: Mapping[int, int], *, max_records: int, timeout: float) -> list[LoggedRecord]:
        """Up to max_records records from each partition's next offset, waiting up to timeout seconds
        for the first one (a few seconds longer to find out that a broker is away). Offsets within a
        partition rise. Raises LogUnavailable, PositionLost."""

    def first_offsets(self) -> Mapping[int, int]:
        """The oldest offset still kept, by partition (the end offset when empty)."""

    def end_offsets(self) -> Mapping[int, int]:
        """The offset that the next record will get at the earliest, by partition."""

    def oldest_from(self, positions: Mapping[int, int]) -> int | None:
        """When the oldest record at or after these positions was appended; None where there is none.
        May take a few seconds. Raises LogUnavailable."""

    def trim(self, before: Mapping[int, int]) -> None:
        """Records below these offsets may go. Idempotent; may keep them longer."""

    def close(self) -> None:
        """Gives everything back. May be called twice."""


class WorkerReplaced(Exception):
    """Another process joined under this worker's name: it goes on, this one must not."""

    def __init__(self, name: str) -> None:
        super().__init__(f"another worker has joined as {name}; each needs a name of its own")
        self.name = name


class PartitionShare(Protocol):
    """Which partitions of the log one worker is to read. Where two workers both think that they own one,
    which passes, the fence in the database lets only one of them write."""

    @property
    def name(self) -> str | None:
        """The worker's; None for the only one that there is."""

    def owned(self) -> frozenset[int]:
        """This worker's partitions as far as is known now. Asked before each batch; does not wait.
        Raises LogUnavailable, WorkerReplaced."""

    def close(self) -> None:
        """Gives everything back; the partitions stay this worker's for a while, in case it comes back.
        May be called twice; `owned` begins anew."""
