"""Reads the spool's segments in the order of their numbers, and says what is missing.

Every number from the asked one on comes out exactly once, as an event or inside a loss:
dropped on purpose (spool_full), damaged bytes (spool_corrupt), or a segment that is gone (spool_lost).
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path

import msgspec

from agent.spool_progress import DroppedRange
from agent.spool_segment import Entry, read_entries
from event_schema.control_records import Loss, LossReason

_BLOCK_BYTES = 4096


class Segment(msgspec.Struct):
    """A segment file; `size` counts only synced bytes."""

    first: int
    path: Path
    size: int


class SpooledEvent(msgspec.Struct, frozen=True):
    seq: int
    time: int
    data: bytes


SpoolItem = SpooledEvent | Loss


class ReadPosition(msgspec.Struct, frozen=True):
    """Where the entry `seq` begins, so that following the tail does not read a segment again."""

    seq: int
    segment: int
    offset: int


class Contents(msgspec.Struct, frozen=True):
    """What there is to read: all segments by rising first number, and the end of the numbers."""

    segments: Sequence[Segment]
    dropped: Sequence[DroppedRange]
    end: int


def read_items(
    contents: Contents, start: int, *, max_events: int, max_bytes: int, position: ReadPosition | None
) -> tuple[list[SpoolItem], ReadPosition | None]:
    """Items from `start` on, at least one if there is any, and where to go on."""
    items: list[SpoolItem] = []
    seq, budget = start, max_bytes
    while seq < contents.end and len(items) < max_events and budget > 0:
        drop = next((d for d in contents.dropped if d.first <= seq < d.end), None)
        if drop is not None:
            count = min(drop.end, contents.end) - seq
            items.append(Loss(reason=LossReason.SPOOL_FULL, first_seq=seq, count=count,
                              first_time=drop.first_time, last_time=drop.last_time))  # fmt: skip
            seq += count
            continue
        index = bisect_right(contents.segments, seq, key=lambda s: s.first) - 1
        stop = _end_of_stretch(contents, index, seq)
        if index < 0:
            items.append(_gap(LossReason.SPOOL_LOST, seq, stop))
            seq = stop
            continue
        segment = contents.segments[index]
        offset = 0
        if position is not None and position.segment == segment.first and position.seq <= seq:
            offset = position.offset
        data = read_durable_bytes(segment, offset)
        end_of_entries = 0
        for entry in read_entries(data, 0, below=stop):
            end_of_entries = entry.end
            if entry.seq < seq:
                continue
            if entry.seq > seq:
                items.append(_gap(LossReason.SPOOL_CORRUPT, seq, entry.seq))
            items.append(SpooledEvent(entry.seq, entry.time, entry.data))
            seq = entry.seq + 1
            budget -= len(entry.data)
            position = ReadPosition(seq, segment.first, offset + entry.end)
            if len(items) >= max_events or budget <= 0:
                return items, position
        if seq < stop:
            damaged = end_of_entries < len(data)
            items.append(_gap(LossReason.SPOOL_CORRUPT if damaged else LossReason.SPOOL_LOST, seq, stop))
            seq = stop
    return items, position


def _end_of_stretch(contents: Contents, index: int, seq: int) -> int:
    """Up to where the segment (or the hole before the first one) reaches."""
    after = contents.segments[index + 1].first if index + 1 < len(contents.segments) else contents.end
    return min([after, *(d.first for d in contents.dropped if d.first > seq)])


def _gap(reason: LossReason, first: int, end: int) -> Loss:
    return Loss(reason=reason, first_seq=first, count=end - first)


def read_durable_bytes(segment: Segment, offset: int = 0) -> bytes:
    """The segment's synced bytes; blocks that the disk cannot read come as zeros, a missing file as none."""
    try:
        fd = os.open(segment.path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return b""
    try:
        return os.pread(fd, segment.size - offset, offset)
    except OSError:
        return _read_around_bad_blocks(fd, offset, segment.size)
    finally:
        os.close(fd)


def _read_around_bad_blocks(fd: int, offset: int, size: int) -> bytes:
    parts: list[bytes] = []
    while offset < size:
        want = min(_BLOCK_BYTES - offset % _BLOCK_BYTES, size - offset)
        try:
            part = os.pread(fd, want, offset)
        except OSError:
            part = b"\0" * want
        if not part:
            break
        parts.append(part)
        offset += len(part)
    return b"".join(parts)


def segment_entries(segment: Segment, *, below: int) -> list[Entry]:
    """All readable entries of a segment."""
    return list(read_entries(read_durable_bytes(segment), 0, below=below))
