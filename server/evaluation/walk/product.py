"""What the product says of a subject's day: its score, whether it stands in an alert, and why.

The one place where evaluations ask the product; what decides about alerts may change behind it. The score
is the risk that assessment.py takes as of that day, of the policy family where it is highest: 0 to 100, the
alert line at 50.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec
from sqlalchemy import select

from analytics.risk import RuleDay, risk
from server.detection.assessment import RULE_DAYS_BACK
from server.detection.storage_anomaly import CHANNEL, FAMILY
from server.store.database import Database
from server.store.tables import alert_days, alerts, channel_days, rule_days

_NOTHING: Final = "nothing unusual"


class SubjectDay(msgspec.Struct, frozen=True):
    """`score`: 0–100, with a fraction. `alerted`: an alert was opened about the day, or an open one took it
    in. `opened`: the former. `reason`: a sentence. `rules`: titles of those that hit on the day."""

    score: float = 0.0
    alerted: bool = False
    opened: bool = False
    reason: str = _NOTHING
    rules: tuple[str, ...] = ()


QUIET: Final = SubjectDay()


def subject_days(database: Database, day: int, since: int) -> Mapping[str, SubjectDay]:
    """All subjects of whom something is known on that local day, by subject. since: ms UTC, alerts opened
    then and later are new."""
    with database.read() as connection:
        anomalies = {
            row.subject: row.anomaly
            for row in connection.execute(
                select(channel_days.c.subject, channel_days.c.anomaly).where(
                    channel_days.c.day == day, channel_days.c.channel == CHANNEL
                )
            )
        }
        hits = connection.execute(
            select(rule_days).where(
                # Building blocks of correlations have no family, and make no alert.
                rule_days.c.family != "",
                rule_days.c.day > day - RULE_DAYS_BACK,
                rule_days.c.day <= day,
            )
        ).all()
        told = connection.execute(
            select(alerts.c.subject, alerts.c.score, alerts.c.sentence, alerts.c.opened_at)
            .join(alert_days, alert_days.c.alert == alerts.c.id)
            .where(alert_days.c.day == day)
            .order_by(alerts.c.score, alerts.c.id)
        ).all()
    rules: dict[tuple[str, str], dict[tuple[str, int], RuleDay]] = {}
    titles: dict[str, set[str]] = {}
    for row in hits:
        mine = rules.setdefault((row.subject, row.family), {})
        before = mine.get((row.rule_id, row.day))
        count = row.hits + (0 if before is None else before.evidence)
        mine[row.rule_id, row.day] = RuleDay(row.rule_id, row.level, row.day, count)
        if row.day == day:
            titles.setdefault(row.subject, set()).add(row.title)
    scores = {subject: found for subject, found in anomalies.items() if found > 0}
    for (subject, family), days in rules.items():
        if subject not in titles:
            continue  # Nothing today: older hits alone are no news of this day.
        anomaly = anomalies.get(subject, 0.0) if family == FAMILY else 0.0
        found = float(risk(anomaly, days.values(), day).score)
        scores[subject] = max(scores.get(subject, 0.0), found)
    alerted = {row.subject: row for row in told}
    opened = {row.subject for row in told if row.opened_at >= since}
    return {
        subject: SubjectDay(
            score=scores.get(subject, 0.0),
            alerted=subject in alerted,
            opened=subject in opened,
            reason=_reason(
                alerted[subject].sentence["en"] if subject in alerted else None, titles.get(subject)
            ),
            rules=tuple(sorted(titles.get(subject, ()))),
        )
        for subject in scores.keys() | alerted.keys() | titles.keys()
    }


def _reason(sentence: str | None, titles: set[str] | None) -> str:
    if sentence is not None:
        return sentence
    return "; ".join(sorted(titles)) if titles else "unusual amounts on removable storage"
