"""Which events, as ranges of numbers: what stays of many events when only their numbers matter.

An event's name is a number, or a text that ends in one of sixteen hexadecimal digits: what stands before is
the series that the number counts in. Another text is a series of its own.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Mapping
from typing import Final

EventId = int | str
RANGES_MOST: Final = 1_000
"""Of one series; beyond that the smallest gaps are closed."""
_DIGITS: Final = 16


class EventSpans:
    """A set of events. Each series is a flat list: first, end, first, end … strictly rising; ends are
    exclusive."""

    __slots__ = ("_series", "count")

    def __init__(self, kept: Mapping[str, list[int]] | None = None) -> None:
        self._series: dict[str, list[int]] = {}
        self.count = 0
        """Of ranges."""
        for series, steps in (kept or {}).items():
            at, found = 0, []
            for step in steps:
                at += step
                found.append(at)
            self._series[series] = found
            self.count += len(found) // 2

    def add(self, event: EventId) -> None:
        series, number = _parts(event)
        bounds = self._series.get(series)
        if bounds is not None and bounds[-1] == number:
            # Most follow the one before.
            bounds[-1] = number + 1
        else:
            self._add_range(series, number, number)

    def update(self, other: EventSpans) -> None:
        for series, first, last in other.ranges():
            self._add_range(series, first, last)

    def _add_range(self, series: str, first: int, last: int) -> None:
        bounds = self._series.setdefault(series, [])
        before, after = len(bounds), last + 1
        if not bounds or first > bounds[-1]:
            bounds += (first, after)
        else:
            begin, end = bisect.bisect_left(bounds, first), bisect.bisect_right(bounds, after)
            # An odd place is within a range, or at its end: that one's bound stays.
            bounds[begin:end] = [*([] if begin % 2 else [first]), *([] if end % 2 else [after])]
        if len(bounds) > 2 * RANGES_MOST:
            self._series[series] = bounds = _closed(bounds)
        self.count += (len(bounds) - before) // 2

    def ranges(self) -> Iterator[tuple[str, int, int]]:
        """(series, first, last), in order."""
        for series, bounds in sorted(self._series.items()):
            for at in range(0, len(bounds), 2):
                yield series, bounds[at], bounds[at + 1] - 1

    def kept(self) -> dict[str, list[int]]:
        """Each number as its distance from the one before: small ones take a byte."""
        return {
            series: [number - before for before, number in zip([0, *bounds], bounds, strict=False)]
            for series, bounds in sorted(self._series.items())
        }


def _parts(event: EventId) -> tuple[str, int]:
    if isinstance(event, int):
        return "", event
    try:
        return event[:-_DIGITS], int(event[-_DIGITS:], 16)
    except ValueError:
        return event, 0


def _closed(bounds: list[int]) -> list[int]:
    """With a tenth of the ranges fewer."""
    gaps = sorted(range(1, len(bounds) - 1, 2), key=lambda at: (bounds[at + 1] - bounds[at], at))
    going = {at + side for at in gaps[: RANGES_MOST // 10] for side in (0, 1)}
    return [number for at, number in enumerate(bounds) if at not in going]
