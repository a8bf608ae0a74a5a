"""What a person has judged: how much each day of a subject held when its alert was closed.

A verdict is about what was there to be seen. Evidence that reaches the server later, of whatever day, is
none of it: it may open another alert. Days after the alert's last one were not part of it either.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, func, select

from server.detection.assessment import ANOMALY, Judged
from server.detection.storage_anomaly import CHANNEL, FAMILY
from server.store.tables import alert_days, channel_days, judged_days, rule_days
from server.store.upsert import upsert


def note_judged(connection: Connection, alert_id: int, subject: str, family: str) -> None:
    """In the transaction that closes the alert, which no batch's commit runs beside."""
    last = connection.execute(
        select(func.max(alert_days.c.day)).where(alert_days.c.alert == alert_id)
    ).scalar_one()
    if last is None:
        return
    hits = (
        select(rule_days.c.rule_id, rule_days.c.day, func.sum(rule_days.c.hits).label("hits"))
        .where(rule_days.c.subject == subject, rule_days.c.family == family, rule_days.c.day <= last)
        .group_by(rule_days.c.rule_id, rule_days.c.day)
    )
    # PostgreSQL adds whole numbers up as decimals.
    found = [(row.rule_id, row.day, int(row.hits)) for row in connection.execute(hits)]
    if family == FAMILY:
        events = select(channel_days.c.day, channel_days.c.events).where(
            channel_days.c.subject == subject,
            channel_days.c.channel == CHANNEL,
            channel_days.c.day <= last,
        )
        found += [(ANOMALY, row.day, row.events) for row in connection.execute(events)]
    place = {"subject": subject, "family": family}
    rows = [place | {"rule_id": rule_id, "day": day, "count": count} for rule_id, day, count in found]
    upsert(connection, judged_days, rows)


def judged_of(connection: Connection, subjects: Sequence[str]) -> dict[tuple[str, str], Judged]:
    """By subject and policy family. As many as one query may hold."""
    found: dict[tuple[str, str], dict[tuple[str, int], int]] = {}
    for row in connection.execute(select(judged_days).where(judged_days.c.subject.in_(subjects))):
        # Not row.count: that is a tuple's method.
        found.setdefault((row.subject, row.family), {})[row.rule_id, row.day] = row._mapping["count"]
    return dict(found)
