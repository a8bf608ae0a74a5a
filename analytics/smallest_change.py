"""The smallest change that makes a day normal: the fewest of its strongest measures, each as large as can be.

Greedy, and today only ever becomes smaller. Something small is preferred to nothing at all, and no bytes go
without files nor files without bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np

from analytics.measures import ACTIVITIES, CARRIED_BY
from analytics.panel import Floats

Place = tuple[str, int]
"""(activity, the measure's place in it)."""
Scored = Callable[[Sequence[Mapping[Place, int]]], Floats]
"""A_day of today with these measures changed, one a variant."""

_STEPS: Final = 24
_ROUNDS: Final = 3


def smallest_change(
    scored: Scored, today: Mapping[Place, int], usual: Mapping[Place, int], line: float
) -> dict[Place, int]:
    """`today`: what may change, strongest first; `usual`: the same as it usually is. Empty where nothing
    brings the day below the line. The caller scores it once more."""
    counts = {_place(activity, count) for (activity, _), count in CARRIED_BY.items()}
    for some in (True, False):
        least = {place: max(value, int(some and place in counts)) for place, value in usual.items()}
        change = _fewest(
            scored, {place: least[place] for place in today if least[place] < today[place]}, line
        )
        if change:
            break
    for place in list(change):
        change[place] = _most(scored, change, place, today[place], line)
    return _coherent(change)


def _fewest(scored: Scored, least: Mapping[Place, int], line: float) -> dict[Place, int]:
    places = list(least)
    if not places:
        return {}
    prefixes = [{place: least[place] for place in places[: i + 1]} for i in range(len(places))]
    normal = np.flatnonzero(scored(prefixes) < line)
    if not len(normal):
        return {}
    chosen = prefixes[int(normal[0])]
    for place in list(chosen):
        without = {other: value for other, value in chosen.items() if other != place}
        if without and scored([without])[0] < line:
            chosen = without
    return chosen


def _most(scored: Scored, change: Mapping[Place, int], place: Place, high: int, line: float) -> int:
    """As much of one measure as still is normal."""
    low = change[place]
    for _ in range(_ROUNDS):
        grid = _grid(low, high)
        fine = scored([{**change, place: value} for value in grid]) < line
        last = int(np.flatnonzero(~fine)[0]) if not fine.all() else len(grid)
        low, high = grid[max(last - 1, 0)], grid[min(last, len(grid) - 1)]
    return low


def _grid(low: int, high: int) -> list[int]:
    steps = np.expm1(np.linspace(np.log1p(low), np.log1p(high), _STEPS))
    return [int(value) for value in np.unique(np.concatenate([[low], steps.round(), [high]]).clip(low, high))]


def _coherent(change: dict[Place, int]) -> dict[Place, int]:
    for (activity, volume), count in CARRIED_BY.items():
        both = _place(activity, volume), _place(activity, count)
        if all(place in change for place in both) and not all(change[place] for place in both):
            change |= dict.fromkeys(both, 0)
    return change


def _place(activity: str, name: str) -> Place:
    return activity, [measure.name for measure in ACTIVITIES[activity]].index(name)
