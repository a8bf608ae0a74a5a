"""What was found and not alerted: days below the line, and days that were held back, with why.

Nothing that was found is hidden. The highest risk first, among equals the strangest; under a cold-start
model, which gives no points, that alone ranks them.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Final, Literal, NamedTuple

import msgspec
from sqlalchemy import Connection, select

from analytics.calmed_day import CALM_DAYS
from analytics.risk_line import ALERT_LINE
from server.alerts.calming import CALMING, accepted_in
from server.alerts.judgement import judged_of
from server.alerts.queueing import day_lines
from server.alerts.ranking import HELD
from server.alerts.scored_days import SUBJECTS_AT_ONCE, load_scored_days
from server.detection.assessment import (
    RULE_DAYS_BACK,
    DayRisk,
    Judged,
    Lines,
    risks,
    strength_of,
    strongest,
)
from server.pipeline.anomaly_day import AnomalyDay
from server.pipeline.subject_state import SubjectState
from server.store.tables import alert_candidates, alert_days, alerts, anomaly_days, queue_days, rule_days
from server.training.stored_models import active_risk_line

BELOW_MAX: Final = 1000
BELOW_DAYS_MAX: Final = 90
_DAY_ZERO: Final = date(1970, 1, 1).toordinal()

WhyNot = Literal["below_the_line", "calmed", "cooling_down", "over_the_cap"]


class NotAlerted(msgspec.Struct, frozen=True):
    """One day of a subject in a policy family. `day`: local."""

    subject: str
    day: int
    family: str
    score: int
    """The risk of the day."""
    points: float
    """Of its anomaly, its drift, and of its anomaly as if nothing were judged harmless."""
    slow_points: float
    uncalmed: float
    strength: float
    why: WhyNot
    held: int | None
    """The alert that it would be: `leaver alerts show`."""
    after: int | None
    """The closed alert that calms or cools it."""
    cap: int | None
    """Of the day, where it was over it."""
    line: int
    """Of the day's queue."""
    activities: tuple[str, ...]
    """What stood out, the strangest first."""
    rules: tuple[str, ...]
    """Titles of the rules that hit on the day."""


class _Held(NamedTuple):
    alert: int
    cooling: int | None
    cap: int | None


_Place = tuple[str, str, int]
"""(subject, family, day)."""


class _Known(NamedTuple):
    """Of the subjects of a portion. `calming`: alerts, and their days that were judged harmless."""

    alerted: frozenset[_Place]
    held: Mapping[_Place, _Held]
    judged: Mapping[tuple[str, str], Judged]
    calming: Mapping[str, Sequence[tuple[int, int]]]
    lines: Lines


def not_alerted(connection: Connection, *, until: int, days: int, limit: int) -> list[NotAlerted]:
    """The `limit` highest of the `days` local days up to `until`."""
    since = until - days + 1
    window = range(since, until + 1)
    strange, hit = anomaly_days.c, rule_days.c
    subjects = sorted(
        {
            *connection.execute(select(strange.subject).where(strange.day.between(since, until)).distinct())
            .scalars()
            .all(),
            *connection.execute(select(hit.subject).where(hit.day.between(since, until)).distinct())
            .scalars()
            .all(),
        }
    )
    lines = day_lines(connection, active_risk_line(connection), since=since)
    best: list[NotAlerted] = []
    for start in range(0, len(subjects), SUBJECTS_AT_ONCE):
        part = subjects[start : start + SUBJECTS_AT_ONCE]
        states = load_scored_days(connection, part, since - RULE_DAYS_BACK, strange_since=since)
        known = _known(connection, part, since, lines)
        found = (each for state in states.values() for each in _of_subject(state, known, window))
        best = heapq.nsmallest(limit, [*best, *found], key=_order)
    return best


def _order(each: NotAlerted) -> tuple[float, float, int, str, str]:
    return (-each.score, -each.strength, -each.day, each.subject, each.family)


def _of_subject(state: SubjectState, known: _Known, window: range) -> Iterator[NotAlerted]:
    told: set[int] = set()
    families = {hits.family for hits in state.rules.values()}
    for row in state.anomalies.values():
        families |= {row.family, row.slow_family}
    for family in sorted(families - {""}):
        judged = known.judged.get((state.subject, family), {})
        for found in risks(state, family, judged, window):
            told.add(found.day)
            if (state.subject, family, found.day) not in known.alerted:
                yield _below(state, family, found, known)
    for day, row in state.anomalies.items():
        place = (state.subject, row.family, day)
        if day in window and day not in told and row.evidence and place not in known.alerted:
            yield _uncounted(state.subject, row, known)


def _below(state: SubjectState, family: str, found: DayRisk, known: _Known) -> NotAlerted:
    row = state.anomalies.get(found.day) or AnomalyDay(found.day)
    is_ours, is_slow = row.family == family, row.slow_family == family
    held = known.held.get((state.subject, family, found.day))
    why: WhyNot = "below_the_line"
    after = cap = None
    if held is not None:
        why, after = ("over_the_cap", None) if held.cooling is None else ("cooling_down", held.cooling)
        cap = held.cap if held.cooling is None else None
    elif is_ours and row.points < ALERT_LINE <= row.uncalmed:
        why, after = "calmed", _calmed_by(known, state.subject, found.day)
    return NotAlerted(
        subject=state.subject,
        day=found.day,
        family=family,
        score=found.risk.score,
        points=row.points if is_ours else 0.0,
        slow_points=row.slow_points if is_slow else 0.0,
        uncalmed=row.uncalmed if is_ours else 0.0,
        strength=strength_of(row) if is_ours or is_slow else 0.0,
        why=why,
        held=None if held is None else held.alert,
        after=after,
        cap=cap,
        line=known.lines.on(found.day),
        activities=strongest(row) if is_ours or is_slow else (),
        rules=tuple(sorted({hits.title for hits in found.hits})),
    )


def _uncounted(subject: str, row: AnomalyDay, known: _Known) -> NotAlerted:
    """A day that adds nothing to any risk: ordinary, or calmed whole."""
    why: WhyNot = "below_the_line"
    after = None
    if row.uncalmed >= ALERT_LINE:
        why, after = "calmed", _calmed_by(known, subject, row.day)
    return NotAlerted(
        subject=subject,
        day=row.day,
        family=row.family,
        score=0,
        points=row.points,
        slow_points=row.slow_points,
        uncalmed=row.uncalmed,
        strength=strength_of(row),
        why=why,
        held=None,
        after=after,
        cap=None,
        line=known.lines.on(row.day),
        activities=strongest(row),
        rules=(),
    )


def _calmed_by(known: _Known, subject: str, day: int) -> int | None:
    calming = known.calming.get(subject, ())
    return next((alert for alert, judged in calming if 0 < day - judged <= CALM_DAYS), None)


def _known(connection: Connection, subjects: Sequence[str], since: int, lines: Lines) -> _Known:
    at = alert_days.c
    days = (
        select(alerts.c.subject, alerts.c.family, at.day)
        .join(alert_days, at.alert == alerts.c.id)
        .where(alerts.c.subject.in_(subjects), alerts.c.status != HELD, at.day >= since)
    )
    queued = alert_candidates.c
    held = (
        select(alerts.c.subject, alerts.c.family, queued.day, alerts.c.id, queued.cooling, queue_days.c.cap)
        .join(alert_candidates, queued.alert == alerts.c.id)
        .outerjoin(queue_days, (queue_days.c.queue == queued.queue) & (queue_days.c.day == queued.day))
        .where(alerts.c.subject.in_(subjects), alerts.c.status == HELD, queued.day >= since)
    )
    return _Known(
        frozenset((row.subject, row.family, row.day) for row in connection.execute(days)),
        {(row[0], row[1], row[2]): _Held(*row[3:]) for row in connection.execute(held)},
        judged_of(connection, subjects),
        _calming(connection, subjects, since),
        lines,
    )


def _calming(connection: Connection, subjects: Sequence[str], since: int) -> dict[str, list[tuple[int, int]]]:
    """(alert, local day that was judged) by subject, the latest alert first."""
    query = (
        select(alerts.c.id, alerts.c.subject, alerts.c.facts)
        .where(
            alerts.c.subject.in_(subjects),
            alerts.c.verdict.in_(CALMING),
            alerts.c.last_time >= (since - CALM_DAYS - 1) * 86_400_000,
        )
        .order_by(alerts.c.id.desc())
    )
    found: dict[str, list[tuple[int, int]]] = {}
    for row in connection.execute(query):
        for day in sorted({each.day - _DAY_ZERO for each in accepted_in(row.facts)}):
            found.setdefault(row.subject, []).append((row.id, day))
    return found
