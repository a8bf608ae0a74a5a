"""Everything of one database into another, empty one: SQLite to PostgreSQL, or back, or to another server.

One snapshot is read and one transaction written: the other database has all of it in the end, or nothing.
Before it is committed the rows of every table are counted on both sides, and the audit trail's hash chain
must hold, or be broken, at the same place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import sqlalchemy
from sqlalchemy import Column, Connection, LargeBinary, Table, func, select, text

from server import audit
from server.store.database import Database, upgrade
from server.store.tables import metadata
from server.store.upsert import insert_new

ROWS_AT_ONCE = 2000
LARGE_ROWS_AT_ONCE = 50
"""Of tables with bytes: a row may have megabytes."""

Progress = Callable[[str, int, int], None]
"""(table, rows done, of)."""


class TransferFailed(Exception):
    """Nothing was copied; the message says why."""


class Transferred(msgspec.Struct, frozen=True):
    """`rows` by table. `audit_broken_at`: where the audit trail's chain breaks, in both; None: it holds."""

    rows: dict[str, int]
    audit_broken_at: int | None


def transfer(source: Database, target: Database, progress: Progress) -> Transferred:
    """Copies all tables. Raises TransferFailed, StoreUnavailable, DatabaseTooNew; the target has no rows
    then, but may have the empty tables."""
    upgrade(source)
    upgrade(target)
    with source.read() as read, target.begin() as write:
        _require_empty(write, target.place)
        rows = {}
        for table in metadata.sorted_tables:
            rows[table.name] = _copy(read, write, table, progress)
            _advance_numbers(read, write, table)
        _compare(read, write)
        return Transferred(rows, _chain(read, write))


def _require_empty(connection: Connection, place: str) -> None:
    filled = [
        table.name
        for table in metadata.sorted_tables
        if connection.execute(select(sqlalchemy.literal(1)).select_from(table).limit(1)).first() is not None
    ]
    if filled:
        raise TransferFailed(f"database {place} is not empty: there are rows in {', '.join(filled)}")


def _copy(read: Connection, write: Connection, table: Table, progress: Progress) -> int:
    total = _count(read, table)
    done = 0
    progress(table.name, 0, total)
    for rows in _portions(read, table):
        try:
            insert_new(write, table, rows)
        except (sqlalchemy.exc.DataError, sqlalchemy.exc.IntegrityError) as error:
            reason = str(error.orig).strip().splitlines()[0]
            raise TransferFailed(f"table {table.name}: a row does not fit: {reason}") from error
        done += len(rows)
        progress(table.name, done, total)
    return done


def _portions(connection: Connection, table: Table) -> Iterator[list[dict[str, Any]]]:
    large = any(isinstance(column.type, LargeBinary) for column in table.c)
    size = LARGE_ROWS_AT_ONCE if large else ROWS_AT_ONCE
    query = select(table).order_by(*table.primary_key).execution_options(yield_per=size)
    for part in connection.execute(query).mappings().partitions():
        yield [{str(name): value for name, value in row.items()} for row in part]


def _advance_numbers(read: Connection, write: Connection, table: Table) -> None:
    """The next row gets a number that no row ever had, also none that is deleted by now."""
    column: Column[Any] | None = table.autoincrement_column
    if column is None:
        return
    last = _last_number(read, table.name, column.name)
    if last is None:
        return
    if write.dialect.name == "postgresql":
        write.execute(select(func.setval(func.pg_get_serial_sequence(table.name, column.name), last)))
    else:
        write.execute(text("DELETE FROM sqlite_sequence WHERE name = :name"), {"name": table.name})
        row = {"name": table.name, "last": last}
        write.execute(text("INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :last)"), row)


def _last_number(connection: Connection, table: str, column: str) -> int | None:
    """The highest that was given; None: none yet."""
    if connection.dialect.name == "postgresql":
        query = "SELECT pg_sequence_last_value(CAST(pg_get_serial_sequence(:name, :column) AS regclass))"
        found = connection.execute(text(query), {"name": table, "column": column}).scalar()
    else:
        query = "SELECT seq FROM sqlite_sequence WHERE name = :name"
        found = connection.execute(text(query), {"name": table}).scalar()
    # SQLite has 0 where a table was empty when a migration made it anew.
    return int(found) if found else None


def _count(connection: Connection, table: Table) -> int:
    return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def _compare(read: Connection, write: Connection) -> None:
    counted = {table.name: (_count(read, table), _count(write, table)) for table in metadata.sorted_tables}
    unequal = {name: pair for name, pair in counted.items() if pair[0] != pair[1]}
    if unequal:
        words = ", ".join(f"{name} {before} and {after}" for name, (before, after) in unequal.items())
        raise TransferFailed(f"the numbers of rows differ: {words}")


def _chain(read: Connection, write: Connection) -> int | None:
    before, after = audit.verify(read), audit.verify(write)
    if before != after:
        raise TransferFailed(f"the copied audit trail does not fit its hashes at row {after}")
    return after
