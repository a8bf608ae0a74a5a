"""The durable spool between collectors and shipper: what happened survives crashes, outages, full disks.

Folder: `lock` (held by the one agent that may use it), `progress` (spool_progress.py: what the far side
acknowledged), `segment-<first number, 20 digits>` files (spool_segment.py: the events).

Invariants:
- append() returns only when its events are synced; numbers are given here, from 0, without a gap.
- Only synced events are read, so only synced events are shipped: a torn tail was never shipped, and its
  numbers are given again. A tail that is damaged below what `progress` knew to be durable is a loss.
- What a failed sync left is cut off and written again, never synced again: the kernel has forgotten it.
- A segment is deleted only when all its numbers are acknowledged, or when `progress` durably says that
  they were dropped to stay under the cap. What read() has handed out is not dropped before it is
  acknowledged, so no number is both delivered and reported lost.
- Every number is acknowledged as an event or inside a loss record, never neither.
- Cursors lie beside their events: a collector resumes exactly after its last event on disk.
- The epoch is random, made with the spool, and stands in `progress` and in every segment.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import threading
from collections.abc import Sequence
from pathlib import Path

import msgspec

from agent.spool_files import (
    SpoolLocked,
    cut_torn_tail,
    errno_name,
    find_cursors,
    list_segments,
    lock_folder,
    make_folder,
    newest_header,
    pack_file,
    segment_name,
    sync_folder,
    write_again,
)
from agent.spool_progress import DROPPED_RANGES_MAX, DroppedRange, Progress, ProgressFile
from agent.spool_reader import (
    Contents,
    ReadPosition,
    Segment,
    SpooledEvent,
    SpoolItem,
    read_items,
    segment_entries,
)
from agent.spool_segment import NewEntry, encode_entry, encode_header
from event_schema.control_records import Loss

_ENTRIES_PER_APPEND_MAX = 10_000

__all__ = ["Spool", "SpoolLocked", "SpoolStats", "SpoolUnavailable"]


class SpoolUnavailable(Exception):
    """Nothing was appended; the same entries may be appended again later. The message says why."""


class SpoolStats(msgspec.Struct, frozen=True):
    next_seq: int
    acknowledged: int
    backlog_events: int
    backlog_bytes: int
    lost_events: int
    oldest_unsent: int | None


class Spool:
    """Thread-safe: any thread may append, one reads and acknowledges."""

    def __init__(self, folder: Path, *, max_bytes: int = 1 << 30, segment_bytes: int = 4 << 20) -> None:
        """Opens or creates it, and repairs what a crash left. Raises SpoolLocked, OSError."""
        if max_bytes < 4 * segment_bytes:
            raise ValueError(f"spool of {max_bytes} bytes is less than four segments of {segment_bytes}")
        make_folder(folder)
        self._folder, self._max_bytes, self._segment_bytes = folder, max_bytes, segment_bytes
        self._changed = threading.Condition()
        self._progress: Progress
        self._next_seq: int
        self._oldest_unsent: int | None = None
        self._segments: list[Segment] = []
        self._position: ReadPosition | None = None
        self._in_flight = 0
        self._gaps: list[Loss] = []
        self._cursors: dict[str, str] = {}
        self._tail_dirty = False
        self._fd = -1
        self._lock_fd = lock_folder(folder)
        self._register = ProgressFile(folder / "progress")
        try:
            self._recover()
        except BaseException:
            self._give_back()
            raise

    def append(self, entries: Sequence[NewEntry]) -> None:
        """All of them, or none: durable when it returns. Raises SpoolUnavailable, ValueError."""
        if not entries:
            return
        if len(entries) > _ENTRIES_PER_APPEND_MAX:
            raise ValueError(f"{len(entries)} entries in one append, over {_ENTRIES_PER_APPEND_MAX}")
        with self._changed:
            first = self._next_seq
            data = b"".join(encode_entry(first + i, entry, begins=i == 0) for i, entry in enumerate(entries))
            try:
                active = self._segments[-1]
                if active.size + len(data) > self._segment_bytes and self._next_seq > active.first:
                    self._begin_segment()
                    self._pack(active)
                self._make_room(len(data))
                self._write(data)
            except OSError as error:
                raise SpoolUnavailable(f"spool cannot be written: {errno_name(error)}") from error
            self._next_seq += len(entries)
            if self._oldest_unsent is None:
                self._oldest_unsent = entries[0].time
            for entry in entries:
                if entry.cursor is not None:
                    self._cursors[entry.collector] = entry.cursor
            self._changed.notify_all()

    def read(self, after: int, *, max_events: int = 2000, max_bytes: int = 2 << 20) -> list[SpoolItem]:
        """Events and losses in the order of their numbers, from the one after `after` (-1: from the first
        not acknowledged). They stay until acknowledge()."""
        with self._changed:
            start = max(after + 1, self._progress.acknowledged)
            contents = Contents(self._segments, self._progress.dropped, self._next_seq)
            items, self._position = read_items(
                contents, start, max_events=max_events, max_bytes=max_bytes, position=self._position
            )
            if items:
                self._in_flight = max(self._in_flight, _end(items[-1]))
                oldest = next((item.time for item in items if isinstance(item, SpooledEvent)), None)
                if start == self._progress.acknowledged:
                    self._oldest_unsent = oldest
            known = {gap.first_seq for gap in self._gaps}
            drops = self._progress.dropped
            self._gaps += [
                item
                for item in items
                if isinstance(item, Loss)
                and item.first_seq not in known
                and not any(d.first <= item.first_seq < d.end for d in drops)
            ]
            return items

    def acknowledge(self, seq: int, *, lost: int = 0) -> None:
        """The far side has everything up to and including `seq`; `lost` events of it only as a loss that the
        caller told it of. Raises ValueError, SpoolUnavailable."""
        with self._changed:
            before = self._progress
            if not before.acknowledged <= seq < self._next_seq:
                if seq < before.acknowledged:
                    return
                raise ValueError(f"number {seq} acknowledged, but {self._next_seq} has not been given yet")
            now = seq + 1
            dropped = tuple(
                msgspec.structs.replace(d, first=max(d.first, now)) for d in before.dropped if d.end > now
            )
            told = [gap for gap in self._gaps if _end(gap) <= now]
            lost_in_all = before.lost + sum(gap.count for gap in told) + lost
            try:
                self._write_progress(acknowledged=now, dropped=dropped, lost=lost_in_all)
                self._delete_acknowledged()
            except OSError as error:
                raise SpoolUnavailable(f"spool cannot be written: {errno_name(error)}") from error
            self._gaps = [gap for gap in self._gaps if _end(gap) > now]
            self._oldest_unsent = None if now == self._next_seq else self._oldest_unsent

    def wait(self, after: int, timeout: float, *, at_least: int = 1) -> int:
        """How many numbers lie after `after`; waits up to `timeout` seconds until there are `at_least`."""
        with self._changed:
            start = max(after + 1, self._progress.acknowledged)
            self._changed.wait_for(lambda: self._next_seq - start >= at_least or self._closed, timeout)
            return self._next_seq - start

    def cursor(self, collector: str) -> str | None:
        """Where the collector stood at its last event on disk."""
        with self._changed:
            return self._cursors.get(collector)

    def stats(self) -> SpoolStats:
        with self._changed:
            progress = self._progress
            gone = sum(d.end - d.first for d in progress.dropped)
            return SpoolStats(
                next_seq=self._next_seq,
                acknowledged=progress.acknowledged,
                backlog_events=self._next_seq - progress.acknowledged - gone,
                backlog_bytes=self._total_bytes() if self._next_seq > progress.acknowledged else 0,
                lost_events=progress.lost + sum(gap.count for gap in self._gaps),
                oldest_unsent=self._oldest_unsent,
            )

    @property
    def epoch(self) -> str:
        return self._progress.epoch

    @property
    def acknowledged(self) -> int:
        """The first number that is not acknowledged."""
        with self._changed:
            return self._progress.acknowledged

    def close(self) -> None:
        """May be called twice. Writes down what is durable, as far as the disk allows."""
        with self._changed:
            if self._closed:
                return
            # Without it the spool still opens; damage done later would then count as a torn tail.
            with contextlib.suppress(OSError):
                self._write_progress()
            self._give_back()
            self._changed.notify_all()

    @property
    def _closed(self) -> bool:
        return self._lock_fd < 0

    def _write(self, data: bytes) -> None:
        active = self._segments[-1]
        if self._fd < 0:
            raise OSError(errno.EBADF, "spool is closed")
        if self._tail_dirty:
            self._cut_tail()
        try:
            view, at = memoryview(data), active.size
            while view:
                written = os.pwrite(self._fd, view, at)
                view, at = view[written:], at + written
            os.fdatasync(self._fd)
        except OSError:
            self._tail_dirty = True
            with contextlib.suppress(OSError):
                self._cut_tail()
            raise
        active.size = at

    def _cut_tail(self) -> None:
        """What a failed write left would be believed after a restart, under numbers given anew."""
        os.ftruncate(self._fd, self._segments[-1].size)
        self._tail_dirty = False

    def _make_room(self, incoming: int) -> None:
        self._delete_acknowledged()
        while self._total_bytes() + incoming > self._max_bytes:
            pinned = max(self._in_flight, self._progress.acknowledged)
            victim = next((i for i, s in enumerate(self._segments[:-1]) if s.first >= pinned), None)
            if victim is None:
                raise SpoolUnavailable("the spool is full, and all of it is being sent just now")
            segment, end = self._segments[victim], self._segments[victim + 1].first
            times = [entry.time for entry in segment_entries(segment, below=end)]
            gone = DroppedRange(segment.first, end, min(times, default=None), max(times, default=None))
            dropped = _with_range(self._progress.dropped, gone)
            if len(dropped) > DROPPED_RANGES_MAX:
                raise SpoolUnavailable("the spool is full, and no more drops can be written down")
            self._write_progress(dropped=dropped, lost=self._progress.lost + end - segment.first)
            segment.path.unlink(missing_ok=True)
            del self._segments[victim]

    def _delete_acknowledged(self) -> None:
        while len(self._segments) > 1 and self._segments[1].first <= self._progress.acknowledged:
            self._segments[0].path.unlink(missing_ok=True)
            del self._segments[0]

    def _write_progress(
        self,
        *,
        acknowledged: int | None = None,
        dropped: tuple[DroppedRange, ...] | None = None,
        lost: int | None = None,
    ) -> None:
        before = self._progress
        after = Progress(
            generation=before.generation + 1,
            epoch=before.epoch,
            acknowledged=before.acknowledged if acknowledged is None else acknowledged,
            durable=self._next_seq,
            lost=before.lost if lost is None else lost,
            dropped=before.dropped if dropped is None else dropped,
        )
        self._register.write(after)
        self._progress = after

    def _total_bytes(self) -> int:
        return sum(segment.size for segment in self._segments)

    def _begin_segment(self) -> None:
        path = self._folder / segment_name(self._next_seq)
        header = encode_header(self._next_seq, self._progress.epoch, self._cursors)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.pwrite(fd, header, 0)
            os.fsync(fd)
            sync_folder(self._folder)
        except OSError:
            os.close(fd)
            path.unlink(missing_ok=True)
            raise
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = fd
        self._tail_dirty = False
        self._segments.append(Segment(self._next_seq, path, len(header)))

    def _pack(self, full: Segment) -> None:
        """Makes a full segment small, unless most of it is sent already. Without space it stays as it is."""
        if self._progress.acknowledged > (full.first + self._next_seq) // 2:
            return
        try:
            with contextlib.suppress(OSError):
                pack_file(full, below=self._next_seq)
        finally:
            # The packed form may stand there although syncing the folder failed: places of the old form
            # mean nothing in it.
            self._position = None

    def _recover(self) -> None:
        self._segments = list_segments(self._folder)
        newest = newest_header(self._segments)
        newest_is_whole = newest is not None and newest[0] == len(self._segments) - 1
        known = self._register.read()
        if known is None:
            epoch = secrets.token_hex(8) if newest is None else newest[1].epoch
            first = self._segments[0].first if self._segments else 0
            known = Progress(generation=0, epoch=epoch, acknowledged=first, durable=first, lost=0)
        self._progress = known
        self._next_seq = max(known.durable, known.acknowledged)
        if self._segments:
            tail = self._segments[-1]
            self._next_seq = max(self._next_seq, cut_torn_tail(tail, durable=known.durable))
        self._cursors = find_cursors(self._segments, newest, below=self._next_seq)
        for segment in [s for s in self._segments[:-1] if self._was_dropped(s)]:
            segment.path.unlink()
            self._segments.remove(segment)
        if not newest_is_whole:
            if self._segments and self._segments[-1].first == self._next_seq:
                self._segments.pop().path.unlink()
            self._begin_segment()
        else:
            self._fd = os.open(self._segments[-1].path, os.O_RDWR | os.O_CLOEXEC)
            write_again(self._fd, self._segments[-1].size)
        # At once, so that what is durable now counts as a loss, not as torn, if it is damaged later.
        self._write_progress()
        self._delete_acknowledged()
        unsent = self.read(-1, max_events=1)
        self._in_flight = 0
        self._oldest_unsent = next((i.time for i in unsent if isinstance(i, SpooledEvent)), None)

    def _was_dropped(self, segment: Segment) -> bool:
        return any(d.first <= segment.first < d.end for d in self._progress.dropped)

    def _give_back(self) -> None:
        for fd in (self._fd, self._lock_fd):
            if fd >= 0:
                os.close(fd)
        self._fd = self._lock_fd = -1
        self._register.close()


def _end(item: SpoolItem) -> int:
    return item.first_seq + item.count if isinstance(item, Loss) else item.seq + 1


def _with_range(dropped: tuple[DroppedRange, ...], gone: DroppedRange) -> tuple[DroppedRange, ...]:
    """The ranges with one more, joined to its neighbour where they touch."""
    before = next((d for d in dropped if d.end == gone.first), None)
    if before is None:
        return (*dropped, gone)
    joined = DroppedRange(
        before.first,
        gone.end,
        before.first_time if before.first_time is not None else gone.first_time,
        gone.last_time if gone.last_time is not None else before.last_time,
    )
    return (*(d for d in dropped if d is not before), joined)
