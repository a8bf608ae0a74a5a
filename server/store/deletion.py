"""Deletes many rows in small transactions, so that the pipeline is never kept waiting for long."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import ColumnElement, Connection, Table, delete, select, tuple_

from server.store.database import Database

ROWS_PER_TRANSACTION = 200
ROWS_PER_SEARCH = 5000

Note = Callable[[Connection, int], None]
"""(the transaction, how many rows it deleted)."""


def delete_rows(
    database: Database,
    table: Table,
    condition: ColumnElement[bool],
    *,
    stopped: Callable[[], bool] = lambda: False,
    note: Note | None = None,
) -> int:
    """How many went. `stopped`: asked before each search. `note`: within each transaction."""
    keys = list(table.primary_key.columns)
    total = 0
    while not stopped():
        # Found outside the write transaction: there may be no index for the condition.
        with database.read() as connection:
            rows = connection.execute(select(*keys).where(condition).limit(ROWS_PER_SEARCH)).all()
        for first in range(0, len(rows), ROWS_PER_TRANSACTION):
            part = [tuple(row) for row in rows[first : first + ROWS_PER_TRANSACTION]]
            with database.begin() as connection:
                deleted = connection.execute(delete(table).where(tuple_(*keys).in_(part), condition)).rowcount
                if note is not None:
                    note(connection, deleted)
            total += deleted
        if len(rows) < ROWS_PER_SEARCH:
            break
    return total
