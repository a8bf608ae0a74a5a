"""The risk of one subject over time, as analysts see it: by day, by policy family, with its alerts.

From what is stored of rules' days and of days' anomalies (analytics/risk_over_time.py). What a person closed
as expected or false counts no longer, as far as it was there at the closing; what was confirmed, or is a
duplicate, still does.

Days of which nothing is kept any longer, or on which nothing was known of the subject yet, are not known:
they are no zeros. While hits that would still weigh may be gone, the number is not whole.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Final

import msgspec
from sqlalchemy import Connection, func, select

from analytics.risk import COUNTS_FROM, PI, RuleDay
from analytics.risk_over_time import AnomalyPoints, FamilyEvidence, RiskOfDay, risk_over_time
from server.alerts.calming import CALMING
from server.alerts.judgement import judged_of
from server.alerts.queries import UnknownAlert, get_alert
from server.alerts.queueing import day_lines
from server.alerts.view_types import ShareView
from server.alerts.views import share_view
from server.detection.assessment import (
    ANOMALY,
    DRIFT,
    POINT,
    RULE_DAYS_BACK,
    Judged,
    is_clearly_stranger,
)
from server.people.dates import day_text
from server.people.directory import Directory, load_directory
from server.people.pseudonyms import shown_names, subject_of
from server.pipeline.anomaly_day import load_anomaly_days
from server.retention import DAY_MS, EVER, first_day_kept, first_local_day
from server.store.database import Database
from server.store.tables import activity_days, alert_days, alerts, anomaly_days, channel_days, rule_days
from server.training.stored_models import active_risk_line

DAYS_MAX: Final = 365
_SHOWN_STATUSES: Final = ("open", "closed")
_ALERTS_MAX: Final = 100


class RiskDay(msgspec.Struct, frozen=True):
    """`families`: scores by policy family, of those above 0. `shares`: of the score. score: None where it is
    not known, and then there is no family."""

    date: str
    score: int | None
    families: dict[str, int]
    shares: tuple[ShareView, ...]


class RiskAlert(msgspec.Struct, frozen=True):
    """An alert of these days. `date`: the day of its score."""

    id: int
    date: str
    score: int
    family: str
    status: str
    verdict: str | None


class PersonRisk(msgspec.Struct, frozen=True):
    pseudonym: str
    days: tuple[RiskDay, ...]
    """Oldest first; the last one is today, where the person is."""
    alerts: tuple[RiskAlert, ...]
    """The latest first."""
    known_from: str
    """The first of these days that is known."""
    whole_from: str | None
    """The first of these days of which nothing is gone that would still weigh. None: there is none."""
    line: int
    """From which on today is a candidate of the day's queue."""
    days_judged_harmless: int
    """Days of which something counts no longer, because an alert about it was closed as expected or false."""


def subject_meant(connection: Connection, given: str) -> str:
    """By an alert's number or a pseudonym. Raises UnknownAlert, UnknownPseudonym."""
    if given.isdecimal() and given.isascii():
        number = int(given)
        if number >= 2**63:
            raise UnknownAlert(f"there is no alert {given}")
        return get_alert(connection, number).subject
    return subject_of(connection, given)


def person_risk(
    database: Database,
    given: str,
    days: int,
    *,
    now: int,
    events_days: int | None = None,
    directory: Directory | None = None,
) -> PersonRisk:
    """Of the last `days` days (1 to DAYS_MAX). now: ms UTC. `events_days`: for how many the days' hits are
    kept; None: all. `directory` where the caller keeps a current one. Raises UnknownAlert,
    UnknownPseudonym."""
    if not 1 <= days <= DAYS_MAX:
        raise ValueError(f"{days} days are not within 1 to {DAYS_MAX}")
    with database.read() as connection:
        subject = subject_meant(connection, given)
        directory = directory or load_directory(connection)
        person = directory.person(subject.removeprefix("person:")) if subject.startswith("person:") else None
        today = now // DAY_MS if person is None else directory.local_day_and_hour(person, now)[0]
        first_day = today - days + 1
        kept = first_local_day(first_day_kept(now, events_days))
        known = min(max(kept, _first_seen(connection, subject)), today)
        # Before it was seen nothing can be gone; after that, what is older than the days that are kept.
        whole = known if known > kept else kept + RULE_DAYS_BACK - 1
        since = max(kept, first_day - RULE_DAYS_BACK)
        judged = _harmless(connection, subject)
        evidence, titles, left_out = _evidence(connection, subject, since, judged)
        raised = tuple(_alerts(connection, subject, first_day))
        line = day_lines(connection, active_risk_line(connection), since=today).on(today)
    first_known = max(first_day, known)
    found = risk_over_time(evidence, first_known, today, reach_days=RULE_DAYS_BACK)
    unknown = tuple(RiskDay(day_text(day), None, {}, ()) for day in range(first_day, first_known))
    return PersonRisk(
        pseudonym=shown_names(database, [subject])[1][subject],
        days=unknown + tuple(_shown(each, titles) for each in found),
        alerts=raised,
        known_from=day_text(first_known),
        whole_from=day_text(max(whole, first_day)) if whole <= today else None,
        line=line,
        days_judged_harmless=len({day for day in left_out if day >= first_day}),
    )


def _shown(found: RiskOfDay, titles: Mapping[str, str]) -> RiskDay:
    shares = tuple(
        share_view(each.source, each.points, each.share, titles) for each in found.risk.shares if each.points
    )
    return RiskDay(day_text(found.day), found.risk.score, found.families, shares)


def _first_seen(connection: Connection, subject: str) -> int:
    """The first local day of which anything is stored of it; EVER where nothing is."""
    tables = (channel_days, activity_days, rule_days, anomaly_days)
    first = [
        connection.execute(select(func.min(table.c.day)).where(table.c.subject == subject)).scalar()
        for table in tables
    ]
    told = select(func.min(alert_days.c.day)).join(alerts, alerts.c.id == alert_days.c.alert)
    first.append(connection.execute(told.where(alerts.c.subject == subject)).scalar())
    return min((day for day in first if day is not None), default=EVER)


def _harmless(connection: Connection, subject: str) -> dict[str, Judged]:
    """By family, what was there of days of alerts that were closed as harmless, at the closing."""
    rows = connection.execute(
        select(alerts.c.family, alert_days.c.day)
        .join(alert_days, alert_days.c.alert == alerts.c.id)
        .where(alerts.c.subject == subject, alerts.c.verdict.in_(CALMING))
        .distinct()
    )
    days: dict[str, set[int]] = defaultdict(set)
    for row in rows:
        days[row.family].add(row.day)
    judged = judged_of(connection, [subject]) if days else {}
    return {
        family: {place: count for place, count in judged.get((subject, family), {}).items() if place[1] in of}
        for family, of in days.items()
    }


def _evidence(
    connection: Connection, subject: str, since: int, harmless: Mapping[str, Judged]
) -> tuple[dict[str, FamilyEvidence], dict[str, str], set[int]]:
    """By family; titles of the rules; days of which something is left out."""
    row = rule_days.c
    query = (
        select(
            row.rule_id,
            row.day,
            row.family,
            row.level,
            row.title,
            row.last_version,
            func.sum(row.hits).label("hits"),
        )
        # Building blocks of correlations have no family, and are no risk by themselves.
        .where(row.subject == subject, row.day >= since, row.family != "")
        .group_by(row.rule_id, row.day, row.family, row.level, row.title, row.last_version)
    )
    # A rule that changed during the day has one level, as in an alert: that of its highest version.
    found = sorted(connection.execute(query), key=lambda each: (each.day, each.last_version, PI[each.level]))
    total: Counter[tuple[str, str, int]] = Counter()
    for each in found:
        # PostgreSQL adds whole numbers up as decimals.
        total[each.family, each.rule_id, each.day] += int(each.hits)
    left_out: set[int] = set()
    titles: dict[str, str] = {}
    rules: dict[str, dict[tuple[str, int], RuleDay]] = defaultdict(dict)
    for each in found:
        titles[each.rule_id] = each.title
        judged = harmless.get(each.family, {}).get((each.rule_id, each.day))
        if judged is not None and total[each.family, each.rule_id, each.day] <= judged:
            left_out.add(each.day)
        else:
            place = each.rule_id, each.day
            hits = total[each.family, each.rule_id, each.day]
            rules[each.family][place] = RuleDay(each.rule_id, each.level, each.day, hits)
    strange: dict[str, list[AnomalyPoints]] = defaultdict(list)
    for anomaly in load_anomaly_days(connection, [subject], since).get(subject, {}).values():
        for key, family, points in (
            (ANOMALY, anomaly.family, anomaly.points),
            (DRIFT, anomaly.slow_family, anomaly.slow_points),
        ):
            judged = harmless.get(family, {}).get((key, anomaly.day))
            if points < COUNTS_FROM:
                continue
            if judged is not None and not is_clearly_stranger(points, judged / POINT):
                left_out.add(anomaly.day)
            elif key == ANOMALY:
                strange[family].append(AnomalyPoints(anomaly.day, points, 0.0))
            else:
                strange[family].append(AnomalyPoints(anomaly.day, 0.0, points))
    return (
        {
            family: FamilyEvidence(tuple(rules[family].values()), strange[family])
            for family in sorted({*rules, *strange})
        },
        titles,
        left_out,
    )


def _alerts(connection: Connection, subject: str, first_day: int) -> list[RiskAlert]:
    query = (
        select(alerts)
        .where(
            alerts.c.subject == subject,
            alerts.c.status.in_(_SHOWN_STATUSES),
            alerts.c.last_time >= (first_day - 1) * DAY_MS,
        )
        .order_by(alerts.c.last_time.desc(), alerts.c.id.desc())
        .limit(_ALERTS_MAX)
    )
    return [
        RiskAlert(
            row.id,
            day_text(row.facts.get("day", row.last_time // DAY_MS)),
            row.score,
            row.family,
            row.status,
            row.verdict,
        )
        for row in connection.execute(query)
    ]
