"""How much is found at which price. Pure.

"At k a day" means k false alerts a day for 1,000 people: each day the k highest scores of those who leak
nothing raise an alert, and whoever had one rests for a week. A leak is found when one of its days scores
above the last of these. So every way of scoring gets exactly the same number of false alerts, and nobody's
threshold is tuned. Where several scores are equal nobody is above: a product that is silent about most days
finds nothing by chance.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
REST_DAYS: Final = 7


class Case(msgspec.Struct, frozen=True):
    """`days`: of the test, from 0."""

    shape: str
    person: int
    days: tuple[int, ...]


class Found(msgspec.Struct, frozen=True):
    """Of one shape: how many there were, and how many were found. `after`: on which of its days, from 1."""

    cases: int
    found: int
    after: tuple[int, ...] = ()


class AlertLoad(msgspec.Struct, frozen=True):
    """False alerts a day."""

    mean: float
    p95: float
    most: int


def found_at(scores: Floats, cases: Sequence[Case], benign: Mask, k_of_1000: float) -> dict[str, Found]:
    """By shape. `scores`: by account and day. `benign`: accounts without a leak, by account and day where
    they are active."""
    lines = _lines(scores, benign, k_of_1000)
    return _by_shape(cases, lambda case, day: bool(scores[case.person, day] > lines[day]))


def found_by(alerted: Mask, cases: Sequence[Case]) -> dict[str, Found]:
    """By shape, from alerts that were raised, by account and day."""
    return _by_shape(cases, lambda case, day: bool(alerted[case.person, day]))


def _by_shape(cases: Sequence[Case], is_found: Callable[[Case, int], bool]) -> dict[str, Found]:
    found: dict[str, Found] = {}
    for case in cases:
        after = next((n for n, day in enumerate(case.days, start=1) if is_found(case, day)), None)
        before = found.get(case.shape, Found(0, 0))
        found[case.shape] = Found(
            before.cases + 1,
            before.found + (after is not None),
            before.after if after is None else (*before.after, after),
        )
    return found


def _lines(scores: Floats, benign: Mask, k_of_1000: float) -> Floats:
    """The score to be above, by day."""
    people, days = scores.shape
    lines = np.full(days, np.inf)
    rests_until = np.zeros(people, dtype=np.int64)
    due = 0.0
    for day in range(days):
        due += k_of_1000 * people / 1000
        slots = int(due)
        due -= slots
        free = np.flatnonzero(benign[:, day] & (rests_until <= day))
        order = free[np.argsort(-scores[free, day], kind="stable")]
        if len(order):
            # On a day without a slot, and on one with few at work, nothing is found more easily.
            lines[day] = scores[order[min(max(slots, 1), len(order)) - 1], day]
        rests_until[order[:slots]] = day + REST_DAYS
    return lines


def area_under_curve(scores: Floats, leaks: Mask, benign: Mask) -> float | None:
    """How often a day of a leak scores above a harmless one; equal counts half. None without either."""
    bad, good = scores[leaks], np.sort(scores[benign])
    if not len(bad) or not len(good):
        return None
    below = np.searchsorted(good, bad, "left")
    equal = np.searchsorted(good, bad, "right") - below
    return float((below + 0.5 * equal).sum() / (len(bad) * len(good)))


def alert_load(alerted: Mask, benign: Mask) -> AlertLoad:
    """Of those who leak nothing."""
    a_day = (alerted & benign).sum(axis=0)
    return AlertLoad(float(a_day.mean()), float(np.percentile(a_day, 95)), int(a_day.max()))


def recall(found: Mapping[str, Found]) -> float:
    """Over all cases."""
    cases = sum(each.cases for each in found.values())
    return sum(each.found for each in found.values()) / cases if cases else 0.0


def together(several: Sequence[Mapping[str, Found]]) -> dict[str, Found]:
    """Of several seeds."""
    shapes = dict.fromkeys(shape for each in several for shape in each)
    return {
        shape: Found(
            sum(each[shape].cases for each in several if shape in each),
            sum(each[shape].found for each in several if shape in each),
            tuple(after for each in several if shape in each for after in each[shape].after),
        )
        for shape in shapes
    }
