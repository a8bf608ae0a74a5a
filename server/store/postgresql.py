"""What only PostgreSQL needs: how connections are made, the writers' lock, which errors pass by themselves.

- One write transaction at a time, as on SQLite (`lock_writers`). So code that reads and then writes is
  right on both, and no transaction fails because of another one. Only the commits of several workers of the
  pipeline run beside each other, and fail where they meet (pipeline/state_versions.py).
- A statement waits `lock_seconds` for a lock (another writer, somebody's VACUUM FULL), then gives up. A
  process that was stopped in the middle of a transaction loses it, and its locks, after IDLE_SECONDS; the
  pipeline, which others stand by to take over from, after IDLE_SECONDS_BRIEF.
- Our locks are advisory, by number, within one database. They need a session that is ours: a connection
  pooler in front (PgBouncer) must pool sessions, not transactions.
"""

from __future__ import annotations

import sqlalchemy
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, ExceptionContext
from sqlalchemy.engine.interfaces import DBAPIConnection

OLDEST_SERVER = 15
CONNECT_SECONDS = 10
IDLE_SECONDS = 300
IDLE_SECONDS_BRIEF = 20
CONNECTIONS_KEPT = 5
CONNECTIONS_MAX = 20
LOCKS = 0x6C656176
WRITERS, UP, QUEUES = 1, 2, 3
"""Our advisory locks have two numbers: "leav", and which."""

_PASSING_CLASSES = ("08", "40", "53", "57", "58")
"""Connections, rolled back for others' sake, resources, operator, system."""
_PASSING = frozenset({"55P03", "25P03"})
_READ_ONLY = "25006"
_BAD_VALUE = "22"
"""The class of errors whose first line may hold the value."""
_MET_ANOTHER = frozenset({"23505", "40001", "40P01"})


def postgresql_engine(url: URL, *, lock_seconds: float) -> Engine:
    """Raises ModuleNotFoundError without the extra `postgres`."""
    if "+" not in url.drivername:
        url = url.set(drivername="postgresql+psycopg")
    engine = create_engine(
        url,
        pool_pre_ping=True,
        hide_parameters=True,
        pool_size=CONNECTIONS_KEPT,
        max_overflow=CONNECTIONS_MAX - CONNECTIONS_KEPT,
        connect_args={
            "connect_timeout": CONNECT_SECONDS,
            # A server that is cut off without a word shows within half a minute.
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": 30_000,
            "application_name": "leaver",
        },
    )

    def prepare(connection: DBAPIConnection, _record: object) -> None:
        cursor = connection.cursor()
        cursor.execute(
            f"SET lock_timeout = '{round(lock_seconds * 1000)}ms';"
            f" SET idle_in_transaction_session_timeout = '{IDLE_SECONDS}s';"
            # A host that is gone without a word holds its locks for a minute at most.
            " SET tcp_keepalives_idle = 20; SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 3;"
            " SET tcp_user_timeout = 60000; SET timezone = 'UTC'; SET synchronous_commit = on;"
            " SET client_min_messages = warning"
        )
        cursor.close()
        connection.commit()

    event.listen(engine, "connect", prepare)
    event.listen(engine, "handle_error", _leave_out_values)
    return engine


def _leave_out_values(context: ExceptionContext) -> None:
    original, wrapped = context.original_exception, context.sqlalchemy_exception
    before = str(original)
    leave_out_values(original)
    if wrapped is not None:
        wrapped.args = tuple(str(part).replace(before, str(original)) for part in wrapped.args)


def leave_out_values(error: BaseException) -> None:
    """Of what the server said only the first line stays, and its SQLSTATE: detail and context repeat rows."""
    state = getattr(error, "sqlstate", None)
    if state is None:
        return
    said = None if state.startswith(_BAD_VALUE) else error.diag.message_primary  # type: ignore[attr-defined]
    error.args = (f"{said or type(error).__name__} (SQLSTATE {state})",)


def kind_of(error: BaseException | None) -> str:
    """An error of the database as its class and SQLSTATE."""
    original = getattr(error, "orig", error)
    return f"{type(original).__name__}, SQLSTATE {getattr(original, 'sqlstate', None)}"


def server_fault(connection: Connection) -> str | None:
    """Why this server cannot be used."""
    version = int(connection.exec_driver_sql("SHOW server_version_num").scalar_one()) // 10_000
    if version < OLDEST_SERVER:
        return f"PostgreSQL {version} is too old, {OLDEST_SERVER} is needed"
    encoding = connection.exec_driver_sql("SHOW server_encoding").scalar_one()
    if encoding != "UTF8":
        return f"its encoding is {encoding}: make the database with ENCODING 'UTF8' TEMPLATE template0"
    return None


def lock_writers(connection: Connection, *, alone: bool = True, idle_seconds: int = IDLE_SECONDS) -> None:
    """Waits until no other write transaction is open, `lock_seconds` at most. Held to the end of this one.
    Not `alone`: others that are not either may be open. The server ends the transaction if its owner leaves
    it waiting for `idle_seconds`."""
    lock = "pg_advisory_xact_lock" if alone else "pg_advisory_xact_lock_shared"
    connection.exec_driver_sql(
        f"SELECT set_config('idle_in_transaction_session_timeout', '{idle_seconds}s', true),"
        f" {lock}({LOCKS}, {WRITERS})"
    )


def lock_queues(connection: Connection) -> None:
    """Waits until no other transaction decides which alerts are open. Held to the end of this one. On SQLite
    there is no other one."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCKS}, {QUEUES})")


def met_another(error: BaseException | None) -> bool:
    """Whether a transaction beside others failed because of another one: a key that both made, a deadlock."""
    state = getattr(getattr(error, "orig", None), "sqlstate", None)
    return state in _MET_ANOTHER


def passes(error: sqlalchemy.exc.DBAPIError, *, writes: bool) -> bool:
    """Whether the same may succeed later: the server is away, busy, full, or another one was faster."""
    if error.connection_invalidated:
        return True
    state = getattr(error.orig, "sqlstate", None)
    if state is None:
        return isinstance(error, sqlalchemy.exc.OperationalError | sqlalchemy.exc.InterfaceError)
    # A server that only reads is a standby that has yet to take over.
    return state[:2] in _PASSING_CLASSES or state in _PASSING or (writes and state == _READ_ONLY)
