"""What each policy found, by the alerts that people saw: how many a day, how many of those that were judged
were right, how many people. Numbers alone: nobody can be told from them.

An alert counts for every rule that hit on its days, on the first of these. Held alerts were shown to nobody.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Select, func, select

from server.store.tables import alert_days, alerts, rule_days

FIGURE_DAYS: Final = 30
_BENIGN: Final = ("expected", "false")


class PolicyFigures(msgspec.Struct, frozen=True):
    """`days`: alerts that began on each of the last FIGURE_DAYS local days, the oldest first. `people`:
    subjects whom the rule hit on them. `confirmed`, `benign`: verdicts on alerts whose days are kept."""

    days: tuple[int, ...]
    hits: int
    people: int
    last_hit: int | None
    confirmed: int = 0
    benign: int = 0

    @property
    def alerts(self) -> int:
        return sum(self.days)

    @property
    def precision(self) -> float | None:
        """Of what was judged as one or the other; None: nothing was."""
        judged = self.confirmed + self.benign
        return self.confirmed / judged if judged else None


NO_FIGURES: Final = PolicyFigures((0,) * FIGURE_DAYS, 0, 0, None)


def policy_figures(connection: Connection, *, today: int) -> dict[str, PolicyFigures]:
    """By rule, of those that ever hit. today: UTC day."""
    since = today - FIGURE_DAYS + 1
    days: dict[str, list[int]] = {}
    judged: dict[str, list[int]] = {}
    for rule_id, day, verdict, number in connection.execute(_begun()):
        at = min(day - since, FIGURE_DAYS - 1)
        if at >= 0:
            days.setdefault(rule_id, [0] * FIGURE_DAYS)[at] += number
        if verdict == "confirmed":
            judged.setdefault(rule_id, [0, 0])[0] += number
        elif verdict in _BENIGN:
            judged.setdefault(rule_id, [0, 0])[1] += number
    found: dict[str, PolicyFigures] = {}
    for rule_id, (hits, people, last) in _hits(connection, since).items():
        found[rule_id] = PolicyFigures(
            tuple(days.get(rule_id, NO_FIGURES.days)), hits, people, last, *judged.get(rule_id, (0, 0))
        )
    return found


def _begun() -> Select[Any]:
    """(rule, first day on which it hit in an alert, the alert's verdict, number of such alerts)."""
    hit, day = rule_days.c, alert_days.c
    of_alerts = (
        select(hit.rule_id, func.min(hit.day).label("day"), func.min(alerts.c.verdict).label("verdict"))
        .select_from(alerts)
        .join(alert_days, day.alert == alerts.c.id)
        .join(
            rule_days,
            (hit.subject == alerts.c.subject) & (hit.family == alerts.c.family) & (hit.day == day.day),
        )
        .where(alerts.c.status != "held")
        .group_by(hit.rule_id, alerts.c.id)
        .subquery()
    )
    at = of_alerts.c
    return select(at.rule_id, at.day, at.verdict, func.count()).group_by(at.rule_id, at.day, at.verdict)


def _hits(connection: Connection, since: int) -> dict[str, tuple[int, int, int]]:
    """(hits and subjects since that day, last day of all) by rule."""
    hit = rule_days.c
    last = select(hit.rule_id, func.max(hit.day).label("last")).group_by(hit.rule_id)
    recent = (
        select(hit.rule_id, func.sum(hit.hits), func.count(hit.subject.distinct()))
        .where(hit.day >= since)
        .group_by(hit.rule_id)
    )
    counts = {row[0]: (int(row[1]), int(row[2])) for row in connection.execute(recent)}
    return {row.rule_id: (*counts.get(row.rule_id, (0, 0)), row.last) for row in connection.execute(last)}
