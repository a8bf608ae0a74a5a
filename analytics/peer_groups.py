"""What is usual among the members of a peer group, from their histories."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Final

import numpy as np

from analytics.storage_day import DayType, HistoryDay
from analytics.storage_features import (
    BURST_DAYS,
    RAW_NAMES,
    SUM_DAYS,
    PeerDayStats,
    PeerStats,
    PeerSumStats,
    own_usual,
    standard_deviation,
    window_sums,
)

MEMBERS_MIN: Final = 5
"""A smaller group tells more about its members than about what is usual; the organisation stands in."""
_DAYS_MIN: Final = 3
_PERCENTILES: Final = tuple(range(101))


def peer_stats(members: Sequence[Sequence[HistoryDay]]) -> PeerStats:
    """Statistics over the members' histories, each most recent day first."""
    return PeerStats(
        _day_stats(members, "work"),
        _day_stats(members, "off"),
        _sum_stats(members),
        _percentiles(members),
    )


def _day_stats(members: Sequence[Sequence[HistoryDay]], day_type: DayType) -> PeerDayStats:
    usual = [u for u in (own_usual(days, day_type) for days in members) if u.days >= _DAYS_MIN]
    if not usual:
        zeros = (0.0,) * len(RAW_NAMES)
        return PeerDayStats(zeros, zeros)
    return PeerDayStats(
        tuple(statistics.median(u.q90[i] for u in usual) for i in range(len(RAW_NAMES))),
        tuple(_root_mean_square([u.sd[i] for u in usual]) for i in range(len(RAW_NAMES))),
    )


def _sum_stats(members: Sequence[Sequence[HistoryDay]]) -> PeerSumStats:
    mean, between, over_time = [], [], []
    for width in SUM_DAYS:
        sums = [found for found in (window_sums(days, width, 0) for days in members) if found]
        pooled = [x for found in sums for x in found]
        mean.append(math.fsum(pooled) / len(pooled) if pooled else 0.0)
        between.append(standard_deviation(pooled))
        over_time.append(_root_mean_square([standard_deviation(found) for found in sums]))
    return PeerSumStats(tuple(mean), tuple(between), tuple(over_time))


def _percentiles(members: Sequence[Sequence[HistoryDay]]) -> tuple[tuple[int, ...], ...]:
    seen = [day.storage for days in members for day in days[:BURST_DAYS] if day.storage is not None]
    if not seen:
        return ()
    table = np.array([(day.bytes, day.files, day.new_devices) for day in seen], dtype=np.float64)
    columns = np.percentile(table, _PERCENTILES, axis=0, method="higher").T
    return tuple(tuple(int(value) for value in column) for column in columns)


def _root_mean_square(values: Sequence[float]) -> float:
    return math.sqrt(math.fsum(v * v for v in values) / len(values)) if values else 0.0
