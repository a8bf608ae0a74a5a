"""A connection that for a while can read some tables and no others, whatever is asked of it.

SQLite asks an authorizer of ours about each table and column when a statement is prepared. PostgreSQL checks
the rights of a role that we take on until the end of the block; where nobody made that role, nothing narrows
there (`narrows` tells).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Table, text

_SCHEMA = frozenset({"sqlite_master", "sqlite_schema"})
_HARMLESS = frozenset(
    {
        sqlite3.SQLITE_SELECT,
        sqlite3.SQLITE_FUNCTION,
        sqlite3.SQLITE_TRANSACTION,
        sqlite3.SQLITE_SAVEPOINT,
        sqlite3.SQLITE_RECURSIVE,
    }
)


@contextmanager
def narrowed(connection: Connection, tables: Iterable[Table], role: str) -> Iterator[None]:
    """Until the end of the block, within a transaction. What else is read raises the driver's error: "access
    to … is prohibited", "permission denied". `role`: of PostgreSQL."""
    if connection.dialect.name == "postgresql":
        is_there = narrows(connection, role)
        if is_there:
            # LOCAL: it ends with the transaction, also where a statement failed.
            connection.execute(text(f"SET LOCAL ROLE {role}"))
        yield
        if is_there:
            connection.execute(text("RESET ROLE"))
        return
    raw: Any = connection.connection.dbapi_connection
    names = frozenset(table.name for table in tables) | _SCHEMA

    def allow(action: int, first: str | None, *_: str | None) -> int:
        is_fine = action in _HARMLESS or (action == sqlite3.SQLITE_READ and first in names)
        return sqlite3.SQLITE_OK if is_fine else sqlite3.SQLITE_DENY

    raw.set_authorizer(allow)
    try:
        yield
    finally:
        raw.set_authorizer(None)


def narrows(connection: Connection, role: str) -> bool:
    """Whether `narrowed` keeps anything out: on PostgreSQL the role has to be there, and ours to take on."""
    if connection.dialect.name != "postgresql":
        return True
    query = text("SELECT pg_has_role(session_user, oid, 'MEMBER') FROM pg_roles WHERE rolname = :role")
    return bool(connection.execute(query, {"role": role}).scalar())
