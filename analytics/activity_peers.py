"""What is usual among the members of each peer group, as of the training range's last day.

Arrays have one row a group and a last row for everybody, which stands in for groups that are too small:
a group of four tells more about its members than about what is usual.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from analytics.measures import Measure
from analytics.own_history import BURST_DAYS, OWN_DAYS, SUM_DAYS, own_usual, window_sums
from analytics.panel import ActivityDays, Flags, Floats, log_values

MEMBERS_MIN: Final = 5
_OF_ROLE: Final = " / "
_CHARACTERS: Final = 256
_DAYS_MIN: Final = 3
_PERCENTILES: Final = np.arange(101)


class Groups(msgspec.Struct, frozen=True):
    """The peer groups that have enough members, in order of their names. A department's holds all of it,
    also those who have a group of their own role."""

    names: tuple[str, ...]

    def rows(self, peer_groups: Sequence[str]) -> NDArray[np.intp]:
        """Each one's row; where the group is unknown or too small its department's, and where that is too
        the last row, everybody's."""
        at = {name: i for i, name in enumerate(self.names)}
        last = len(self.names)
        return np.array([at.get(group, at.get(_department(group), last)) for group in peer_groups], np.intp)


class ActivityPeers(msgspec.Struct, frozen=True, eq=False):
    """Of one activity; of ln(1 + value) but for the percentiles."""

    q90: Floats
    """(work and off, groups + 1, measures): median of the members' own 90th percentiles."""
    sd: Floats
    """The same shape: root mean square of the members' own standard deviations."""
    sum_mean: Floats
    """(groups + 1, windows, volumes), as the following, of the sums over 7 and 28 days."""
    sum_sd: Floats
    """Between the members."""
    sum_own_sd: Floats
    """Root mean square of the members' own standard deviations over time."""
    percentiles: Floats
    """(groups + 1, measures, 101): raw values at the 0th … 100th percentile of the members' days seen."""


def group_name(department: str | None, job_role: str | None) -> str:
    """Of a peer group: those of one department who have the same role."""
    whole = (department or "").replace(_OF_ROLE, "/")
    return (f"{whole}{_OF_ROLE}{job_role}" if job_role else whole)[:_CHARACTERS]


def _department(group: str) -> str:
    return group.partition(_OF_ROLE)[0]


def peer_groups(groups: Sequence[str]) -> Groups:
    """`groups`: each one's group_name."""
    counted = Counter(groups)
    counted.update(_department(group) for group in groups if _OF_ROLE in group)
    return Groups(tuple(str(name) for name in sorted(counted) if counted[name] >= MEMBERS_MIN))


def members(peer_groups: Sequence[str], groups: Groups) -> list[NDArray[np.intp]]:
    """Numbers of each group's members; the last entry is everybody."""
    found: dict[str, list[int]] = {name: [] for name in groups.names}
    for number, group in enumerate(peer_groups):
        for name in {group, _department(group)} & found.keys():
            found[name].append(number)
    return [*(np.array(numbers, dtype=np.intp) for numbers in found.values()), np.arange(len(peer_groups))]


def activity_peers(
    days: ActivityDays, off: Flags, of_group: Sequence[NDArray[np.intp]], measures: Sequence[Measure]
) -> ActivityPeers:
    """`of_group`: from members()."""
    values, seen, off = days.values[:, -OWN_DAYS:], days.seen[:, -OWN_DAYS:], off[-OWN_DAYS:]
    x = log_values(values, measures)
    q90, sd = [], []
    for off_day in (False, True):
        usual = own_usual(x, seen, off == off_day)
        known = usual.days >= _DAYS_MIN
        q90.append([_median(usual.q90[rows[known[rows]]]) for rows in of_group])
        sd.append([_root_mean(usual.variance[rows[known[rows]]]) for rows in of_group])
    volumes = [i for i, m in enumerate(measures) if m.volume]
    sums = [_sums(values, seen, volumes, measures, width, of_group) for width in SUM_DAYS]
    mean, between, over_time = (np.stack(parts, axis=1) for parts in zip(*sums, strict=True))
    return ActivityPeers(
        np.array(q90), np.array(sd), mean, between, over_time, _percentiles(values, seen, of_group)
    )


def _sums(
    values: NDArray[np.int64],
    seen: Flags,
    volumes: list[int],
    measures: Sequence[Measure],
    width: int,
    of_group: Sequence[NDArray[np.intp]],
) -> tuple[Floats, Floats, Floats]:
    recent = slice(-(width + BURST_DAYS - 1), None)
    picked = [measures[i] for i in volumes]
    if values.shape[1] < width:
        nothing = np.zeros((len(of_group), len(volumes)))
        return nothing, nothing, nothing
    sums = window_sums(values[:, recent, volumes], seen[:, recent], picked, width)
    known = ~np.isnan(sums)
    count = known.sum(axis=1)
    own_mean = np.where(known, sums, 0.0).sum(axis=1) / np.maximum(count, 1)
    deviation = np.where(known, sums - own_mean[:, None], 0.0)
    own_variance = (deviation**2).sum(axis=1) / np.maximum(count - 1, 1)
    mean, between, over_time = [], [], []
    for rows in of_group:
        there = known[rows]
        total = np.maximum(there.sum(axis=(0, 1)), 1)
        pooled = np.where(there, sums[rows], 0.0).sum(axis=(0, 1)) / total
        spread = np.where(there, sums[rows] - pooled, 0.0)
        mean.append(pooled)
        between.append(np.sqrt((spread**2).sum(axis=(0, 1)) / np.maximum(total - 1, 1)))
        over_time.append(_root_mean(own_variance[rows[(count[rows] > 0).any(axis=1)]]))
    return np.array(mean), np.array(between), np.array(over_time)


def _percentiles(
    values: NDArray[np.int64], seen: Flags, of_group: Sequence[NDArray[np.intp]]
) -> NDArray[np.float64]:
    recent, recent_seen = values[:, -BURST_DAYS:], seen[:, -BURST_DAYS:]
    found = []
    for rows in of_group:
        days = recent[rows][recent_seen[rows]].astype(np.float64)
        if len(days):
            found.append(np.percentile(days, _PERCENTILES, axis=0, method="higher").T)
        else:
            found.append(np.zeros((values.shape[2], len(_PERCENTILES))))
    return np.array(found)


def _median(rows: Floats) -> Floats:
    return np.median(rows, axis=0) if len(rows) else np.zeros(rows.shape[1])


def _root_mean(variances: Floats) -> Floats:
    found: Floats = np.sqrt(variances.mean(axis=0)) if len(variances) else np.zeros(variances.shape[1])
    return found
