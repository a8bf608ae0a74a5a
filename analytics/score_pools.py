"""Scores to empirical p-values by day type and peer group, for many subjects at once.

p = (1 + #{calibration >= s}) / (n + 1) up to the 98th percentile u; above it the tail is taken as
exponential: P(> u) · exp(−(s − u) / mean excess). A group's own p counts by its size: ln p =
a·ln p_group + (1 − a)·ln p_all with a = n / (n + 500). Days of different type are never mixed: quiet
weekends would take the whole alert budget.

A pool keeps at most 2,000 scores for everybody and 500 for a group, at evenly spaced ranks; between two kept
scores the count is taken at its upper end, so that p is never too small and a company of 50,000 costs as
much as one of 1,000.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from analytics.panel import Flags, Floats

P_MIN: Final = 1e-9
_TAIL: Final = 0.02
_GROUP_PSEUDO_COUNT: Final = 500.0
_POOL_MIN: Final = 50
"""With fewer calibration days of a type, those of both types are used; a group's pool is left out."""
_KEPT_ALL: Final = 2_000
_KEPT_GROUP: Final = 500


class ScorePools(msgspec.Struct, frozen=True, eq=False):
    """Pool number = day type (0 work, 1 off) · (groups + 1) + group; the last group is everybody."""

    kept: Floats
    """All pools' kept scores, each pool's in rising order."""
    ranks: Floats
    """How many of the pool's scores lie below the kept one by rank (its position among all n)."""
    starts: NDArray[np.int64]
    """(pools + 1,): where each pool begins in `kept`."""
    counts: Floats
    """(pools,): n, 0 for a pool that is left out."""
    tail_start: Floats
    tail_share: Floats
    mean_excess: Floats

    @property
    def groups(self) -> int:
        return len(self.counts) // 2 - 1

    def p(self, scores: Floats, off: bool, group: NDArray[np.intp]) -> Floats:
        """P-values in P_MIN..1 of scores (higher is stranger) of subjects on a day of this type."""
        everybody = self.groups
        base = int(off) * (everybody + 1)
        overall = self._pool_p(scores, base + everybody)
        log_p = np.log(overall)
        for each in np.unique(group):
            n = self.counts[base + each]
            if each == everybody or not n:
                continue
            rows = np.flatnonzero(group == each)
            weight = n / (n + _GROUP_PSEUDO_COUNT)
            own = np.log(self._pool_p(scores[rows], base + int(each)))
            log_p[rows] = weight * own + (1 - weight) * log_p[rows]
        return np.clip(np.exp(log_p), P_MIN, 1.0)

    def _pool_p(self, scores: Floats, pool: int) -> Floats:
        n = float(self.counts[pool])
        if not n:
            return np.ones(len(scores))
        part = slice(int(self.starts[pool]), int(self.starts[pool + 1]))
        kept, ranks = self.kept[part], self.ranks[part]
        position = np.searchsorted(kept, scores, side="left")
        below = np.where(position > 0, ranks[np.maximum(position - 1, 0)] + 1, 0.0)
        p = (1 + n - below) / (n + 1)
        excess = self.mean_excess[pool]
        if excess > 0:
            over = scores - self.tail_start[pool]
            tail = self.tail_share[pool] * np.exp(-np.maximum(over, 0.0) / excess)
            p = np.where(over > 0, tail, p)
        return np.clip(p, P_MIN, 1.0)


def fit_pools(scores: Floats, off: Flags, group: NDArray[np.intp], groups: int) -> ScorePools:
    """From calibration days: one score, day type and group row each. Raises ValueError on NaN."""
    if not np.isfinite(scores).all():
        raise ValueError("a calibration score is not a finite number")
    pools = []
    for off_day in (False, True):
        of_type = off == off_day
        for each in range(groups):
            own = scores[of_type & (group == each)]
            pools.append(_pool(own if len(own) >= _POOL_MIN else own[:0], _KEPT_GROUP))
        pools.append(_pool(scores[of_type] if of_type.sum() >= _POOL_MIN else scores, _KEPT_ALL))
    kept, ranks, counts, tails = zip(*pools, strict=True)
    starts = np.concatenate([[0], np.cumsum([len(part) for part in kept])]).astype(np.int64)
    start, share, excess = np.array(tails, dtype=np.float64).T
    return ScorePools(
        np.concatenate(kept), np.concatenate(ranks), starts, np.array(counts), start, share, excess
    )


def strangeness(p_forest: Floats, p_zsum: Floats) -> Floats:
    """e = −ln min(p_forest, p_zsum): the voter that finds more. Calibrated again with T."""
    found: Floats = -np.log(np.minimum(p_forest, p_zsum))
    return found


def joint_strangeness(p_forest: Floats, p_largest: Floats) -> Floats:
    """e = −½(ln p_forest + ln p_largest): both voters count alike."""
    found: Floats = -0.5 * (np.log(p_forest) + np.log(p_largest))
    return found


def anomaly_points(p: Floats, line: float) -> Floats:
    """0–100: 50 at the alert line, each tenfold rarity halves the gap to 100, 0 from ten times it on."""
    found: Floats = 100 * np.maximum(0.0, 1 - np.power(p / (10 * line), math.log10(2)))
    return found


def _pool(scores: Floats, kept_max: int) -> tuple[Floats, Floats, float, Sequence[float]]:
    n = len(scores)
    rising = np.sort(scores)
    if not n:
        return rising, rising, 0.0, (0.0, 0.0, 0.0)
    ranks = np.unique(np.linspace(0, n - 1, min(n, kept_max)).round().astype(np.intp))
    start = float(rising[min(math.floor((1 - _TAIL) * n), n - 1)])
    above = rising[np.searchsorted(rising, start, side="right") :]
    share = (1 + len(above)) / (n + 1)
    excess = float((above - start).mean()) if len(above) else 0.0
    return rising[ranks], ranks.astype(np.float64), float(n), (start, share, excess)
