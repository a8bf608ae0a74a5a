"""Spools small enough to fill, their contents in numbers, and what a crash would leave of them."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path

from agent.spool import Spool
from agent.spool_reader import SpooledEvent, SpoolItem
from agent.spool_segment import NewEntry
from event_schema.control_records import Loss

SEGMENT = 64 << 10


def entry(number: int, size: int = 100, cursor: str | None = None) -> NewEntry:
    """Half of it does not compress, as little of real events does."""
    data = f'{{"n":{number},'.encode()
    data += hashlib.shake_256(data).hexdigest(size // 2).encode()
    return NewEntry("removable_storage", 1_000 + number, data[:size], cursor)


def entries(first: int, count: int, size: int = 100) -> list[NewEntry]:
    return [entry(n, size) for n in range(first, first + count)]


def small_spool(folder: Path, max_bytes: int = 8 * SEGMENT) -> Spool:
    return Spool(folder, max_bytes=max_bytes, segment_bytes=SEGMENT)


def read_all(spool: Spool) -> list[SpoolItem]:
    found: list[SpoolItem] = []
    after = -1
    while items := spool.read(after, max_events=37):
        found += items
        last = items[-1]
        after = last.seq if isinstance(last, SpooledEvent) else last.first_seq + last.count - 1
    return found


def numbers(items: list[SpoolItem]) -> list[int]:
    """Every number that the items speak of, in their order."""
    return [
        n
        for item in items
        for n in (
            [item.seq]
            if isinstance(item, SpooledEvent)
            else range(item.first_seq, item.first_seq + item.count)
        )
    ]


def losses(items: list[SpoolItem]) -> list[tuple[str, int, int]]:
    return [(i.reason.value, i.first_seq, i.count) for i in items if isinstance(i, Loss)]


def crashed_copy(folder: Path) -> Path:
    """What another process would find if this one died now."""
    copy = Path(tempfile.mkdtemp(dir=folder.parent, prefix="crashed-"))
    shutil.copytree(folder, copy, dirs_exist_ok=True)
    return copy


def segments(folder: Path) -> list[Path]:
    return sorted(folder.glob("segment-*"))
