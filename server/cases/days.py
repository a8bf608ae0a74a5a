"""What the subjects of a case's alerts did on the days that are its evidence, by channel and day."""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection, and_, select

from server.store.tables import alert_days, alerts, case_alerts, channel_days

ROWS_MAX = 50_000


class CaseDay(msgspec.Struct, frozen=True):
    """`day`: local, since 1970-01-01. `score`: of the highest alert that it is evidence of."""

    channel: str
    day: int
    bytes: int
    files: int
    events: int
    score: int
    alerts: tuple[int, ...]


def case_days(connection: Connection, case_id: int) -> list[CaseDay]:
    """By channel and day. Of people with several alerts on a day it counts once."""
    query = (
        select(
            *(alert_days.c.channel, alert_days.c.day, alerts.c.subject, alerts.c.id, alerts.c.score),
            *(channel_days.c.bytes, channel_days.c.files, channel_days.c.events),
        )
        .join(case_alerts, case_alerts.c.alert == alert_days.c.alert)
        .join(alerts, alerts.c.id == alert_days.c.alert)
        .outerjoin(
            channel_days,
            and_(
                channel_days.c.subject == alerts.c.subject,
                channel_days.c.channel == alert_days.c.channel,
                channel_days.c.day == alert_days.c.day,
            ),
        )
        .where(case_alerts.c.case == case_id)
        .order_by(alert_days.c.channel, alert_days.c.day, alerts.c.id)
        .limit(ROWS_MAX)
    )
    found: dict[tuple[str, int], CaseDay] = {}
    counted: set[tuple[str, int, str]] = set()
    for channel, day, subject, alert, score, size, files, events in connection.execute(query):
        known = found.get((channel, day)) or CaseDay(channel, day, 0, 0, 0, 0, ())
        amounts = (size or 0, files or 0, events or 0)
        if (channel, day, subject) in counted:
            amounts = (0, 0, 0)
        counted.add((channel, day, subject))
        found[channel, day] = CaseDay(
            channel,
            day,
            known.bytes + amounts[0],
            known.files + amounts[1],
            known.events + amounts[2],
            max(known.score, score),
            (*known.alerts, alert),
        )
    return list(found.values())
