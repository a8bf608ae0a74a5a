"""What the product says of a subject's day: its score, whether it stands in an alert, and why.

The one place where evaluations ask the product; what decides about alerts may change behind it. The score
is the risk that assessment.py takes as of that day, of the policy family where it is highest: 0 to 100, the
alert line at 50. It is taken as if nobody had ever judged an alert: whoever compares scores at a number of
alerts of their own would else be helped by verdicts on the product's. Alerts are those that it raised, with
all that verdicts, cool-downs and the cap make of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import msgspec
from sqlalchemy import select

from analytics.risk import RuleDay, counted, unrounded_risk
from server.alerts.ranking import HELD
from server.detection.assessment import RULE_DAYS_BACK, strength_of
from server.pipeline.anomaly_day import AnomalyDay, anomaly_days_of
from server.store.database import Database
from server.store.tables import alert_days, alerts, rule_days

_NOTHING: Final = "nothing unusual"
_TIES: Final = 1e-6
"""Points end at the smallest p that a model gives; beyond it the stranger day comes first."""


class SubjectDay(msgspec.Struct, frozen=True):
    """`score`: 0–100, with a fraction. `alerted`: an alert was opened about the day, or an open one took it
    in. `opened`: the former. `reason`: a sentence. `rules`: titles of those that hit on the day."""

    score: float = 0.0
    alerted: bool = False
    opened: bool = False
    reason: str = _NOTHING
    rules: tuple[str, ...] = ()


QUIET: Final = SubjectDay()
_NO_ANOMALY: Final = AnomalyDay(0)


def subject_days(database: Database, day: int, since: int) -> Mapping[str, SubjectDay]:
    """All subjects of whom something is known on that local day, by subject. since: ms UTC, alerts opened
    then and later are new."""
    with database.read() as connection:
        anomalies = anomaly_days_of(connection, day)
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
            .where(alert_days.c.day == day, alerts.c.status != HELD)
            .order_by(alerts.c.score, alerts.c.id)
        ).all()
    rules: dict[str, dict[str, dict[tuple[str, int], RuleDay]]] = defaultdict(dict)
    titles: dict[str, set[str]] = {}
    today: dict[str, set[str]] = defaultdict(set)
    for row in hits:
        mine = rules[row.subject].setdefault(row.family, {})
        before = mine.get((row.rule_id, row.day))
        count = row.hits + (0 if before is None else before.evidence)
        mine[row.rule_id, row.day] = RuleDay(row.rule_id, row.level, row.day, count)
        if row.day == day:
            titles.setdefault(row.subject, set()).add(row.title)
            today[row.subject].add(row.family)
    alerted = {row.subject: row for row in told}
    opened = {row.subject for row in told if row.opened_at >= since}
    found = {}
    for subject in anomalies.keys() | alerted.keys() | titles.keys():
        strange = anomalies.get(subject, _NO_ANOMALY)
        of_rules = {family: days.values() for family, days in rules[subject].items()}
        found[subject] = SubjectDay(
            score=max(_scores(strange, today[subject], of_rules, day), default=0.0)
            + _TIES * strength_of(_uncalmed(strange)),
            alerted=subject in alerted,
            opened=subject in opened,
            reason=_reason(
                alerted[subject].sentence["en"] if subject in alerted else None,
                titles.get(subject),
                strange,
            ),
            rules=tuple(sorted(titles.get(subject, ()))),
        )
    return found


def _scores(
    strange: AnomalyDay, today: set[str], rules: Mapping[str, Iterable[RuleDay]], day: int
) -> Iterator[float]:
    """By family. `today`: those of rules that hit on the day; older hits alone are no news of it."""
    for family in {*today, strange.family, strange.slow_family} - {""}:
        anomaly = counted(strange.uncalmed) if family == strange.family else 0.0
        slow = counted(strange.slow_points) if family == strange.slow_family else 0.0
        if family in today or anomaly or slow:
            yield unrounded_risk(anomaly, rules.get(family, ()), day, slow_0_100=slow)


def _uncalmed(strange: AnomalyDay) -> AnomalyDay:
    return msgspec.structs.replace(strange, evidence=strange.evidence | strange.uncalmed_evidence)


def _reason(sentence: str | None, titles: set[str] | None, strange: AnomalyDay) -> str:
    if sentence is not None:
        return sentence
    if titles:
        return "; ".join(sorted(titles))
    if not strange.uncalmed and not strange.slow_points:
        return _NOTHING
    strongest = sorted(strange.evidence, key=lambda each: (-strange.evidence[each], each))[:2]
    what = " and ".join(each.replace("_", " ") for each in strongest if strange.evidence[each] > 0)
    return f"unusual: {what}" if what else "a slow change over weeks"
