"""Insert, or change what is there: the same statement on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite


def upsert(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Each row has the same keys. A row whose primary key exists changes all of its other columns."""
    _insert(connection, table, rows, change=True)


def insert_missing(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Like upsert, but leaves rows that exist (by any unique index) as they are."""
    _insert(connection, table, rows, change=False)


def _insert(connection: Connection, table: Table, rows: Sequence[dict[str, Any]], *, change: bool) -> None:
    if not rows:
        return
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(table)
    keys = [column.name for column in table.primary_key]
    others = {name: statement.excluded[name] for name in rows[0] if name not in keys}
    if change and others:
        statement = statement.on_conflict_do_update(index_elements=keys, set_=others)
    else:
        statement = statement.on_conflict_do_nothing()
    connection.execute(statement, list(rows))
