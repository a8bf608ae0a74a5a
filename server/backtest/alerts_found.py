"""The alerts of both sides: stored hits of rules that are not replayed, and what the replay found of
others.

An alert is what one open alert would have held: of one subject and family, all days at or above the
line. One that a person closed ends with its last day, on both sides; what comes on later days is another
alert, in which hits up to that day take no part, as for the pipeline (alerts/judgement.py). Before the
window all is as it was found, on both sides. Anomalies do not depend on rules: they are those that are
stored. Each day has the line that it had, and one that a queue held back makes no alert by itself. What
a trial finds anew is told without the day's cap: how much would compete for it is what one wants to know
of a rule.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final

import msgspec
from sqlalchemy import Connection, func, select

from policies.correlated_policies import Reach
from server.alerts.queueing import day_lines
from server.alerts.scored_days import SUBJECTS_AT_ONCE, load_scored_days
from server.detection.assessment import RULE_DAYS_BACK, Lines, assess, judged_points
from server.pipeline.subject_state import SubjectState
from server.store.tables import alert_candidates, alert_days, alerts, anomaly_days, rule_days
from server.training.stored_models import active_risk_line

_ORDER: Final = ("confirmed", "expected", "false", "duplicate")


class Found(msgspec.Struct, frozen=True):
    """An alert of one side, by the days of the window. `days`: local, at or above the line. `places`:
    channels and days of its evidence. `rules`: ids that take part in the score."""

    score: int
    days: tuple[int, ...]
    places: tuple[tuple[str, int], ...]
    rules: tuple[str, ...]


class Pair(msgspec.Struct, frozen=True):
    """The same alert on both sides; None: not there. `closed`: number and verdict of the alert that a person
    closed; None: nobody did."""

    subject: str
    family: str
    closed: tuple[int, str] | None
    before: Found | None
    after: Found | None


class Window(msgspec.Struct, frozen=True):
    """`since`: its first local day. `replayed`: ids of rules. `families`: those that are looked at."""

    since: int
    replayed: frozenset[str]
    families: frozenset[str]


def concerned_subjects(connection: Connection, window: Window) -> Iterator[str]:
    """Who has anything stored in the window that could be an alert of these families."""
    hit = rule_days.c
    found = select(hit.subject).where(hit.family.in_(window.families), hit.day >= window.since)
    yield from connection.execute(found.distinct()).scalars()
    day = anomaly_days.c
    is_strange = ((day.points > 0) & day.family.in_(window.families)) | (
        (day.slow_points > 0) & day.slow_family.in_(window.families)
    )
    strange = select(day.subject).where(day.day >= window.since, is_strange)
    yield from connection.execute(strange.distinct()).scalars()


def found_alerts(
    connection: Connection,
    window: Window,
    subjects: Sequence[str],
    replayed: tuple[Mapping[str, SubjectState], Mapping[str, SubjectState]],
    reaches: tuple[Mapping[str, Reach], Mapping[str, Reach]],
) -> Iterator[Pair]:
    """All of these subjects that are there on a side. At most SUBJECTS_AT_ONCE subjects."""
    stored = load_scored_days(connection, subjects, window.since - RULE_DAYS_BACK, strange_since=window.since)
    closed = _closed(connection, window, subjects)
    held = _held_days(connection, window, subjects)
    lines = day_lines(connection, active_risk_line(connection), since=window.since)
    for subject in subjects:
        states = [_joined(stored[subject], side.get(subject), window) for side in replayed]
        for family in sorted(window.families):
            ends = closed.get((subject, family), {})
            back = held.get((subject, family), frozenset())
            yield from _pairs(window, states, family, ends, reaches, back, lines)


def _closed(
    connection: Connection, window: Window, subjects: Sequence[str]
) -> dict[tuple[str, str], dict[int, tuple[int, str]]]:
    """By subject and family: alerts that people closed, by their last day."""
    last = func.max(alert_days.c.day).label("last_day")
    query = (
        select(alerts.c.id, alerts.c.subject, alerts.c.family, alerts.c.verdict, last)
        .join(alert_days, alert_days.c.alert == alerts.c.id)
        .where(
            alerts.c.subject.in_(subjects),
            alerts.c.family.in_(window.families),
            alerts.c.status == "closed",
        )
        .group_by(alerts.c.id, alerts.c.subject, alerts.c.family, alerts.c.verdict)
        .order_by(alerts.c.id)
    )
    found: dict[tuple[str, str], dict[int, tuple[int, str]]] = {}
    for row in connection.execute(query):
        ends = found.setdefault((row.subject, row.family), {})
        mine = (row.id, row.verdict or "")
        # Of several that end on one day the gravest says what it was.
        ends[row.last_day] = min(ends.get(row.last_day, mine), mine, key=_gravity)
    return found


def _held_days(
    connection: Connection, window: Window, subjects: Sequence[str]
) -> dict[tuple[str, str], frozenset[int]]:
    """By subject and family: days that a queue let no alert through of."""
    at = alert_candidates.c
    query = (
        select(alerts.c.subject, alerts.c.family, at.day, at.admitted)
        .join(alert_candidates, at.alert == alerts.c.id)
        .where(alerts.c.subject.in_(subjects), alerts.c.family.in_(window.families), at.day >= window.since)
    )
    days: dict[bool, dict[tuple[str, str], set[int]]] = {True: {}, False: {}}
    for row in connection.execute(query):
        days[row.admitted].setdefault((row.subject, row.family), set()).add(row.day)
    return {place: frozenset(held - days[True].get(place, set())) for place, held in days[False].items()}


def _gravity(closed: tuple[int, str]) -> tuple[int, int]:
    number, verdict = closed
    return (_ORDER.index(verdict) if verdict in _ORDER else len(_ORDER)), number


def _joined(stored: SubjectState, replayed: SubjectState | None, window: Window) -> SubjectState:
    """What is stored, with what the replay found in place of what the replayed rules had found."""
    state = SubjectState(stored.subject)
    state.channels, state.anomalies = stored.channels, stored.anomalies
    state.rules = {
        place: hits
        for place, hits in stored.rules.items()
        if hits.day < window.since or hits.rule_id not in window.replayed
    }
    if replayed is not None:
        state.rules |= {
            place: hits
            for place, hits in replayed.rules.items()
            if hits.day >= window.since and hits.rule_id in window.replayed
        }
    return state


def _pairs(
    window: Window,
    states: Sequence[SubjectState],
    family: str,
    ends: Mapping[int, tuple[int, str]],
    reaches: Sequence[Mapping[str, Reach]],
    held: Collection[int],
    lines: Lines,
) -> Iterator[Pair]:
    after = None
    for end in [*sorted(ends), None]:
        if end is None or end >= window.since:
            found = [
                _alert(window, state, family, (after, end), each, held, lines)
                for state, each in zip(states, reaches, strict=True)
            ]
            if any(found):
                closed = None if end is None else ends[end]
                yield Pair(states[0].subject, family, closed, *found)
        after = end


def _alert(
    window: Window,
    state: SubjectState,
    family: str,
    between: tuple[int | None, int | None],
    reaches: Mapping[str, Reach],
    held: Collection[int],
    lines: Lines,
) -> Found | None:
    """`between`: the day on which the alert before it ended, and its own last one."""
    after, end = between
    part = _until(state, end)
    judged = _judged(part, family, after)
    assessed = assess(part, family, judged, reaches, since=window.since, lines=lines)
    if assessed is None or (not assessed.by_rules and held and set(assessed.days) <= set(held)):
        return None
    rules = tuple(sorted({hit.rule_id for hit in assessed.hits}))
    return Found(assessed.risk.score, assessed.days, assessed.places, rules)


def _until(state: SubjectState, end: int | None) -> SubjectState:
    if end is None:
        return state
    part = SubjectState(state.subject)
    part.rules = {place: hits for place, hits in state.rules.items() if hits.day <= end}
    part.channels = state.channels
    part.anomalies = {day: row for day, row in state.anomalies.items() if day <= end}
    return part


def _judged(state: SubjectState, family: str, after: int | None) -> Mapping[tuple[str, int], int]:
    """All up to the day on which the alert before it ended."""
    if after is None:
        return {}
    judged: dict[tuple[str, int], int] = {}
    for hits in state.rules.values():
        if hits.day <= after:
            place = (hits.rule_id, hits.day)
            judged[place] = judged.get(place, 0) + hits.hits
    for row in state.anomalies.values():
        if row.day <= after:
            judged |= {(key, row.day): points for key, points in judged_points(row, family).items()}
    return judged


def in_portions(*some: Iterable[str]) -> list[list[str]]:
    """Each once, in portions of SUBJECTS_AT_ONCE."""
    found = sorted(set[str]().union(*some))
    return [found[at : at + SUBJECTS_AT_ONCE] for at in range(0, len(found), SUBJECTS_AT_ONCE)]


def rule_hits(states: Mapping[str, SubjectState], window: Window) -> Iterator[tuple[str, str, int, int]]:
    """(rule id, subject, local day, hits) of what a side's replay found in the window."""
    for subject, state in states.items():
        for hits in state.rules.values():
            if hits.day >= window.since and hits.rule_id in window.replayed:
                yield hits.rule_id, subject, hits.day, hits.hits
