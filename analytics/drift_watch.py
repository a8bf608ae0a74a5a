"""Has a model gone stale? From the p-values and alerts of the weeks since it was trained. Pure.

A fresh model gives its calibration days' distribution of p again and uses its budget. A week is stale when
the distribution moved (population stability index above .25, the field's usual line) or when it raised more
than twice or (with a budget of five a week or more) less than a fifth of the alerts that were due.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, Literal

import msgspec
import numpy as np

from analytics.panel import Floats

P_BINS: Final = (0.001, 0.005, 0.02, 0.1, 0.3, 1.0)
"""Upper ends."""
STABILITY_MAX: Final = 0.25
_MANY: Final = 2.0
_FEW: Final = 0.2
_DUE_MIN: Final = 5.0
_DAYS_MIN: Final = 100
_SHARE_MIN: Final = 1e-4

Verdict = Literal["fresh", "stale", "unknown"]


class WeekWatch(msgspec.Struct, frozen=True):
    """One week under one model."""

    subject_days: int
    alerts: int
    alerts_due: float
    """What the budget allows for these subject-days."""
    stability: float
    """Population stability index of p_day against the calibration's."""
    shares: tuple[float, ...]
    """By P_BINS."""
    verdict: Verdict
    reason: str
    """Empty when fresh."""


def p_shares(p: Floats) -> list[float]:
    """Share of the values in each of P_BINS."""
    if not len(p):
        return [0.0] * len(P_BINS)
    at = np.searchsorted(np.array(P_BINS), p, side="left")
    counted = np.bincount(np.minimum(at, len(P_BINS) - 1), minlength=len(P_BINS))
    return [float(share) for share in counted / len(p)]


def watch_week(
    p: Floats, alerts: int, calibration_shares: Sequence[float], alerts_per_1000_a_day: float
) -> WeekWatch:
    """`p`: p_day of every seen subject-day of the week; `calibration_shares`: ModelContent.p_shares."""
    found = p_shares(p)
    due = alerts_per_1000_a_day * len(p) / 1000
    stability = math.fsum(
        (max(now, _SHARE_MIN) - max(then, _SHARE_MIN))
        * math.log(max(now, _SHARE_MIN) / max(then, _SHARE_MIN))
        for now, then in zip(found, calibration_shares, strict=True)
    )
    verdict: Verdict = "stale"
    if len(p) < _DAYS_MIN:
        verdict, reason = "unknown", f"only {len(p)} subject-days"
    elif stability > STABILITY_MAX:
        reason = f"the distribution of scores moved (index {stability:.2f}, above {STABILITY_MAX})"
    elif alerts > _MANY * max(due, 1.0):
        reason = f"{alerts} alerts, {due:.1f} were due"
    elif due >= _DUE_MIN and alerts < _FEW * due:
        reason = f"only {alerts} alerts, {due:.1f} were due"
    else:
        verdict, reason = "fresh", ""
    return WeekWatch(len(p), alerts, due, stability, tuple(found), verdict, reason)
