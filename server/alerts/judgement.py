"""What a person has judged: how much each day of a subject held, and how strange it was, when its alert was
closed.

A verdict is about what was there to be seen. Evidence that reaches the server later, of whatever day, is
none of it: it may open another alert. Days after the alert's last one were not part of it either. Of how
strange a day was only those are judged that made the alert.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, func, select

from server.detection.assessment import Judged, judged_points
from server.pipeline.anomaly_day import load_anomaly_days
from server.retention import EVER
from server.store.tables import alert_days, judged_days, rule_days
from server.store.upsert import upsert


def note_judged(
    connection: Connection, alert_id: int, subject: str, family: str
) -> dict[tuple[str, int], int]:
    """In the transaction that closes the alert, which no batch's commit runs beside. Returns what it wrote:
    count by rule and day."""
    mine = select(alert_days.c.day).where(alert_days.c.alert == alert_id).distinct()
    days = set(connection.execute(mine).scalars())
    if not days:
        return {}
    last = max(days)
    hits = (
        select(rule_days.c.rule_id, rule_days.c.day, func.sum(rule_days.c.hits).label("hits"))
        .where(rule_days.c.subject == subject, rule_days.c.family == family, rule_days.c.day <= last)
        .group_by(rule_days.c.rule_id, rule_days.c.day)
    )
    # PostgreSQL adds whole numbers up as decimals.
    found = [(row.rule_id, row.day, int(row.hits)) for row in connection.execute(hits)]
    anomalies = load_anomaly_days(connection, [subject], EVER).get(subject, {})
    for day in anomalies.values():
        # One that was below the line was nobody's to judge.
        if day.day in days:
            found += [(key, day.day, points) for key, points in judged_points(day, family).items()]
    place = {"subject": subject, "family": family}
    rows = [place | {"rule_id": rule_id, "day": day, "count": count} for rule_id, day, count in found]
    upsert(connection, judged_days, rows)
    return {(rule_id, day): count for rule_id, day, count in found}


def judged_of(connection: Connection, subjects: Sequence[str]) -> dict[tuple[str, str], Judged]:
    """By subject and policy family. As many as one query may hold."""
    found: dict[tuple[str, str], dict[tuple[str, int], int]] = {}
    for row in connection.execute(select(judged_days).where(judged_days.c.subject.in_(subjects))):
        # Not row.count: that is a tuple's method.
        found.setdefault((row.subject, row.family), {})[row.rule_id, row.day] = row._mapping["count"]
    return dict(found)
