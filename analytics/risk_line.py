"""The line of the day queue: from which risk on a day is a candidate, so that rules and anomalies together
keep to the budget.

ALERT_LINE, raised to the first whole number at which replaying the past days through the queue stays
within its quota; never above RISK_LINE_MAX, which is what one rule of level high gives by itself. So in
a company with a budget of an alert a week a rule of level high still speaks, and one of level medium
needs company. Where the past asks for more, the line stands at that bound, and `RiskLine.is_bounded`
says so. Pure.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final, Literal

import msgspec

from analytics.alert_queues import DAY_QUEUE
from analytics.risk import COUNTS_FROM, PI

ALERT_LINE: Final = 50
RISK_LINE_MAX: Final = round(100 * PI["high"])

QueueName = Literal["day", "slow"]


class LineScores(msgspec.Struct, frozen=True):
    """Of one day of a subject in one policy family, rounded as shown: at the line is what says so."""

    score: int
    without_drift: int
    drift: int
    """By itself."""

    def queue(self, line: int) -> QueueName | None:
        """That the day is a candidate of, where nothing puts it outside of the budget and the day queue's
        line stands there. Running days and the replay of past ones both ask here."""
        rest_counts = self.without_drift >= COUNTS_FROM
        if self.score >= line and rest_counts:
            return "day"
        # A budget of its own, with a line of its own: the model's. More drift, or more of the rest, never
        # brings a day back from the day queue.
        return "slow" if self.drift >= ALERT_LINE or self.score >= line else None


class PastRisk(msgspec.Struct, frozen=True):
    """That nothing puts outside of the budget."""

    subject: str
    day: int
    scores: LineScores


class RiskLine(msgspec.Struct, frozen=True):
    line: int
    alerts: int
    """That the past days would have raised at the line."""
    allowed: float
    """That the queue's part of the budget allows for these days."""

    @property
    def is_bounded(self) -> bool:
        return self.alerts > self.allowed


def risk_line(past: Iterable[PastRisk], allowed: float) -> RiskLine:
    """Raises ValueError on a negative quota."""
    if allowed < 0:
        raise ValueError(f"a quota of {allowed} is negative")
    near = [each for each in past if each.scores.score >= ALERT_LINE]
    found = RiskLine(ALERT_LINE, replayed(near, ALERT_LINE), allowed)
    while found.is_bounded and found.line < RISK_LINE_MAX:
        line = found.line + 1
        found = RiskLine(line, replayed(near, line), allowed)
    return found


def replayed(past: Sequence[PastRisk], line: int) -> int:
    """How many alerts these days raise at the line: one a family, none within the cool-down after a day of
    the subject that raised any. In whatever order they are given."""
    days: dict[str, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    for each in past:
        if each.scores.queue(line) == DAY_QUEUE.name:
            days[each.subject][each.day] += 1
    alerts = 0
    for found in days.values():
        last: int | None = None
        for day in sorted(found):
            if last is None or day - last >= DAY_QUEUE.cool_down_days:
                alerts += found[day]
                last = day
    return alerts
