"""Which days alert: two queues that share a budget, each with a line, a cool-down and a hard cap a day.

The line of a queue is the p-value at which replaying the past days through it, cool-down included, would
have used up its part of the budget. All pure: the same days give the same alerts in whatever order they
came.
"""

from __future__ import annotations

import math
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from analytics.panel import Flags, Floats

LINE_MIN: Final = 1e-8
LINE_MAX: Final = 0.05
"""Rarer than one day in twenty, however generous the budget."""
BUDGET: Final = 5.0
"""Alerts per 1,000 people and day, where nobody says otherwise."""
CAP: Final = 3
"""On no day more than three times the budget."""


class Queue(msgspec.Struct, frozen=True):
    name: str
    share: float
    """Of the budget."""
    cool_down_days: int
    """A subject that alerted is not alerted about again for this long."""
    cap_min: int = 1
    """However small the budget, as long as there is one: in a small company the second grave thing of a day
    must not wait for the next. Over weeks the lines keep to the budget."""

    def quota(self, alerts_per_1000_a_day: float, subjects: int) -> float:
        """Alerts a day."""
        return self.share * alerts_per_1000_a_day * subjects / 1000

    def cap(self, alerts_per_1000_a_day: float, subjects: int) -> int:
        cap = math.ceil(CAP * self.quota(alerts_per_1000_a_day, subjects))
        return max(cap, self.cap_min) if cap else 0


DAY_QUEUE: Final = Queue("day", 0.75, 7, cap_min=3)
SLOW_QUEUE: Final = Queue("slow", 0.25, 28)


def alert_line(p: Floats, seen: Flags, queue: Queue, alerts_per_1000_a_day: float) -> float:
    """The largest p at which these days (subjects, days), oldest first, stay within the queue's quota.

    Raises ValueError on no day at all or a negative budget.
    """
    if not seen.any() or alerts_per_1000_a_day < 0:
        raise ValueError("an alert line needs scored days and a budget that is not negative")
    allowed = queue.quota(alerts_per_1000_a_day, 1) * float(seen.sum())
    near = seen & (p <= LINE_MAX)
    candidates = np.unique(p[near])
    low, high = 0, len(candidates)
    while low < high:
        middle = (low + high) // 2
        if replayed_alerts(p, near, queue, float(candidates[middle])) <= allowed:
            low = middle + 1
        else:
            high = middle
    if low == len(candidates):
        # Even all of them fit, or the past was so quiet that there are none.
        return LINE_MAX
    if not low:
        # Not one alert fits: the line lies beyond all that was seen.
        return max(float(candidates[0]) / 2, LINE_MIN)
    return max(float(candidates[low - 1]), LINE_MIN)


def replayed_alerts(p: Floats, seen: Flags, queue: Queue, line: float) -> int:
    """How many alerts these days raise at the line, with the cool-down and without the cap."""
    beyond = seen & (p <= line)
    rows = np.flatnonzero(beyond.any(axis=1))
    last = np.full(len(rows), -(10**9))
    alerts = 0
    for day in range(p.shape[1]):
        hit = beyond[rows, day] & (day - last >= queue.cool_down_days)
        last[hit] = day
        alerts += int(hit.sum())
    return alerts


def admitted(
    p: Floats, strength: Floats, ready: Flags, line: float, cap: int, subjects: NDArray[np.str_]
) -> NDArray[np.intp]:
    """Rows that alert on one day, strangest first: beyond the line, not cooling down, within the cap.

    Ties of p go by strength, then by the subject's name.
    """
    rows = np.flatnonzero(ready & (p <= line))
    order = np.lexsort((subjects[rows], -strength[rows], p[rows]))
    found: NDArray[np.intp] = rows[order][: max(cap, 0)]
    return found
