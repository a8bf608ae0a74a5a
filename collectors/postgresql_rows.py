"""Rows of COPY and FETCH, which pgaudit tells as 0: from pg_stat_statements, joined by query id.

The view counts calls and rows for each (user, database, query id) since it was reset. Between two looks a
statement's count grows by what ran meanwhile; whoever waits for that statement takes a share. A thread asks,
so that nobody waits for a server that does not answer: often while somebody waits, seldom otherwise.
"""

from __future__ import annotations

import threading
import time
from typing import Any, Final, NamedTuple

import psycopg

from collectors.database_config import AccountUnusable
from collectors.postgresql_account import open_account, user_of, why_not

KEYS_MAX: Final = 10_000
_BUSY_S: Final = 0.5
_IDLE_S: Final = 5.0
_AGAIN_S: Final = 10.0
_KEEP_S: Final = 60.0


class Key(NamedTuple):
    user: str
    database: str
    query_id: int


class _Credit:
    """Calls, and their rows, that nobody took yet."""

    __slots__ = ("calls", "rows", "since_s")

    def __init__(self) -> None:
        self.calls = self.rows = 0
        self.since_s = time.monotonic()


class CopiedRows:
    """Start it once; `take` never waits. Thread-safe."""

    def __init__(self, account_file: str) -> None:
        self._account_file = account_file
        self._known: dict[Key, tuple[int, int]] | None = None
        self._credits: dict[Key, _Credit] = {}
        self._lock = threading.Lock()
        self._is_wanted = threading.Event()
        self._stop = threading.Event()
        self._connection: psycopg.Connection[tuple[Any, ...]] | None = None
        self.trouble: str | None = None
        """Why it cannot ask just now."""
        self.user = user_of(account_file)
        """Whose account it is; None where the file does not say."""
        self.looks = 0
        self._thread = threading.Thread(target=self._run, name="postgresql-rows", daemon=True)
        self._thread.start()

    def take(self, user: str, database: str, query_id: int, *, of_anyone: bool = False) -> int | None:
        """Rows of one call of the statement; None where they are not known (yet). of_anyone: also of a call
        that stands under another name, as after SET ROLE, and that nobody else took."""
        with self._lock:
            credit = self._credits.get(Key(user, database, query_id))
            if credit is None and of_anyone:
                same = (each for key, each in self._credits.items() if key[1:] == (database, query_id))
                credit = next(same, None)
            if credit is None or credit.calls <= 0:
                self._is_wanted.set()
                return None
            # The first one takes the remainder: shares add up to what the server counted.
            share = credit.rows - credit.rows // credit.calls * (credit.calls - 1)
            credit.calls -= 1
            credit.rows -= share
            return share

    def close(self) -> None:
        self._stop.set()
        self._is_wanted.set()
        connection = self._connection
        if connection is not None:
            connection.cancel()
        self._thread.join(1.0)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                with open_account(self._account_file) as connection:
                    self._connection, self.user = connection, connection.info.user
                    self._ask(connection)
            except Exception as error:  # noqa: BLE001 - the loop's edge: it is told, and tried again
                # What was counted stays: a server that was ended in order goes on from there.
                self.trouble = why_not(error)
            finally:
                self._connection = None
            self._stop.wait(_AGAIN_S if self.looks == 0 else 1.0)

    def _ask(self, connection: psycopg.Connection[tuple[Any, ...]]) -> None:
        query = _query(connection)
        while not self._stop.is_set():
            self._is_wanted.clear()
            self._count(connection.execute(query).fetchall())
            self.trouble = None
            self.looks += 1
            if self._is_wanted.wait(_IDLE_S):
                self._stop.wait(_BUSY_S)

    def _count(self, rows: list[tuple[Any, ...]]) -> None:
        found = {Key(str(user), str(db), int(uid)): (int(calls), int(n)) for user, db, uid, calls, n in rows}
        now_s = time.monotonic()
        with self._lock:
            if self._known is not None:
                for key, (calls, count) in found.items():
                    before = self._known.get(key, (0, 0))
                    if calls < before[0]:
                        # Reset, or put out and counted anew.
                        before = (0, 0)
                    if calls > before[0]:
                        credit = self._credits.setdefault(key, _Credit())
                        credit.calls += calls - before[0]
                        credit.rows += max(0, count - before[1])
                        credit.since_s = now_s
            self._known = found
            for key in [k for k, c in self._credits.items() if not c.calls or now_s - c.since_s > _KEEP_S]:
                del self._credits[key]


def _query(connection: psycopg.Connection[tuple[Any, ...]]) -> psycopg.sql.Composed:
    found = connection.execute(
        "SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace"
        " WHERE extname = 'pg_stat_statements'"
    ).fetchone()
    if found is None:
        raise AccountUnusable("pg_stat_statements: CREATE EXTENSION pg_stat_statements is missing")
    view = psycopg.sql.Identifier(str(found[0]), "pg_stat_statements")
    return psycopg.sql.SQL(
        "SELECT r.rolname, d.datname, s.queryid, sum(s.calls)::bigint, sum(s.rows)::bigint FROM {view} s"
        " JOIN pg_catalog.pg_roles r ON r.oid = s.userid JOIN pg_catalog.pg_database d ON d.oid = s.dbid"
        " WHERE s.query ~* '^\\s*(copy|fetch|/[*]|--)' AND s.queryid IS NOT NULL"
        " GROUP BY 1, 2, 3 LIMIT {most}"
    ).format(view=view, most=KEYS_MAX)
