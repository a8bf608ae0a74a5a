"""What a correlation computes over its window, kept up to date as events come in and fall out.

Sums are exact (Python's integers, fractions for floats), so that what was added and taken away again leaves
no trace, and a window gives the same value however it came to be.
"""

from __future__ import annotations

import bisect
from collections import Counter
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, Final, Protocol

from policies.correlation.definition import Correlation, Number

_NEVER: Final = -(1 << 62)

Values = tuple[Any, ...]
"""Of one event: texts for value_count, numbers for sums and the like, else nothing."""


class Aggregate(Protocol):
    """`seen`: the sources in the window, as a mask; only temporal correlations ask for it."""

    seen: int

    def add(self, time: int, mask: int, values: Values) -> None: ...
    def remove(self, mask: int, values: Values) -> None: ...
    def value(self, start: int) -> Number | None:
        """Of the window that begins at `start` (ms). None: nothing to compare."""
        ...


def new_aggregate(correlation: Correlation) -> Aggregate:
    make = _MAKERS.get(correlation.kind)
    if make is not None:
        return make()
    if correlation.kind.startswith("value_"):
        return _Percentile(50 if correlation.kind == "value_median" else correlation.percentile)
    if correlation.kind == "temporal":
        return _Seen(len(correlation.sources))
    return _InOrder(len(correlation.sources), correlation.ordered_mask)


class _EventCount:
    def __init__(self) -> None:
        self.seen = 0
        self._count = 0

    def add(self, time: int, mask: int, values: Values) -> None:
        self._count += 1

    def remove(self, mask: int, values: Values) -> None:
        self._count -= 1

    def value(self, start: int) -> Number | None:
        return self._count


class _ValueCount:
    def __init__(self) -> None:
        self.seen = 0
        self._counts: Final[Counter[Any]] = Counter()

    def add(self, time: int, mask: int, values: Values) -> None:
        self._counts.update(values)

    def remove(self, mask: int, values: Values) -> None:
        for value in values:
            left = self._counts[value] - 1
            if left:
                self._counts[value] = left
            else:
                del self._counts[value]

    def value(self, start: int) -> Number | None:
        return len(self._counts)


class _Sum:
    def __init__(self) -> None:
        self.seen = 0
        self._total: int | Fraction = 0
        self._count = 0

    def add(self, time: int, mask: int, values: Values) -> None:
        self._total += sum(map(exact, values))
        self._count += len(values)

    def remove(self, mask: int, values: Values) -> None:
        self._total -= sum(map(exact, values))
        self._count -= len(values)

    def value(self, start: int) -> Number | None:
        return self._total


class _Average(_Sum):
    def value(self, start: int) -> Number | None:
        return Fraction(self._total, self._count) if self._count else None


class _Percentile:
    """With linear interpolation between the two values that lie next to it."""

    def __init__(self, percentile: int) -> None:
        self.seen = 0
        self._percentile: Final = percentile
        self._sorted: Final[list[int | Fraction]] = []

    def add(self, time: int, mask: int, values: Values) -> None:
        for value in values:
            bisect.insort(self._sorted, exact(value))

    def remove(self, mask: int, values: Values) -> None:
        for value in values:
            del self._sorted[bisect.bisect_left(self._sorted, exact(value))]

    def value(self, start: int) -> Number | None:
        return percentile_of(self._sorted, self._percentile)


def percentile_of(ordered: Sequence[int | Fraction], percentile: int) -> Fraction | None:
    if not ordered:
        return None
    place, part = divmod(percentile * (len(ordered) - 1), 100)
    low = ordered[place]
    high = ordered[min(place + 1, len(ordered) - 1)]
    return low + (high - low) * Fraction(part, 100)


class _Seen:
    """How many of the sources were seen."""

    def __init__(self, sources: int) -> None:
        self.seen = 0
        self._counts: Final = [0] * sources

    def add(self, time: int, mask: int, values: Values) -> None:
        self.seen |= mask
        counts = self._counts
        while mask:
            counts[(mask & -mask).bit_length() - 1] += 1
            mask &= mask - 1

    def remove(self, mask: int, values: Values) -> None:
        while mask:
            at = (mask & -mask).bit_length() - 1
            mask &= mask - 1
            self._counts[at] -= 1
            if not self._counts[at]:
                self.seen &= ~(1 << at)

    def value(self, start: int) -> Number | None:
        return self.seen.bit_count()


class _InOrder(_Seen):
    """How many of the sources were seen one after the other, where the same time is in the events' order."""

    def __init__(self, sources: int, ordered_mask: int) -> None:
        super().__init__(sources)
        self._ordered_mask: Final = ordered_mask
        self._starts: Final[list[list[int]]] = [[_NEVER] * sources for _ in range(sources)]
        """[length - 1][source]: the latest start of a chain of this length that ends with this source."""
        self._latest: Final[list[int]] = [_NEVER] * sources
        """[length - 1]: of them the latest. Starts only grow, for events are added in the order of time."""
        self._longest = 0

    def add(self, time: int, mask: int, values: Values) -> None:
        super().add(time, mask, values)
        starts, latest = self._starts, self._latest
        left = mask & self._ordered_mask
        while left:
            at = (left & -left).bit_length() - 1
            left &= left - 1
            starts[0][at] = latest[0] = time
            if not self._longest:
                self._longest = 1
            for length in range(1, min(at, self._longest) + 1):
                begun = max(starts[length - 1][:at])
                if begun == _NEVER:
                    break
                starts[length][at] = begun
                if begun > latest[length]:
                    latest[length] = begun
                    self._longest = max(self._longest, length + 1)

    def value(self, start: int) -> Number | None:
        for length in range(self._longest, 0, -1):
            if self._latest[length - 1] >= start:
                return length
        return 0


def exact(value: float | Fraction) -> int | Fraction:
    """The number as it is, whole where it is whole."""
    if isinstance(value, int):
        return value
    return int(value) if value == int(value) else Fraction(value)


_MAKERS: Final[dict[str, Callable[[], Aggregate]]] = {
    "event_count": _EventCount,
    "value_count": _ValueCount,
    "value_sum": _Sum,
    "value_avg": _Average,
}
