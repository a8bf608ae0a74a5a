"""Connections to the server's database: SQLite in the data directory, or PostgreSQL; the same code on both.

`Database.begin()` is the only way to write, `Database.read()` sees one snapshot and cannot write.

SQLite: WAL, synchronous=FULL (a commit survives a power cut), foreign keys checked, 30 s of patience for
another process's transaction. Python's driver would begin transactions by itself, late and deferred, so
that two processes that read and then write fail at once with "database is locked", and DDL is committed
behind the program's back. Here the driver's own transactions are off (isolation_level None) and every
transaction begins explicitly: BEGIN IMMEDIATE to write, BEGIN to read.
PostgreSQL: READ COMMITTED to write, REPEATABLE READ and read-only to read.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, RootTransaction, create_engine, event
from sqlalchemy.engine import URL, make_url

BUSY_TIMEOUT_SECONDS = 30
_MIGRATIONS = Path(__file__).parent / "migrations"
_WRITES = "leaver_writes"


class StoreUnavailable(Exception):
    """The database cannot be opened or used; the message says which and why, without its password."""


class DatabaseTooNew(StoreUnavailable):
    """A newer version of the program made the tables."""


class Database:
    """A pool of connections. Safe to share between threads, not across fork."""

    def __init__(self, engine: Engine, clock: Callable[[], int]) -> None:
        self._engine = engine
        self.clock = clock

    @property
    def dialect(self) -> str:
        """ "sqlite" or "postgresql"."""
        return self._engine.dialect.name

    @property
    def place(self) -> str:
        """Where it is, for messages; never with a password."""
        return _place(self._engine.url)

    @property
    def url(self) -> str:
        """For opening it in another process. May hold a password: never show or log it."""
        return self._engine.url.render_as_string(hide_password=False)

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """A write transaction: committed at the end of the block, rolled back if it raises.

        Raises StoreUnavailable where another writer does not finish within BUSY_TIMEOUT_SECONDS.
        """
        with self._connection(writes=True) as connection, self._transaction(connection):
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One snapshot. Writing through it is an error of the database."""
        with self._connection(writes=False) as connection, self._transaction(connection):
            yield connection

    @contextmanager
    def _connection(self, *, writes: bool) -> Iterator[Connection]:
        try:
            opened = self._engine.connect()
        except sqlalchemy.exc.DBAPIError as error:
            raise StoreUnavailable(f"database {self.place}: {error.orig}") from error
        with opened as connection:
            options: dict[str, Any] = {_WRITES: writes}
            if self.dialect == "postgresql" and not writes:
                options |= {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
            yield connection.execution_options(**options)

    def _transaction(self, connection: Connection) -> RootTransaction:
        try:
            return connection.begin()
        except sqlalchemy.exc.DBAPIError as error:
            raise StoreUnavailable(f"database {self.place}: {error.orig}") from error

    def close(self) -> None:
        """Gives all connections back. May be called twice."""
        self._engine.dispose()


def open_database(url: str, *, clock: Callable[[], int]) -> Database:
    """The database at a SQLAlchemy URL (`sqlite:////path/leaver.db`, `postgresql+psycopg://…`).

    A SQLite file is made where it is missing, readable by its owner only. `upgrade`
    must have run before the tables are used. Raises StoreUnavailable.
    """
    parsed = make_url(url)
    backend = parsed.get_backend_name()
    if backend == "sqlite":
        engine = _sqlite_engine(parsed)
    elif backend == "postgresql":
        engine = create_engine(parsed, pool_pre_ping=True)
    else:
        raise StoreUnavailable(f"database {_place(parsed)}: {backend} is not supported")
    database = Database(engine, clock)
    try:
        with database.read() as connection:
            connection.exec_driver_sql("SELECT 1 FROM (SELECT 1) AS one")
    except BaseException:
        database.close()
        raise
    return database


def upgrade(database: Database) -> None:
    """Brings the tables to this program's version, in one transaction. Does nothing where they are.

    Raises DatabaseTooNew, and changes nothing, where a newer program made them; StoreUnavailable.
    """
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    script = ScriptDirectory.from_config(config)
    with database.read() as connection:
        if _is_current(connection, script, database.place):
            return
    with database.begin() as connection:
        if not _is_current(connection, script, database.place):
            config.attributes["connection"] = connection
            command.upgrade(config, "head")


def _is_current(connection: Connection, script: ScriptDirectory, place: str) -> bool:
    found = set(MigrationContext.configure(connection).get_current_heads())
    known = {revision.revision for revision in script.walk_revisions()}
    if found - known:
        raise DatabaseTooNew(
            f"database {place} has version {', '.join(sorted(found))}, newer than this program's "
            f"{script.get_current_head()}: use the newer program, or restore a backup from before its upgrade"
        )
    return found == set(script.get_heads())


def _sqlite_engine(url: URL) -> Engine:
    if not url.database or url.database == ":memory:":
        raise StoreUnavailable("database: SQLite in memory is not supported, several connections are needed")
    path = Path(url.database)
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise StoreUnavailable(f"database {path}: {error.strerror}") from error
    engine = create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_SECONDS})
    event.listen(engine, "connect", _prepare_sqlite_connection)
    event.listen(engine, "begin", _begin_sqlite_transaction)
    return engine


def _prepare_sqlite_connection(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite_transaction(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql(f"PRAGMA query_only = {'OFF' if writes else 'ON'}")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _place(url: URL) -> str:
    return (
        url.database or "" if url.get_backend_name() == "sqlite" else url.render_as_string(hide_password=True)
    )
