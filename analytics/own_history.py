"""What is usual for a subject, from its own history: arrays of many subjects at once.

Days run along the second axis, oldest first; the last one is yesterday.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from analytics.measures import Measure
from analytics.panel import Counts, Flags, Floats, log_values

OWN_DAYS: Final = 88
"""So many days before today decide what is usual of each measure."""
BURST_DAYS: Final = 28
SUM_DAYS: Final = (7, 28)
_WINDOWS_MAX: Final = 29
_BLOCK: Final = 4_096


class Usual(msgspec.Struct, frozen=True, eq=False):
    """Of days of one type; 0 where there is no day."""

    days: Floats
    """(subjects,): how many were seen."""
    q90: Floats
    """(subjects, measures), as the following: the value at rank floor(.9·(n − 1)) of ln(1 + value)."""
    mean: Floats
    variance: Floats
    """With n − 1; 0 for fewer than two days."""


def own_usual(x: NDArray[np.floating[Any]], seen: Flags, same_type: Flags, last: int = BURST_DAYS) -> Usual:
    """Over the last 28 calendar days of the type, as far as they were seen; x (subjects, days, measures)."""
    picked = np.flatnonzero(same_type)[-last:]
    # In blocks: a large company's days are copied several times.
    starts = range(0, max(len(x), 1), _BLOCK)
    parts = [_usual(x[start : start + _BLOCK], seen[start : start + _BLOCK], picked) for start in starts]
    if len(parts) == 1:
        return parts[0]
    return Usual(*(np.concatenate([getattr(p, name) for p in parts]) for name in Usual.__struct_fields__))


def _usual(x: NDArray[np.floating[Any]], seen: Flags, picked: NDArray[np.intp]) -> Usual:
    subjects, _, measures = x.shape
    n = seen[:, picked].sum(axis=1)
    q90, mean, variance = (np.zeros((subjects, measures)) for _ in range(3))
    # Most subjects never do most things: all-zero histories need no sorting.
    busy = np.flatnonzero(x[:, picked].any(axis=(1, 2)))
    if len(busy):
        mask = seen[np.ix_(busy, picked)][:, :, None]
        chosen = x[np.ix_(busy, picked)].astype(np.float64, copy=False)
        many = np.maximum(n[busy], 1)[:, None]
        rank = np.floor(0.9 * (many - 1)).astype(np.intp)
        ordered = np.sort(np.where(mask, chosen, np.inf), axis=1)
        at_rank = np.take_along_axis(ordered, np.broadcast_to(rank[:, :, None], (len(busy), 1, measures)), 1)
        kept = np.where(mask, chosen, 0.0)
        mean[busy] = kept.sum(axis=1) / many
        deviation = np.where(mask, chosen - mean[busy][:, None], 0.0)
        variance[busy] = (deviation**2).sum(axis=1) / np.maximum(many - 1, 1)
        q90[busy] = np.where((n[busy] > 0)[:, None], at_rank[:, 0], 0.0)
    return Usual(n.astype(np.float64), q90, mean, variance)


def window_sums(values: Counts, seen: Flags, measures: Sequence[Measure], width: int) -> Floats:
    """ln(1 + sum) of every window of `width` days, oldest first: (subjects, windows, measures).

    A window seen on at least half its days stands for all of them; others are NaN.
    """
    running = np.pad(np.cumsum(values, axis=1), ((0, 0), (1, 0), (0, 0)))
    known = np.pad(np.cumsum(seen, axis=1), ((0, 0), (1, 0)))
    sums = running[:, width:] - running[:, :-width]
    days: Counts = (known[:, width:] - known[:, :-width])[:, :, None]
    scaled = sums * (width / np.maximum(days, 1))
    found: Floats = np.where(days * 2 >= width, log_values(scaled, measures), np.nan)
    return found


def earlier_windows(
    values: Counts, seen: Flags, measures: Sequence[Measure]
) -> tuple[Floats, Floats, Floats]:
    """(count, mean, variance), each (subjects, windows, measures), of up to 29 windows of each width that do
    not overlap the one that ends today."""
    found = [_moments(values, seen, measures, width) for width in SUM_DAYS]
    count, mean, variance = (np.stack(parts, axis=1) for parts in zip(*found, strict=True))
    return count, mean, variance


def _moments(
    values: Counts, seen: Flags, measures: Sequence[Measure], width: int
) -> tuple[Floats, Floats, Floats]:
    subjects, days, volumes = values.shape
    # The window that ends today begins width − 1 days before it.
    end = days - (width - 1)
    if end < width:
        empty = np.zeros((subjects, volumes))
        return empty, empty, empty
    first = max(end - width - _WINDOWS_MAX + 1, 0)
    sums = window_sums(values[:, first:end], seen[:, first:end], measures, width)
    known = ~np.isnan(sums)
    count = known.sum(axis=1).astype(np.float64)
    mean = np.where(known, sums, 0.0).sum(axis=1) / np.maximum(count, 1)
    deviation = np.where(known, sums - mean[:, None], 0.0)
    return count, mean, (deviation**2).sum(axis=1) / np.maximum(count - 1, 1)
