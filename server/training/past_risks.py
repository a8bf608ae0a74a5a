"""The line of the coming week: the past days' risk, rules and the new model's points together, replayed
through the day queue (analytics/risk_line.py).

The same risk as an alert's (detection/assessment.py), of each subject and policy family. Verdicts are
left out, but for days of confirmed leaks, which are missing here as in training; what rules put outside
of the budget takes none of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

import msgspec
import numpy as np
from sqlalchemy import Connection, select

from analytics.alert_queues import DAY_QUEUE
from analytics.anomaly_training import PastDays
from analytics.measures import ACTIVITIES
from analytics.risk import COUNTS_FROM, counted
from analytics.risk_line import ALERT_LINE, PastRisk, risk_line
from server.alerts.confirmed_days import confirmed_days
from server.detection.activity_families import FAMILIES
from server.detection.assessment import (
    RULE_DAYS_BACK,
    StrangePoints,
    is_outside,
    line_scores,
)
from server.pipeline.subject_state import RuleHits
from server.store.tables import rule_days
from server.training.company_days import DAY_ZERO

_SUBJECTS_A_QUERY: Final = 500
_FAMILY_OF: Final = [FAMILIES[activity] for activity in ACTIVITIES]
_NOTHING: Final = StrangePoints()


class FittedLine(msgspec.Struct, frozen=True):
    line: int
    alerts_a_day: float
    allowed_a_day: float


def fitted_line(
    connection: Connection, subjects: Sequence[str], past: PastDays, alerts_per_1000_a_day: float
) -> FittedLine:
    """Of a cold start: ALERT_LINE, for there is no day to replay."""
    days = past.seen.shape[1]
    if not days:
        return FittedLine(ALERT_LINE, 0.0, 0.0)
    allowed = DAY_QUEUE.quota(alerts_per_1000_a_day, 1) * int(past.seen.sum())
    found = risk_line(past_risks(connection, subjects, past), allowed)
    return FittedLine(found.line, round(found.alerts / days, 2), round(found.allowed / days, 2))


def past_risks(connection: Connection, subjects: Sequence[str], past: PastDays) -> Iterator[PastRisk]:
    """At or above ALERT_LINE. `subjects`: the rows of `past`; days found are local, since 1970-01-01."""
    first = past.first_day - DAY_ZERO
    window = range(first, first + past.seen.shape[1])
    row_of = {subject: row for row, subject in enumerate(subjects)}
    at = rule_days.c
    hit = select(at.subject).where(at.day >= window.start, at.day < window.stop).distinct()
    everybody = sorted({*subjects, *connection.execute(hit).scalars()})
    missing = confirmed_days(connection)
    for start in range(0, len(everybody), _SUBJECTS_A_QUERY):
        part = everybody[start : start + _SUBJECTS_A_QUERY]
        hits = _hits(connection, part, window)
        for subject in part:
            row = row_of.get(subject)
            strange = {} if row is None else _strange(past, row, first)
            yield from _of_subject(subject, hits.get(subject, {}), strange, window, missing.get(subject, ()))


def _hits(
    connection: Connection, subjects: Sequence[str], window: range
) -> dict[str, dict[str, list[RuleHits]]]:
    """By subject and family, with the days before that still weigh."""
    at = rule_days.c
    query = select(rule_days).where(
        at.subject.in_(subjects), at.day > window.start - RULE_DAYS_BACK, at.day < window.stop
    )
    found: dict[str, dict[str, list[RuleHits]]] = {}
    for row in connection.execute(query):
        each = RuleHits(*row[1:])
        if each.family:
            found.setdefault(row.subject, {}).setdefault(each.family, []).append(each)
    return found


def _strange(past: PastDays, row: int, first: int) -> dict[str, dict[int, StrangePoints]]:
    """By family and local day."""
    found: dict[str, dict[int, StrangePoints]] = {}
    is_strange = np.maximum(past.points[row], past.slow_points[row]) >= COUNTS_FROM
    for day in is_strange.nonzero()[0].tolist():
        points, slow = counted(float(past.points[row, day])), counted(float(past.slow_points[row, day]))
        family, slow_family = _FAMILY_OF[past.activity[row, day]], _FAMILY_OF[past.slow_activity[row, day]]
        if family == slow_family:
            found.setdefault(family, {})[first + day] = StrangePoints(points, slow)
            continue
        if points:
            found.setdefault(family, {})[first + day] = StrangePoints(points)
        if slow:
            found.setdefault(slow_family, {})[first + day] = StrangePoints(0.0, slow)
    return found


def _of_subject(
    subject: str,
    hits: Mapping[str, Sequence[RuleHits]],
    strange: Mapping[str, Mapping[int, StrangePoints]],
    window: range,
    missing: Collection[int],
) -> Iterator[PastRisk]:
    for family in sorted(hits.keys() | strange.keys()):
        its = [each for each in hits.get(family, ()) if each.day not in missing]
        points = strange.get(family, {})
        for day in sorted({each.day for each in its} | points.keys()):
            if day not in window or day in missing:
                continue
            scores = line_scores(day, its, points.get(day, _NOTHING))
            if scores.score >= ALERT_LINE and not is_outside(day, its):
                yield PastRisk(subject, day, scores)
