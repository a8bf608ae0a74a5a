"""One `leaver up` at a time on one PostgreSQL database, whatever data directories they have.

The place is an advisory lock of a connection of its own, so it ends with its holder. It is also lost when
PostgreSQL restarts or cuts the connection: `check` takes it again. Until then the fence in `log_positions`
keeps two pipelines from writing the same records; where somebody else was faster, this server has to end.
A ghost, our own earlier connection of which the server has not noticed that it broke, is ended.

On SQLite there is nothing to do: the data directory's lock is the same.
"""

from __future__ import annotations

import os
import secrets
import socket
import time
from types import TracebackType

import sqlalchemy
from sqlalchemy import Connection, text

from server.data_directory import AlreadyRunning
from server.store.database import Database
from server.store.postgresql import LOCKS, UP

CHECK_SECONDS = 2.0
PATIENCE_SECONDS = 1.0
"""So long the connection of a process that was just killed may still hold the place."""
_NAME_BYTES = 63

_HOLDER = text(
    "SELECT a.pid, a.application_name FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid)"
    " WHERE l.locktype = 'advisory' AND l.granted AND l.classid = :locks AND l.objid = :up AND l.objsubid = 2"
    " AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


class UpLock:
    """Taken at its making. Raises AlreadyRunning (says who has it), StoreUnavailable. Not thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection: Connection | None = None
        # PostgreSQL keeps this for others to see; it replaces what is not ASCII.
        self._mark = f" {secrets.token_hex(3)}"
        name = f"leaver up, process {os.getpid()} on {socket.gethostname()}"
        self._name = name.encode("ascii", "replace")[: _NAME_BYTES - len(self._mark)].decode() + self._mark
        self.needed = database.dialect == "postgresql"
        if self.needed:
            self.check()

    def check(self) -> None:
        """Makes sure that the place is ours. Raises AlreadyRunning, StoreUnavailable (not known now)."""
        try:
            if self._connection is None:
                self._connection = self._taken()
            else:
                self._connection.exec_driver_sql("SELECT 1")
        except sqlalchemy.exc.DBAPIError as error:
            self.close()
            raise self._database.unavailable(error) from error

    def _taken(self) -> Connection:
        connection = self._database.lasting_connection()
        try:
            connection.execute(
                text("SELECT set_config('application_name', :name, false)"), {"name": self._name}
            )
            deadline = time.monotonic() + PATIENCE_SECONDS
            while True:
                if connection.exec_driver_sql(f"SELECT pg_try_advisory_lock({LOCKS}, {UP})").scalar_one():
                    return connection
                pid, name = connection.execute(_HOLDER, {"locks": LOCKS, "up": UP}).first() or (0, "unknown")
                if name == self._name:
                    connection.exec_driver_sql(f"SELECT pg_terminate_backend({pid}, 5000)")
                elif time.monotonic() >= deadline:
                    break
                else:
                    time.sleep(0.05)
        except BaseException:
            _end(connection)
            raise
        _end(connection)
        holder = name.removeprefix("leaver up, ").rpartition(" ")[0] or "unknown"
        raise AlreadyRunning(f"database {self._database.place} is in use by another leaver up ({holder})")

    def close(self) -> None:
        """Gives the place to others. May be called twice."""
        connection, self._connection = self._connection, None
        if connection is not None:
            _end(connection)

    def __enter__(self) -> UpLock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _end(connection: Connection) -> None:
    # Not back into the pool: the lock ends with the session.
    connection.invalidate()
    connection.close()
