"""In which hours of the week somebody is active, from the times of their stored events.

Blocks of events are opened for it, the latest first, up to BLOCKS_MAX; what is older is not counted, and the
answer says so. An hour is odd where, outside of what is usual, something happened on few days only.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Sequence
from typing import Final

import msgspec
from sqlalchemy import Connection, select

from event_schema.wire import EVENTS_PER_RECORD_MAX
from server.alerts.event_ranges import EventRange, joined
from server.people.working_hours import parse_hours
from server.pipeline.leaver_entries import DamagedEntries, current_entries, later_versions
from server.store.tables import event_blocks, subject_events

BLOCKS_MAX: Final = 1_500
_RANGES_MAX: Final = 20_000
_AT_ONCE: Final = 400
_ODD_FROM: Final = 3
_ODD_SHARE: Final = 0.02
_WEEK: Final = 7
_SATURDAY: Final = 5
_MONDAY_OFFSET: Final = 3
_KEPT: Final = 256
_KEPT_MS: Final = 300_000

LocalTime = Callable[[int], tuple[int, int]]
"""(local day, minute of the day) of a time."""


class HoursOfWeek(msgspec.Struct, frozen=True):
    """`cells`: seven days from Monday on, of 24 hours. `odd`: (day, hour). `whole`: all events were read."""

    cells: tuple[tuple[int, ...], ...]
    odd: tuple[tuple[int, int], ...]
    events: int
    whole: bool


class KeptHours:
    """The latest answers, for five minutes each: blocks are slow to open."""

    def __init__(self, _owner: object = None) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, int, int, int], tuple[int, HoursOfWeek]] = OrderedDict()

    def of(self, key: tuple[str, int, int, int], make: Callable[[], HoursOfWeek], *, now: int) -> HoursOfWeek:
        """`key`: subject, first and last day, version of the people. now: ms UTC."""
        with self._lock:
            kept = self._kept.get(key)
        if kept is not None and 0 <= now - kept[0] < _KEPT_MS:
            return kept[1]
        found = make()
        with self._lock:
            self._kept[key] = (now, found)
            self._kept.move_to_end(key)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return found


def hours_of_week(
    connection: Connection,
    subject: str,
    first: int,
    last: int,
    local: LocalTime,
    works: Callable[[int, int], bool],
) -> HoursOfWeek:
    """Of local days `first` to `last`. `works`: whether the company works at that (day of the week, hour)."""
    ranges, all_ranges = _ranges(connection, subject, first, last)
    times, all_blocks = _times(connection, ranges)
    counts: Counter[tuple[int, int]] = Counter()
    days: dict[tuple[int, int], set[int]] = defaultdict(set)
    for time in times:
        day, minute = local(time)
        if first <= day <= last:
            cell = ((day + _MONDAY_OFFSET) % _WEEK, minute // 60)
            counts[cell] += 1
            days[cell].add(day)
    total = sum(counts.values())
    weeks = max(1, (last - first + 1) // _WEEK)
    by_hour: Counter[int] = Counter()
    for (_, hour), count in counts.items():
        by_hour[hour] += count
    odd = [
        cell
        for cell, count in counts.items()
        if count >= _ODD_FROM
        and len(days[cell]) <= max(1, weeks // 4)
        and (not works(*cell) or by_hour[cell[1]] < _ODD_SHARE * total)
    ]
    cells = tuple(tuple(counts[weekday, hour] for hour in range(24)) for weekday in range(_WEEK))
    return HoursOfWeek(cells, tuple(sorted(odd)), total, all_ranges and all_blocks)


def works_at(working_hours: str) -> Callable[[int, int], bool]:
    """Whether the company works at a (day of the week, hour): Monday to Friday, in these hours
    ("08:00-19:00"), or in all hours where nobody named any."""
    first, end = parse_hours(working_hours) if working_hours else (0, 24 * 60)

    def works(weekday: int, hour: int) -> bool:
        begin = hour * 60
        if first < end:
            return weekday < _SATURDAY and first < begin + 60 and begin < end
        # What goes over midnight belongs to the day on which it began.
        if begin < end:
            return (weekday - 1) % _WEEK < _SATURDAY
        return weekday < _SATURDAY and begin + 60 > first

    return works


def _ranges(connection: Connection, subject: str, first: int, last: int) -> tuple[list[EventRange], bool]:
    row = subject_events.c
    columns = (row[name] for name in EventRange.__struct_fields__)
    query = (
        select(*columns)
        .where(row.subject == subject, row.day.between(first, last))
        .order_by(row.day.desc())
        .limit(_RANGES_MAX + 1)
    )
    found = [EventRange(*each) for each in connection.execute(query)]
    return joined(found[:_RANGES_MAX]), len(found) <= _RANGES_MAX


def _times(connection: Connection, ranges: Sequence[EventRange]) -> tuple[list[int], bool]:
    """Times of the events of these ranges, of the latest blocks."""
    spools: dict[tuple[str, str], list[EventRange]] = defaultdict(list)
    for each in ranges:
        spools[each.agent, each.epoch].append(each)
    wanted: list[tuple[int, int, tuple[str, str]]] = []
    for spool, own in spools.items():
        wanted += ((received, block, spool) for received, block in _blocks(connection, spool, own))
    wanted.sort(reverse=True)
    taken = {block: spool for _, block, spool in wanted[:BLOCKS_MAX]}
    times: dict[tuple[tuple[str, str], int], int] = {}
    ids = list(taken)
    row = event_blocks.c
    for start in range(0, len(ids), _AT_ONCE):
        part = ids[start : start + _AT_ONCE]
        later = later_versions(connection, part)
        query = select(row.id, row.first_seq, row.count, row.leaver).where(row.id.in_(part))
        for block, first_seq, count, leaver in connection.execute(query):
            spool = taken[block]
            try:
                entries = current_entries(leaver, later.get(block, ()), count)
            except DamagedEntries:
                continue
            starts = [each.first_seq for each in spools[spool]]
            for index, entry in enumerate(entries):
                at = bisect_right(starts, first_seq + index) - 1
                if entry is not None and at >= 0 and first_seq + index <= spools[spool][at].last_seq:
                    times.setdefault((spool, first_seq + index), entry[0])
    return list(times.values()), len(wanted) <= BLOCKS_MAX


def _blocks(
    connection: Connection, spool: tuple[str, str], ranges: Sequence[EventRange]
) -> list[tuple[int, int]]:
    """(received, id) of the spool's blocks that overlap one of the ranges, which ascend."""
    row = event_blocks.c
    query = select(row.id, row.first_seq, row.count, row.received_at).where(
        row.agent == spool[0],
        row.epoch == spool[1],
        row.first_seq.between(ranges[0].first_seq - EVENTS_PER_RECORD_MAX + 1, ranges[-1].last_seq),
    )
    starts = [each.first_seq for each in ranges]
    found = []
    for block, first_seq, count, received in connection.execute(query):
        at = bisect_right(starts, first_seq + count - 1) - 1
        if at >= 0 and ranges[at].last_seq >= first_seq:
            found.append((received, block))
    return found
