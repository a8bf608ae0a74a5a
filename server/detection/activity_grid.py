"""The grid on which a running day of an activity is scored again: each step is 25 % more of a measure, bytes
in megabytes, or a further place. So what a day comes to depends on its events, not on how they were cut into
batches, and a copy of 100,000 files is scored about 60 times. Pure.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from analytics.measures import ACTIVITIES, MEGABYTE, VALUE_MAX, Measure

_STEP: Final = 1.25
_NEVER: Final = 2**62


class Moved(NamedTuple):
    """`slow`: one of the measures that are watched for drift."""

    any: bool
    slow: bool


def _first_of_each_step() -> list[int]:
    """The smallest whole number on each step, up to VALUE_MAX."""
    firsts: list[int] = []
    value = 1
    while value <= VALUE_MAX:
        firsts.append(value)
        value = max(value + 1, math.ceil(value * _STEP))
    return firsts


def _of(measure: Measure) -> tuple[tuple[int, ...], bool]:
    if measure.unit == "bytes":
        # The first byte counts: that something was done at all may be rare.
        return (1, *(first * MEGABYTE for first in _COUNTS if first * MEGABYTE <= VALUE_MAX)), measure.slow
    return _COUNTS, measure.slow


_COUNTS: Final = tuple(_first_of_each_step())
_STEPS: Final[Mapping[str, tuple[tuple[tuple[int, ...], bool], ...]]] = {
    activity: tuple(map(_of, measures)) for activity, measures in ACTIVITIES.items()
}
NOTHING_YET: Final = {activity: (0,) * len(measures) for activity, measures in ACTIVITIES.items()}


def moved(activity: str, before: Sequence[int], after: Sequence[int]) -> Moved:
    """Between two amounts of a day, in the order of the registry."""
    found = slow = False
    for (firsts, is_slow), old, new in zip(_STEPS[activity], before, after, strict=True):
        if new != old and bisect_right(firsts, new) != bisect_right(firsts, old):
            found = True
            slow |= is_slow
    return Moved(found, slow)


def to_next_step(activity: str, amounts: Sequence[int]) -> list[int]:
    """How much more of each measure brings the day to the next step of the grid."""
    return [
        firsts[step] - amount if (step := bisect_right(firsts, amount)) < len(firsts) else _NEVER
        for (firsts, _), amount in zip(_STEPS[activity], amounts, strict=True)
    ]


def number_of(places: Sequence[Sequence[int]]) -> tuple[int, ...]:
    """How many places of each kind."""
    return tuple(map(len, places))
