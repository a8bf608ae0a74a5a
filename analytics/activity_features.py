"""Features of one activity's subject-day, for many subjects at once or for one.

All on x = ln(1 + value), bytes as megabytes. Own history and peers are compared on days of the same type,
but for rarity and sums. A day on which nobody looked takes no part anywhere.

| feature | window | definition |
|---|---|---|
| burst, each measure | last 28 calendar days of the same type | (x − centre) / scale, within 0..15 |
| rarity, each measure | 60 days | −ln((k + ½) / (n + 1)) for k active days of n if active today, else 0 |
| own sum, volumes | 7 and 28 days | the sum's x against earlier windows that do not overlap it, 0..12 |
| peers' sum, volumes | 7 and 28 days | the sum's x against the peers' sums, 0..12 |

centre = (n·own q90 + 5·peers' q90) / (n + 5); scale = √((n·own sd² + 5·peers' sd²) / (n + 5)), at least .25;
for sums the own mean, and 14 pseudo-windows of the peers' deviation over time, at least .3. The pseudo-days
of the peers keep newcomers from flooding the queue. A day that runs is scored like one that is over: every
feature rises (or stays) as the day goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from analytics.activity_peers import ActivityPeers
from analytics.measures import Measure
from analytics.own_history import OWN_DAYS, SUM_DAYS, earlier_windows, own_usual
from analytics.panel import ActivityDays, Counts, Flags, Floats, log_values

BURST_MAX: Final = 15.0
SUM_MAX: Final = 12.0
_RARITY_DAYS: Final = 60
_PEER_PSEUDO_DAYS: Final = 5.0
_PEER_PSEUDO_WINDOWS: Final = 14.0
_BURST_SCALE_MIN: Final = 0.25
_SUM_SCALE_MIN: Final = 0.3
_WINDOWS_MIN: Final = 6


class Background(msgspec.Struct, frozen=True, eq=False):
    """All of a day's features that does not change while the day runs; one row a subject."""

    centre: Floats
    """(subjects, measures), as scale and rarity."""
    scale: Floats
    rarity: Floats
    """If today is active."""
    earlier: Counts
    """(subjects, windows, volumes): the sum of the width − 1 days before today."""
    own_mean: Floats
    own_scale: Floats
    """Infinite where there are too few windows to compare with."""
    peer_mean: Floats
    peer_scale: Floats

    def of(self, rows: slice | NDArray[np.intp]) -> Background:
        return Background(*(getattr(self, name)[rows] for name in self.__struct_fields__))


def feature_names(measures: Sequence[Measure]) -> tuple[str, ...]:
    """In the order of the columns: "bytes burst", "bytes rarity", "bytes 7d own", "bytes 7d peers" …"""
    volumes = [m.name for m in measures if m.volume]
    names = [f"{m.name} {kind}" for kind in ("burst", "rarity") for m in measures]
    for width in SUM_DAYS:
        names += [f"{volume} {width}d {whose}" for whose in ("own", "peers") for volume in volumes]
    return tuple(names)


def background(
    days: ActivityDays,
    off: Flags,
    off_today: bool,
    group: NDArray[np.intp],
    peers: ActivityPeers,
    measures: Sequence[Measure],
) -> Background:
    """Of the day after `days` (oldest first, the last is yesterday; up to 88 are used).

    `off`: of each day whether it is off; `group`: each subject's row in the peers' arrays.
    """
    values, seen = days.values[:, -OWN_DAYS:], days.seen[:, -OWN_DAYS:]
    off = off[-OWN_DAYS:]
    usual = own_usual(log_values(values, measures), seen, off == off_today)
    n = usual.days[:, None]
    weight = n + _PEER_PSEUDO_DAYS
    row = int(off_today)
    variance = (n * usual.variance + _PEER_PSEUDO_DAYS * peers.sd[row, group] ** 2) / weight
    volumes = [i for i, m in enumerate(measures) if m.volume]
    count, mean, sum_variance = earlier_windows(values[:, :, volumes], seen, [measures[i] for i in volumes])
    own_sd = peers.sum_own_sd[group]
    shrunk = (count * sum_variance + _PEER_PSEUDO_WINDOWS * own_sd**2) / (count + _PEER_PSEUDO_WINDOWS)
    own_scale = np.maximum(np.sqrt(shrunk), _SUM_SCALE_MIN)
    recent_seen, recent = seen[:, -_RARITY_DAYS:], values[:, -_RARITY_DAYS:]
    active = ((recent > 0) & recent_seen[:, :, None]).sum(axis=1)
    return Background(
        centre=(n * usual.q90 + _PEER_PSEUDO_DAYS * peers.q90[row, group]) / weight,
        scale=np.maximum(np.sqrt(variance), _BURST_SCALE_MIN),
        rarity=-np.log((active + 0.5) / (recent_seen.sum(axis=1)[:, None] + 1)),
        # A day without data adds nothing: today's sum may be too small, and is never made up.
        earlier=np.stack(
            [values[:, max(values.shape[1] - width + 1, 0) :, volumes].sum(axis=1) for width in SUM_DAYS],
            axis=1,
        ),
        own_mean=mean,
        own_scale=np.where(count >= _WINDOWS_MIN, own_scale, np.inf),
        peer_mean=peers.sum_mean[group],
        peer_scale=np.maximum(peers.sum_sd[group], _SUM_SCALE_MIN),
    )


def activity_features(today: Counts, known: Background, measures: Sequence[Measure]) -> Floats:
    """(subjects, features) from today's values (subjects, measures), in the order of feature_names."""
    burst = np.clip((log_values(today, measures) - known.centre) / known.scale, 0.0, BURST_MAX)
    rarity = np.where(today > 0, known.rarity, 0.0)
    volumes = [i for i, m in enumerate(measures) if m.volume]
    sums = log_values(known.earlier + today[:, None, volumes], [measures[i] for i in volumes])
    own = np.clip((sums - known.own_mean) / known.own_scale, 0.0, SUM_MAX)
    peers = np.clip((sums - known.peer_mean) / known.peer_scale, 0.0, SUM_MAX)
    both = np.stack([own, peers], axis=2).reshape(len(today), 2 * len(SUM_DAYS) * len(volumes))
    return np.concatenate([burst, rarity, both], axis=1)
