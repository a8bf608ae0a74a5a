"""What a person judged harmless: how much of what, kept with the alert when it is closed.

`alerts.facts["accepted"]` is [[activity, measure, amount, local day], …], as it stood at the verdict: what
comes later of the same day was not judged. analytics/calmed_day.py says what of a later day it calms, and for
how long. Only activities of which all that was seen that day came by the alert's own channels: nobody judged
the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Final

import msgspec
from sqlalchemy import Connection, Select, select, update

from analytics.calmed_day import CALM_DAYS, Accepted
from analytics.measures import ACTIVITIES
from server.pipeline.activity_history import NEW_AFTER_DAYS, SOURCES, running_day
from server.pipeline.subject_activities import load_activities
from server.store.tables import alert_days, alerts, channel_days

ACCEPTED: Final = "accepted"
CALMING: Final = ("expected", "false")
"""Verdicts."""
_DAYS_MAX: Final = 31
_AT_ONCE: Final = 500
_DAY_MS: Final = 86_400_000
_DAY_ZERO: Final = date(1970, 1, 1).toordinal()


def note_accepted(connection: Connection, alert_id: int, subject: str, since: int) -> None:
    """In the transaction that closes the alert as expected or false. `since`: the oldest local day of which
    sums by activity count."""
    at = alert_days.c
    shown = _by_day(connection, select(at.day, at.channel).where(at.alert == alert_id))
    latest = sorted(shown)[-_DAYS_MAX:]
    row = channel_days.c
    seen = select(row.day, row.channel).where(row.subject == subject, row.day.in_(latest))
    there = _by_day(connection, seen)
    judged = {
        (activity, day)
        for activity, source in SOURCES.items()
        for day in latest
        if shown[day] & (feeding := source.own | source.company | source.or_company)
        and there.get(day, set()) & feeding <= shown[day]
    }
    if not judged:
        return
    known = load_activities(connection, [subject], max(latest[0] - NEW_AFTER_DAYS, since))[subject]
    accepted = [
        [activity, measure.name, amount, day]
        for activity, day in sorted(judged)
        for measure, amount in zip(ACTIVITIES[activity], running_day(known, activity, day), strict=True)
        if amount
    ]
    if accepted:
        facts = connection.execute(select(alerts.c.facts).where(alerts.c.id == alert_id)).scalar_one()
        values = {"facts": facts | {ACCEPTED: accepted}}
        connection.execute(update(alerts).where(alerts.c.id == alert_id).values(values))


def accepted_of(
    connection: Connection, subjects: Sequence[str], day: int, *, until: int | None = None
) -> dict[str, tuple[Accepted, ...]]:
    """What calms the local day `day` (since 1970-01-01) of these subjects; those without are left out.
    `until`: only what was judged by then (ms UTC)."""
    found: dict[str, tuple[Accepted, ...]] = {}
    for start in range(0, len(subjects), _AT_ONCE):
        query = (
            select(alerts.c.subject, alerts.c.facts)
            .where(
                alerts.c.subject.in_(subjects[start : start + _AT_ONCE]),
                alerts.c.verdict.in_(CALMING),
                alerts.c.last_time >= (day - CALM_DAYS - 1) * _DAY_MS,
            )
            .order_by(alerts.c.id)
        )
        if until is not None:
            query = query.where(alerts.c.closed_at <= until)
        for row in connection.execute(query):
            held = tuple(
                each for each in accepted_in(row.facts) if 0 < day + _DAY_ZERO - each.day <= CALM_DAYS
            )
            if held:
                found[row.subject] = found.get(row.subject, ()) + held
    return found


def accepted_in(facts: dict[str, object]) -> Iterable[Accepted]:
    """Of one alert's facts."""
    for activity, measure, amount, day in msgspec.convert(
        facts.get(ACCEPTED, []), list[tuple[str, str, int, int]]
    ):
        yield Accepted(activity, measure, amount, _DAY_ZERO + day)


def _by_day(connection: Connection, query: Select[int, str]) -> dict[int, set[str]]:
    """Channels by local day."""
    found: dict[int, set[str]] = {}
    for day, channel in connection.execute(query):
        found.setdefault(day, set()).add(channel)
    return found
