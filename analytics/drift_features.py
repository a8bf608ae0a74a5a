"""Slow drift: Σ z_gap / √n over 14 and 28 days, of the slow measures, for many subjects at once or for one.

z_gap compares ln(1 + value) with mean and deviation of up to 42 days of the same type that END 28 days
earlier, so that a slow leaker cannot teach it; five pseudo-days of the peers, deviation at least .25, within
−3..4. Only days on which the subject was there (did anything at all) count, at least four in the divisor.
A baseline of fewer than MIN_BASELINE days says nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from analytics.measures import SLOW
from analytics.own_history import own_usual
from analytics.panel import Flags, Floats

DRIFT_DAYS: Final = (14, 28)
DRIFT_NAMES: Final = tuple(f"{m.key} {width}d drift" for width in DRIFT_DAYS for m in SLOW)
GAP_DAYS: Final = 28
REACH_DAYS: Final = 60
"""Calendar days before the gap among which the baseline's days lie."""
HISTORY_DAYS: Final = max(DRIFT_DAYS) - 1 + GAP_DAYS + REACH_DAYS
"""So many days before today decide today's features."""
MIN_BASELINE: Final = 5
_BASELINE_DAYS: Final = 42
_PSEUDO_DAYS: Final = 5.0
_SCALE_MIN: Final = 0.25
_Z_MIN: Final = -3.0
_Z_MAX: Final = 4.0
_DIVISOR_DAYS_MIN: Final = 4.0


class DriftPeers(msgspec.Struct, frozen=True, eq=False):
    """(work and off, groups + 1, measures): median of the members' means, root mean square deviation."""

    mean: Floats
    sd: Floats


class Baseline(msgspec.Struct, frozen=True, eq=False):
    """What today's z is taken against: (subjects, measures)."""

    centre: Floats
    scale: Floats
    known: Flags
    """(subjects,): enough days to say anything."""


class DriftBackground(msgspec.Struct, frozen=True, eq=False):
    """All of a day's drift that does not change while the day runs."""

    baseline: Baseline
    sums: Floats
    """(subjects, windows, measures): z of the days before today."""
    days: Floats
    """The same shape: how many days they are."""


def drift_peers(
    x: NDArray[np.floating[Any]], seen: Flags, off: Flags, of_group: Sequence[NDArray[np.intp]]
) -> DriftPeers:
    """From the baselines as of the day after the last of x (subjects, days, slow measures)."""
    mean, sd = [], []
    for off_day in (False, True):
        usual = own_usual(*_before_gap(x, seen, off, off_day), last=_BASELINE_DAYS)
        enough = usual.days >= MIN_BASELINE
        rows_of = [rows[enough[rows]] for rows in of_group]
        nothing = np.zeros(x.shape[2])
        mean.append([np.median(usual.mean[rows], axis=0) if len(rows) else nothing for rows in rows_of])
        sd.append([np.sqrt(usual.variance[rows].mean(axis=0)) if len(rows) else nothing for rows in rows_of])
    return DriftPeers(np.array(mean), np.array(sd))


def baseline(
    x: Floats, seen: Flags, off: Flags, off_today: bool, group: NDArray[np.intp], peers: DriftPeers
) -> Baseline:
    """Of the day after the last of x (subjects, days, measures)."""
    usual = own_usual(*_before_gap(x, seen, off, off_today), last=_BASELINE_DAYS)
    n = usual.days[:, None]
    row = int(off_today)
    weight = n + _PSEUDO_DAYS
    variance = (n * usual.variance + _PSEUDO_DAYS * peers.sd[row, group] ** 2) / weight
    return Baseline(
        (n * usual.mean + _PSEUDO_DAYS * peers.mean[row, group]) / weight,
        np.maximum(np.sqrt(variance), _SCALE_MIN),
        usual.days >= MIN_BASELINE,
    )


def gap_z(today: Floats, there: Flags, known: Baseline) -> Floats:
    """(subjects, measures); NaN where the subject was not there or there is no baseline."""
    z = np.clip((today - known.centre) / known.scale, _Z_MIN, _Z_MAX)
    return np.where((there & known.known)[:, None], z, np.nan)


def drift_background(z: Floats, known: Baseline) -> DriftBackground:
    """From the earlier days' gap_z (subjects, days, measures), oldest first, and today's baseline."""
    there = ~np.isnan(z)
    value = np.where(there, z, 0.0)
    recent = [slice(max(z.shape[1] - width + 1, 0), None) for width in DRIFT_DAYS]
    return DriftBackground(
        known,
        np.stack([value[:, days].sum(axis=1) for days in recent], axis=1),
        np.stack([there[:, days].sum(axis=1) for days in recent], axis=1).astype(np.float64),
    )


def background_from_history(
    x: Floats, there: Flags, off: Flags, off_today: bool, group: NDArray[np.intp], peers: DriftPeers
) -> DriftBackground:
    """The same from ln(1 + value) of the days before today, oldest first, and where the subject was there."""
    end = x.shape[1]
    first = max(end - max(DRIFT_DAYS) + 1, 0)
    z = np.full((len(x), end - first, x.shape[2]), np.nan)
    for day in range(first, end):
        before = baseline(x[:, :day], there[:, :day], off[:day], bool(off[day]), group, peers)
        z[:, day - first] = gap_z(x[:, day], there[:, day], before)
    return drift_background(z, baseline(x, there, off, off_today, group, peers))


def drift_features(today: Floats, there: Flags, known: DriftBackground) -> Floats:
    """(subjects, features) in the order of DRIFT_NAMES, each >= 0, from today's ln(1 + value)."""
    z = gap_z(today, there, known.baseline)
    counted = ~np.isnan(z)
    sums = known.sums + np.where(counted, z, 0.0)[:, None]
    days = known.days + counted[:, None]
    found = np.maximum(sums / np.sqrt(np.maximum(days, _DIVISOR_DAYS_MIN)), 0.0)
    return found.reshape(len(today), len(DRIFT_NAMES))


def _before_gap(
    x: NDArray[np.floating[Any]], seen: Flags, off: Flags, off_today: bool
) -> tuple[NDArray[np.floating[Any]], Flags, Flags]:
    # Today is the day after the last one: the baseline's last day lies 28 days before today.
    end = max(x.shape[1] - GAP_DAYS + 1, 0)
    first = max(end - REACH_DAYS, 0)
    return x[:, first:end], seen[:, first:end], off[first:end] == off_today
