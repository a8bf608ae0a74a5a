"""The alert line: the p-value at which replaying the past would have used up the alert budget."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

COOL_DOWN_DAYS: Final = 7
"""A subject that alerted is not alerted about again for this long."""
_TAU_MIN: Final = 1e-6
_TAU_MAX: Final = 0.05
"""Rarer than one day in twenty, however generous the budget."""


class ScoredDay(msgspec.Struct, frozen=True):
    subject: str
    day: int
    p: float


def alert_line(scored: Sequence[ScoredDay], alerts_per_1000_a_day: float) -> float:
    """The largest p at which the alerts of these days stay within the budget."""
    if not scored or alerts_per_1000_a_day < 0:
        raise ValueError("an alert line needs scored days and a budget that is not negative")
    allowed = alerts_per_1000_a_day / 1000 * len(scored)
    by_day = sorted((s for s in scored if s.p <= _TAU_MAX), key=lambda s: (s.day, s.subject))
    candidates = sorted({s.p for s in by_day})
    low, high = 0, len(candidates)
    while low < high:
        middle = (low + high) // 2
        if replayed_alerts(by_day, candidates[middle]) <= allowed:
            low = middle + 1
        else:
            high = middle
    if low == len(candidates):
        # Even all of them fit, or the past was so quiet that there are none.
        return _TAU_MAX
    if not low:
        # Not one alert fits: the line lies beyond all that was seen.
        return max(candidates[0] / 2, _TAU_MIN)
    return max(candidates[low - 1], _TAU_MIN)


def replayed_alerts(in_order: Sequence[ScoredDay], line: float) -> int:
    """How many alerts days in this order raise at the line, with the cool-down."""
    last: dict[str, int] = {}
    alerts = 0
    for scored in in_order:
        if (
            scored.p <= line
            and scored.day - last.get(scored.subject, -COOL_DOWN_DAYS - 10**9) >= COOL_DOWN_DAYS
        ):
            last[scored.subject] = scored.day
            alerts += 1
    return alerts
