"""Notes and parts of an alert, for whoever shows them. What people typed is as they typed it: it may name
anybody, and is masked (server/people/text_mask.py) before an analyst sees it."""

from __future__ import annotations

from typing import Final

import msgspec
from sqlalchemy import Connection, func, select

from event_schema.struct_base import Milliseconds
from server.store.tables import alert_notes, alerts

NOTES_MAX: Final = 500
PARTS_MAX: Final = 100


class Note(msgspec.Struct, frozen=True):
    """`actor`: as in the audit trail, "user:omar"."""

    id: int
    at: Milliseconds
    actor: str
    text: str
    undo_group: int | None = None
    on_alerts: int = 0
    """How many alerts have it by the same act, and lose it with this one; 0: nobody knows."""


def notes_of(connection: Connection, alert_id: int, limit: int = NOTES_MAX) -> list[Note]:
    """The latest first."""
    others = alert_notes.alias()
    together = select(func.count()).where(others.c.undo_group == alert_notes.c.undo_group)
    columns = [*(alert_notes.c[name] for name in Note.__struct_fields__[:-1]), together.scalar_subquery()]
    query = select(*columns).where(alert_notes.c.alert == alert_id).order_by(alert_notes.c.id.desc())
    return [Note(*row) for row in connection.execute(query.limit(limit))]


class Part(msgspec.Struct, frozen=True):
    """Of a main alert, as its page shows it."""

    id: int
    subject: str
    family: str
    score: int
    last_time: Milliseconds
    triage_version: int


def parts_shown(connection: Connection, main: int, limit: int = PARTS_MAX) -> list[Part]:
    """The highest score first."""
    columns = (alerts.c[name] for name in Part.__struct_fields__)
    query = select(*columns).where(alerts.c.merged_into == main)
    return [
        Part(*row)
        for row in connection.execute(query.order_by(alerts.c.score.desc(), alerts.c.id).limit(limit))
    ]
