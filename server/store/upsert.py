"""Many rows at once: insert them, or change what is there. The only place that picks the way by database.

On SQLite, and for a handful of rows, one INSERT statement is executed for each row. On PostgreSQL more rows
than that go by binary COPY (postgresql_copy.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy import insert as plain_insert
from sqlalchemy.dialects import postgresql, sqlite

COPY_FROM_ROWS = 8
"""Below that three statements cost more than they save."""

Row = dict[str, Any]


def insert_new(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Each row has the same columns. A key that exists is an error."""
    if _by_copy(connection, rows):
        from server.store.postgresql_copy import copy_new  # noqa: PLC0415 - psycopg is an extra

        copy_new(connection, table, rows)
    elif rows:
        connection.execute(plain_insert(table), list(rows))


def upsert(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Each row has the same columns and a primary key of its own. One whose key exists changes all of its
    other columns."""
    _insert(connection, table, rows, change=True)


def insert_missing(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Like upsert, but leaves rows that exist (by any unique index) as they are."""
    _insert(connection, table, rows, change=False)


def _insert(connection: Connection, table: Table, rows: Sequence[Row], *, change: bool) -> None:
    if _by_copy(connection, rows):
        from server.store.postgresql_copy import copy_upsert  # noqa: PLC0415 - psycopg is an extra

        copy_upsert(connection, table, rows, change=change)
    elif rows:
        dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
        statement = dialect.insert(table)
        keys = [column.name for column in table.primary_key]
        others = {name: statement.excluded[name] for name in rows[0] if name not in keys}
        if change and others:
            statement = statement.on_conflict_do_update(index_elements=keys, set_=others)
        else:
            statement = statement.on_conflict_do_nothing()
        connection.execute(statement, list(rows))


def _by_copy(connection: Connection, rows: Sequence[Row]) -> bool:
    return len(rows) >= COPY_FROM_ROWS and connection.dialect.name == "postgresql"
