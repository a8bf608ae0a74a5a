"""Many rows into PostgreSQL by binary COPY: a quarter of the time of our process that INSERT by INSERT takes.

New rows go straight into their table. Rows that may exist go into a temporary table of the same columns,
which the connection keeps for the next time (emptied with each commit), and from there, in one statement,
into the table. Types and values are the table's own: what SQLAlchemy would do with a value is done here too.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import msgspec
import psycopg
from sqlalchemy import Connection, Table
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.exc import DBAPIError

from server.store.postgresql import leave_out_values

Row = dict[str, Any]
_DIALECT = PGDialect_psycopg()  # type: ignore[no-untyped-call]
# As psycopg calls what a column's bytes look like on the way: those of varchar are those of text.
_BINARY_TYPES = {
    "BIGINT": "int8",
    "INTEGER": "int4",
    "VARCHAR": "text",
    "TEXT": "text",
    "BYTEA": "bytea",
    "FLOAT": "float8",
    "BOOLEAN": "bool",
    "JSON": "json",
}


class _Form(msgspec.Struct, frozen=True):
    """How rows with these columns are written: names quoted for SQL, types and conversions by column."""

    table: str
    staging: str
    """The temporary table."""
    columns: str
    updates: str
    """The end of an INSERT that changes what is there."""
    types: list[str]
    convert: list[Callable[[Any], Any] | None]


def copy_new(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Rows that are not there yet, all with the same columns; a key that exists is an error."""
    form = _form(table, tuple(rows[0]))
    _copy(connection, form.table, form, rows)


def copy_upsert(connection: Connection, table: Table, rows: Sequence[Row], *, change: bool) -> None:
    """Each row has the same columns. `change`: keys differ from row to row, and a row whose primary key
    exists changes its other columns; else what exists, by any unique index, stays as it is."""
    form = _form(table, tuple(rows[0]))
    # S608 below: the names are those of our own tables, quoted.
    connection.exec_driver_sql(
        f"CREATE TEMPORARY TABLE IF NOT EXISTS {form.staging} ON COMMIT DELETE ROWS"  # noqa: S608
        f" AS SELECT {form.columns} FROM {form.table} WITH NO DATA"
    )
    _copy(connection, form.staging, form, rows)
    # Emptied in the same breath: the same transaction may come again.
    connection.exec_driver_sql(
        f"WITH moved AS (DELETE FROM {form.staging} RETURNING {form.columns})"  # noqa: S608
        f" INSERT INTO {form.table} ({form.columns}) SELECT {form.columns} FROM moved"
        f" ON CONFLICT {form.updates if change else 'DO NOTHING'}"
    )


def _copy(connection: Connection, target: str, form: _Form, rows: Sequence[Row]) -> None:
    raw: Any = connection.connection.dbapi_connection
    statement = f"COPY {target} ({form.columns}) FROM STDIN (FORMAT BINARY)"
    try:
        with raw.cursor() as cursor, cursor.copy(statement) as copy:
            copy.set_types(form.types)
            for row in rows:
                copy.write_row(
                    [
                        value if convert is None else convert(value)
                        for value, convert in zip(row.values(), form.convert, strict=True)
                    ]
                )
    except psycopg.Error as error:
        # As from any other statement.
        leave_out_values(error)
        broken = raw.closed
        if broken:
            connection.invalidate(error)
        raise DBAPIError.instance(
            statement, None, error, psycopg.Error, connection_invalidated=broken
        ) from error


@lru_cache(maxsize=256)
def _form(table: Table, names: tuple[str, ...]) -> _Form:
    quote = _DIALECT.identifier_preparer.quote
    columns = [table.c[name] for name in names]
    keys = [column.name for column in table.primary_key]
    others = [quote(name) for name in names if name not in keys]
    changes = ", ".join(f"{name} = excluded.{name}" for name in others)
    where = ", ".join(map(quote, keys))
    return _Form(
        table=quote(table.name),
        staging=quote(f"incoming_{table.name}_{zlib.crc32(repr(names).encode()):08x}"),
        columns=", ".join(map(quote, names)),
        updates=f"({where}) DO UPDATE SET {changes}" if others else "DO NOTHING",
        types=[
            _BINARY_TYPES[_DIALECT.type_compiler.process(c.type).partition("(")[0].split()[0]]
            for c in columns
        ],
        convert=[c.type.dialect_impl(_DIALECT).bind_processor(_DIALECT) for c in columns],
    )
