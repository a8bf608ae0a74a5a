"""Days of leaks that a person confirmed: nobody's leak becomes their usual."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, select

from server.people.pseudonyms import person_subject
from server.store.tables import alert_days, alerts

_CONFIRMED: Final = "confirmed"


def confirmed_days(connection: Connection) -> dict[str, frozenset[int]]:
    """By subject, the local days; those of whose account it was, too."""
    found: dict[str, set[int]] = {}
    query = (
        select(alerts.c.subject, alerts.c.account_owner, alert_days.c.day)
        .join(alert_days, alert_days.c.alert == alerts.c.id)
        .where(alerts.c.verdict == _CONFIRMED)
    )
    for subject, owner, day in connection.execute(query):
        found.setdefault(subject, set()).add(day)
        if owner is not None:
            found.setdefault(person_subject(owner), set()).add(day)
    return {subject: frozenset(days) for subject, days in found.items()}
