"""After a verdict of harmless the subject cools down: for a while nothing within the budget opens a further
alert about them, unless a day is clearly stranger than what was judged, or rules say by themselves as
much as one of level high does, of another policy family than the one that was judged.

As long as the queue's cool-down (analytics/alert_queues.py) after the last day of the alert, whatever made
it. Confirmed ones cool nothing, and as long after the last day of one nobody cools down: whoever is known to
leak is not calmed by the duplicates of it that somebody tidied up.

Points are compared with those that were judged in the same queue, and at least with ALERT_LINE: of an alert
that rules made, or drift where a day was judged, any day over the line would else come through, and the
cool-down hold nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from sqlalchemy import Connection, func, select

from analytics.alert_queues import DAY_QUEUE, SLOW_QUEUE, Queue
from analytics.risk_line import ALERT_LINE, RISK_LINE_MAX
from server.detection.assessment import ANOMALY, DRIFT, POINT, Candidate, is_clearly_stranger
from server.store.tables import alert_days, alerts, judged_days

QUEUES: Final[dict[str, Queue]] = {queue.name: queue for queue in (DAY_QUEUE, SLOW_QUEUE)}
COOLING: Final = ("expected", "false", "duplicate")
"""Verdicts."""
CONFIRMED: Final = "confirmed"
"""The verdict that ends all cooling."""
_JUDGED_AS: Final = {DAY_QUEUE.name: ANOMALY, SLOW_QUEUE.name: DRIFT}


class CoolDown(msgspec.Struct, frozen=True):
    """`points`: the highest that was judged of the alert's days, by queue; none: something else made it.
    `score`: of the whole alert. `confirmed`: it cools nothing, and nothing cools beside it."""

    alert: int
    family: str
    score: int
    last_day: int
    points: dict[str, float]
    confirmed: bool


def cool_downs(connection: Connection, subjects: Sequence[str]) -> dict[str, list[CoolDown]]:
    """The latest alert first. As many subjects as one query may hold."""
    at, judged = alert_days.c, judged_days.c
    query = (
        select(
            alerts.c.id,
            alerts.c.subject,
            alerts.c.family,
            alerts.c.score,
            alerts.c.verdict,
            func.max(at.day).label("last_day"),
        )
        .join(alert_days, at.alert == alerts.c.id)
        .where(
            alerts.c.subject.in_(subjects),
            alerts.c.status == "closed",
            alerts.c.verdict.in_((*COOLING, CONFIRMED)),
        )
        .group_by(alerts.c.id, alerts.c.subject, alerts.c.family, alerts.c.score, alerts.c.verdict)
        .order_by(alerts.c.id.desc())
    )
    closed = list(connection.execute(query))
    highest = (
        select(alerts.c.id, judged.rule_id, func.max(judged["count"]).label("points"))
        .join(judged_days, (judged.subject == alerts.c.subject) & (judged.family == alerts.c.family))
        .join(alert_days, (at.alert == alerts.c.id) & (at.day == judged.day))
        .where(alerts.c.id.in_([row.id for row in closed]), judged.rule_id.in_((ANOMALY, DRIFT)))
        .group_by(alerts.c.id, judged.rule_id)
    )
    queue_of = {key: queue for queue, key in _JUDGED_AS.items()}
    points: dict[int, dict[str, float]] = {}
    for row in connection.execute(highest):
        points.setdefault(row.id, {})[queue_of[row.rule_id]] = row.points / POINT
    found: dict[str, list[CoolDown]] = {}
    for each in closed:
        found.setdefault(each.subject, []).append(
            CoolDown(
                each.id,
                each.family,
                each.score,
                each.last_day,
                points.get(each.id, {}),
                each.verdict == CONFIRMED,
            )
        )
    return found


def cooling_after(after: Sequence[CoolDown], candidate: Candidate, family: str) -> int | None:
    """The alert for whose sake the day opens none."""
    length = QUEUES[candidate.queue].cool_down_days
    near = [each for each in after if 0 < candidate.day - each.last_day < length]
    if any(each.confirmed for each in near):
        return None
    return next((each.alert for each in near if not _comes_through(each, candidate, family)), None)


def _comes_through(judged: CoolDown, candidate: Candidate, family: str) -> bool:
    points = max(judged.points.get(candidate.queue, 0.0), ALERT_LINE)
    if is_clearly_stranger(candidate.points, points):
        return True
    if candidate.queue == SLOW_QUEUE.name:
        return False
    if family != judged.family and candidate.rules >= RISK_LINE_MAX:
        return True
    return is_clearly_stranger(candidate.risk, judged.score)
