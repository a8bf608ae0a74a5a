"""What deleted rows leave behind in the database's files, and how that goes while others use the database.

SQLite: deleted bytes are overwritten in the file (secure_delete), but copies of pages stay in the write-ahead
log until it is emptied. PostgreSQL: VACUUM makes dead rows' place free, but their bytes stay until the place
is used again; VACUUM FULL writes a table anew without them, and nobody can use the table meanwhile. So small
tables, and those that can be locked at once, are written anew. Backups and archived WAL are out of reach.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Iterable, Sequence
from contextlib import closing

import sqlalchemy
from sqlalchemy import Connection

from server.store.database import BUSY_TIMEOUT_SECONDS, Database, StoreUnavailable

WAL_SECONDS = 0.2
TRIES_SECONDS = 20.0
PAUSE_SECONDS = 0.5
REWRITTEN_BYTES_MAX = 64 << 20
"""A larger table of PostgreSQL is not written anew: that would hold the pipeline up for too long."""
LOCK_SECONDS = 1.0

_logger = logging.getLogger("leaver.store")


def empty_wal(connection: sqlite3.Connection, *, then_wait: float) -> bool:
    """Whether the write-ahead log of a SQLite file is empty now. Where somebody is reading from it, it stays
    for another time; meanwhile writers are held up for WAL_SECONDS at most. `then_wait`: the connection's
    patience in seconds for all that follows."""
    connection.execute(f"PRAGMA busy_timeout = {round(WAL_SECONDS * 1000)}")
    try:
        return bool(connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0)
    except sqlite3.OperationalError:
        return False
    finally:
        connection.execute(f"PRAGMA busy_timeout = {round(then_wait * 1000)}")


def clear_leftovers(
    database: Database, tables: Sequence[str], *, seconds: float = TRIES_SECONDS
) -> tuple[str, ...]:
    """After deletions in these tables. What could not be cleared, in words; empty: nothing is left in the
    files. `seconds`: how long to wait for those who read. Raises StoreUnavailable."""
    if database.dialect == "sqlite":
        return _clear_sqlite(database, seconds)
    connection = database.lasting_connection()
    try:
        return tuple(_clear_postgresql(connection, tables, seconds))
    except sqlalchemy.exc.DBAPIError as error:
        raise database.unavailable(error) from error
    finally:
        connection.invalidate()
        connection.close()


def _clear_sqlite(database: Database, seconds: float) -> tuple[str, ...]:
    deadline = time.monotonic() + seconds
    try:
        with closing(sqlite3.connect(database.place, isolation_level=None)) as connection:
            while not empty_wal(connection, then_wait=BUSY_TIMEOUT_SECONDS):
                if time.monotonic() > deadline:
                    return ("copies in the write-ahead log, until those who read the database now are done",)
                time.sleep(PAUSE_SECONDS)
    except sqlite3.Error as error:
        raise StoreUnavailable(f"database {database.place}: {error}") from error
    return ()


def _clear_postgresql(connection: Connection, tables: Sequence[str], seconds: float) -> Iterable[str]:
    _wait_for_older_snapshots(connection, seconds)
    connection.exec_driver_sql(f"SET lock_timeout = '{round(LOCK_SECONDS * 1000)}ms'")
    left: list[str] = []
    for table in tables:
        size = connection.exec_driver_sql(f"SELECT pg_total_relation_size('{table}')").scalar_one()
        if size > REWRITTEN_BYTES_MAX or not _written_anew(connection, table):
            connection.exec_driver_sql(f"VACUUM {table}")
            left.append(table)
    if left:
        yield f"bytes in free space of {', '.join(left)}, until PostgreSQL uses it again or after VACUUM FULL"


def _written_anew(connection: Connection, table: str) -> bool:
    try:
        connection.exec_driver_sql(f"VACUUM FULL {table}")
    except sqlalchemy.exc.OperationalError as error:
        if getattr(error.orig, "sqlstate", None) != "55P03":
            raise
        return False
    return True


def _wait_for_older_snapshots(connection: Connection, seconds: float) -> None:
    """Rows that somebody still sees cannot go: waits for readers who began before now."""
    now = connection.exec_driver_sql("SELECT pg_snapshot_xmax(pg_current_snapshot())::text").scalar_one()
    older = sqlalchemy.text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND pid <> pg_backend_pid() AND backend_xmin IS NOT NULL"
        " AND age(backend_xmin) > age(CAST(CAST(:now AS text) AS xid))"
    ).bindparams(now=str(int(now) % 2**32))
    deadline = time.monotonic() + seconds
    while connection.execute(older).scalar_one() and time.monotonic() < deadline:
        time.sleep(PAUSE_SECONDS)
