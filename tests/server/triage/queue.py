"""A queue of alerts to judge, each about a person of its own, and all of it as rows to compare."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Table, select, update

from server.retention import ACTIVITY_DAYS
from server.store.database import Database
from server.store.tables import alert_candidates, alerts, judged_days, judged_ranges
from server.triage.judging import Keeping
from server.triage.outcome import Change
from tests.server.alerts.recorded_leak import NOW, open_alert

OMAR, EVE = "user:omar", "user:eve"
KEEPING = Keeping(None, ACTIVITY_DAYS, lambda: NOW)
_TABLES = (alerts, judged_days, judged_ranges, alert_candidates)
_COUNTED = frozenset({"updated_at", "triage_version"})


def queue(database: Database, count: int = 3) -> None:
    """Alerts 1 to `count`, with scores 51, 52, …"""
    for number in range(1, count + 1):
        open_alert(database, events=3, subject=f"person:p{number}", alert_id=number, score=50 + number)


def of(*numbers: int, actor: str = OMAR, at: int = NOW, versions: dict[int, int] | None = None) -> Change:
    return Change(actor, at, numbers, versions or {})


def everything(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    """All that triage changes, but for what only counts its changes."""
    with database.read() as connection:
        return everything_in(connection)


def everything_in(connection: Connection) -> dict[str, list[tuple[Any, ...]]]:
    return {table.name: _rows(connection, table) for table in _TABLES}


def _rows(connection: Connection, table: Table) -> list[tuple[Any, ...]]:
    columns = [column for column in table.c if column.name not in _COUNTED]
    return [tuple(map(str, row)) for row in connection.execute(select(*columns).order_by(*table.primary_key))]


def column(database: Database, name: str) -> dict[int, Any]:
    with database.read() as connection:
        query = select(alerts.c.id, alerts.c[name]).order_by(alerts.c.id)
        return {row[0]: row[1] for row in connection.execute(query)}


def listed(database: Database, status: str = "open") -> list[int]:
    """As lists show them: parts stand in none."""
    with database.read() as connection:
        query = select(alerts.c.id).where(alerts.c.status == status, alerts.c.merged_into.is_(None))
        return list(connection.execute(query.order_by(alerts.c.id)).scalars())


def lost(database: Database) -> list[int]:
    """Parts that stand in no list, for their main alert is gone, of another status, or a part itself."""
    with database.read() as connection:
        return lost_in(connection)


def lost_in(connection: Connection) -> list[int]:
    rows = {row.id: row for row in connection.execute(select(alerts))}
    parts = [row for row in rows.values() if row.merged_into is not None]
    return [
        row.id
        for row in parts
        if (main := rows.get(row.merged_into)) is None
        or main.status != row.status
        or main.merged_into is not None
    ]


def write(database: Database, alert_id: int, **values: Any) -> None:
    """As the pipeline does."""
    with database.begin() as connection:
        connection.execute(update(alerts).where(alerts.c.id == alert_id).values(values))
