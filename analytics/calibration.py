"""Scores to empirical p-values, by day type and peer group.

p = (1 + #{calibration >= s}) / (n + 1) up to the 98th percentile u; above it the tail is taken as
exponential: P(> u) · exp(−(s − u) / mean excess), where P(> u) = (1 + #{calibration > u}) / (n + 1): about
.02, more in small pools, less where ties make it less. A group's own p counts by its size: ln p =
a·ln p_group + (1 − a)·ln p_all with a = n / (n + 500). Days of different type are never mixed: quiet
weekends would take the whole alert budget.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from analytics.storage_day import DayType

P_MIN: Final = 1e-9
_TAIL: Final = 0.02
_GROUP_PSEUDO_COUNT: Final = 500.0
_POOL_MIN: Final = 50
"""With fewer calibration days of a type, those of both types are used together."""


class Pool(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Calibration scores in rising order, and the tail fitted to them."""

    scores: list[float]
    tail_start: float
    tail_share: float
    mean_excess: float

    def p(self, score: float) -> float:
        n = len(self.scores)
        if not n:
            return 1.0
        if score > self.tail_start and self.mean_excess > 0:
            tail = self.tail_share * math.exp(-(score - self.tail_start) / self.mean_excess)
            return max(tail, P_MIN)
        at_least = n - bisect_left(self.scores, score)
        return (1 + at_least) / (n + 1)


class Calibration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One voter's calibration: everybody's pool by day type, and each peer group's."""

    everybody: dict[DayType, Pool]
    groups: dict[DayType, dict[str, Pool]]

    def p(self, score: float, day_type: DayType, peer_group: str) -> float:
        """P-value in P_MIN..1 of a score; higher scores are stranger."""
        overall = self.everybody[day_type].p(score)
        pool = self.groups[day_type].get(peer_group)
        if pool is None:
            return overall
        n = len(pool.scores)
        weight = n / (n + _GROUP_PSEUDO_COUNT)
        return math.exp(weight * math.log(pool.p(score)) + (1 - weight) * math.log(overall))


def make_pool(scores: Iterable[float]) -> Pool:
    """Raises ValueError on NaN."""
    rising = sorted(scores)
    if any(math.isnan(score) for score in rising):
        raise ValueError("a calibration score is not a number")
    if not rising:
        return Pool([], 0.0, 0.0, 0.0)
    n = len(rising)
    start = rising[min(math.floor((1 - _TAIL) * n), n - 1)]
    above = rising[bisect_right(rising, start) :]
    if not above:
        return Pool(rising, start, 1 / (n + 1), 0.0)
    mean_excess = math.fsum(score - start for score in above) / len(above)
    return Pool(rising, start, (1 + len(above)) / (n + 1), mean_excess)


def calibrate(scores: Iterable[tuple[float, DayType, str]]) -> Calibration:
    """From (score, day type, peer group) of the calibration days."""
    by_type: dict[DayType, list[float]] = {"work": [], "off": []}
    by_group: dict[DayType, dict[str, list[float]]] = {"work": defaultdict(list), "off": defaultdict(list)}
    for score, day_type, group in scores:
        by_type[day_type].append(score)
        by_group[day_type][group].append(score)
    both = by_type["work"] + by_type["off"]
    return Calibration(
        {
            day_type: make_pool(found if len(found) >= _POOL_MIN else both)
            for day_type, found in by_type.items()
        },
        {day_type: _pools(found) for day_type, found in by_group.items()},
    )


def combined_strangeness(p_forest: float, p_zsum: float) -> float:
    """e = −½(ln p_forest + ln p_zsum): both voters count alike."""
    return -0.5 * (math.log(p_forest) + math.log(p_zsum))


def anomaly_p(p: float, weight: float = 1.0) -> float:
    """The p-value under a prior weight (people on notice weigh more), within P_MIN..1."""
    if weight <= 0:
        raise ValueError(f"weight {weight} is not positive")
    return min(max(p / weight, P_MIN), 1.0)


def anomaly_points(p: float, alert_line_p: float) -> float:
    """0–100: 50 at the alert line, each tenfold rarity halves the gap to 100, 0 from ten times it on."""
    return 100 * max(0.0, 1 - math.pow(p / (10 * alert_line_p), 0.301))


def _pools(by_group: Mapping[str, list[float]]) -> dict[str, Pool]:
    return {group: make_pool(found) for group, found in sorted(by_group.items()) if len(found) >= _POOL_MIN}
