"""Connections to the server's database: SQLite in the data directory, or PostgreSQL; the same code on both.

`Database.begin()` is the only way to write, `Database.read()` sees one snapshot and cannot write.

SQLite: WAL, synchronous=FULL (a commit survives a power cut), foreign keys checked, what is deleted is
overwritten (secure_delete), 30 s of patience for another process's transaction. Python's driver would begin
transactions by itself, late and deferred, so that two processes that read and then write fail at once with
"database is locked", and DDL is committed behind the program's back. Here the driver's own transactions are
off (isolation_level None) and every transaction begins explicitly: BEGIN IMMEDIATE to write, BEGIN to read.
PostgreSQL (postgresql.py): READ COMMITTED to write, one writer at a time as on SQLite; REPEATABLE READ and
read-only to read.

What fails because the database is away, full, locked or out of connections is StoreUnavailable, also in the
middle of a transaction: nothing of it was written, and the same may succeed later. Only where the connection
broke while committing may it have been written: look before doing it again.

No error holds what is in rows or parameters, for its words may go into the log.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy
from sqlalchemy import Connection, Engine, create_engine, event, inspect
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from server.store import postgresql

BUSY_TIMEOUT_SECONDS = 30
_VERSIONS = Path(__file__).parent / "migrations" / "versions"
_WRITES = "leaver_writes"
_SQLITE_PASSING = frozenset(
    {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}
)


class StoreUnavailable(Exception):
    """The database cannot be opened or used; the message says which and why, without its password."""


class MetAnother(Exception):
    """A transaction beside others (`begin(alone=False)`) failed because of another one."""


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
    def begin(self, *, alone: bool = True, brief: bool = False) -> Iterator[Connection]:
        """A write transaction: committed at the end of the block, rolled back if it raises. No other one is
        open meanwhile; except, on PostgreSQL, others that are not `alone` either, beside one that is not.
        `brief`: PostgreSQL soon ends it where this process stops in the middle of it.

        Raises StoreUnavailable, also where another writer does not finish within BUSY_TIMEOUT_SECONDS. Beside
        others, MetAnother where it failed because of one of them: nothing is written, do it again from what
        is there now.
        """
        try:
            with self._transaction(writes=True) as connection:
                if self.dialect == "postgresql":
                    idle = postgresql.IDLE_SECONDS_BRIEF if brief else postgresql.IDLE_SECONDS
                    postgresql.lock_writers(connection, alone=alone, idle_seconds=idle)
                yield connection
        except (DBAPIError, StoreUnavailable) as error:
            cause = error.__cause__ if isinstance(error, StoreUnavailable) else error
            if not alone and postgresql.met_another(cause):
                raise MetAnother(postgresql.kind_of(cause)) from error
            raise

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One snapshot. Writing through it is an error of the database. Raises StoreUnavailable."""
        with self._transaction(writes=False) as connection:
            yield connection

    @contextmanager
    def _transaction(self, *, writes: bool) -> Iterator[Connection]:
        begun = False
        try:
            with self._engine.connect() as connection:
                prepared = connection.execution_options(**self._options(writes=writes))
                with prepared.begin():
                    begun = True
                    yield prepared
        except DBAPIError as error:
            if begun and not _passes(error, writes=writes):
                raise
            raise self.unavailable(error) from error
        except sqlalchemy.exc.TimeoutError as error:
            raise StoreUnavailable(f"database {self.place}: all connections are in use") from error

    def _options(self, *, writes: bool) -> dict[str, Any]:
        options: dict[str, Any] = {_WRITES: writes}
        if self.dialect == "postgresql" and not writes:
            options |= {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        return options

    def unavailable(self, error: DBAPIError) -> StoreUnavailable:
        """The error in one line, with the place."""
        return StoreUnavailable(f"database {self.place}: {' '.join(str(error.orig).split())}")

    def lasting_connection(self) -> Connection:
        """One that is kept beside the transactions, each statement by itself. Raises StoreUnavailable."""
        try:
            return self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        except DBAPIError as error:
            raise self.unavailable(error) from error

    def close(self) -> None:
        """Gives all connections back. May be called twice."""
        self._engine.dispose()


def open_database(url: str, *, clock: Callable[[], int]) -> Database:
    """The database at a SQLAlchemy URL (`sqlite:////path/leaver.db`, `postgresql://…`).

    A SQLite file is made where it is missing, readable by its owner only. `upgrade`
    must have run before the tables are used. Raises StoreUnavailable.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise StoreUnavailable("database: its URL cannot be read") from None
    database = Database(_engine(parsed), clock)
    try:
        with database.read() as connection:
            connection.exec_driver_sql("SELECT 1 FROM (SELECT 1) AS one")
            if database.dialect == "postgresql" and (fault := postgresql.server_fault(connection)):
                raise StoreUnavailable(f"database {database.place}: {fault}")
    except BaseException:
        database.close()
        raise
    return database


def _engine(url: URL) -> Engine:
    backend = url.get_backend_name()
    if backend == "sqlite":
        return _sqlite_engine(url)
    if backend != "postgresql":
        raise StoreUnavailable(f"database {_place(url)}: {backend} is not supported")
    try:
        return postgresql.postgresql_engine(url, lock_seconds=BUSY_TIMEOUT_SECONDS)
    except ModuleNotFoundError as error:
        raise StoreUnavailable(
            f"database {_place(url)}: {error.name} is missing; "
            "install the server's wheel with [server,postgres] (docs/install.md)"
        ) from error


def upgrade(database: Database) -> None:
    """Brings the tables to this program's version, in one transaction. Does nothing where they are.

    Raises DatabaseTooNew, and changes nothing, where a newer program made them; StoreUnavailable.
    """
    with database.read() as connection:
        if _is_current(connection, database.place):
            return
    # As much work to load as the rest of a short command, and needed once a version.
    from server.store.migrations.running import run_migrations  # noqa: PLC0415

    with database.begin() as connection:
        if not _is_current(connection, database.place):
            run_migrations(connection)


def _is_current(connection: Connection, place: str) -> bool:
    if not inspect(connection).has_table("alembic_version"):
        return False
    found = set(connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalars())
    known = known_revisions()
    if found - set(known):
        raise DatabaseTooNew(
            f"database {place} has version {', '.join(sorted(found))}, newer than this program's "
            f"{known[-1]}: use the newer program, or restore a backup from before its upgrade"
        )
    return found == {known[-1]}


def known_revisions() -> list[str]:
    """Of the migrations, the oldest first; their files are named by them (`v0027_leaver_notes.py`)."""
    return sorted(path.name[1:5] for path in _VERSIONS.glob("v[0-9]*_*.py"))


def _passes(error: DBAPIError, *, writes: bool) -> bool:
    if isinstance(error.orig, sqlite3.Error):
        # The extended code says more in its higher bits.
        code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF
        return code in _SQLITE_PASSING
    return postgresql.passes(error, writes=writes)


def _sqlite_engine(url: URL) -> Engine:
    if not url.database or url.database == ":memory:":
        raise StoreUnavailable("database: SQLite in memory is not supported, several connections are needed")
    path = Path(url.database)
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise StoreUnavailable(f"database {path}: {error.strerror}") from error
    engine = create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_SECONDS}, hide_parameters=True)
    event.listen(engine, "connect", _prepare_sqlite_connection)
    event.listen(engine, "begin", _begin_sqlite_transaction)
    return engine


def _prepare_sqlite_connection(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "secure_delete = ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite_transaction(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql(f"PRAGMA query_only = {'OFF' if writes else 'ON'}")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _place(url: URL) -> str:
    return (
        url.database or "" if url.get_backend_name() == "sqlite" else url.render_as_string(hide_password=True)
    )
