"""When sessions and tokens were used last, written beside the requests: a page that only lacks such a stamp
is not kept waiting by another writer, and never fails for it.

A stamp is waited for briefly, so that it is nearly always there when the page is. One that cannot be written
is left out; the next use writes it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Final, Protocol

from sqlalchemy import Connection

from server.store.database import Database, StoreUnavailable

WAIT_SECONDS: Final = 0.25
WAITING_MAX: Final = 1_000
_logger = logging.getLogger("leaver.console")
Stamp = Callable[[Connection], None]


class HasDatabase(Protocol):
    @property
    def database(self) -> Database: ...


class UsesNoted:
    """`console.made(UsesNoted)`. Safe to share between threads."""

    def __init__(self, owner: HasDatabase) -> None:
        self._owner = owner
        self._lock = threading.Lock()
        self._waiting: dict[str, tuple[Stamp, threading.Event]] = {}
        self._writing: frozenset[str] = frozenset()
        self._thread: threading.Thread | None = None

    def note(self, whose: str, stamp: Stamp) -> None:
        """`stamp` writes it, within a write transaction; of one that waits already there is no second."""
        with self._lock:
            if whose in self._waiting or whose in self._writing or len(self._waiting) >= WAITING_MAX:
                return
            done = threading.Event()
            self._waiting[whose] = stamp, done
            if self._thread is None:
                self._thread = threading.Thread(target=self._write, name="uses-noted", daemon=True)
                self._thread.start()
        done.wait(WAIT_SECONDS)

    def _write(self) -> None:
        while True:
            with self._lock:
                part, self._waiting = self._waiting, {}
                self._writing = frozenset(part)
                if not part:
                    self._thread = None
                    return
            try:
                with self._owner.database.begin() as connection:
                    for stamp, _ in part.values():
                        stamp(connection)
            except StoreUnavailable as error:
                _logger.info("uses_not_noted", extra={"detail": str(error), "count": len(part)})
            except Exception:
                # At the thread's edge: without it no use would be noted any more.
                _logger.exception("uses_not_noted")
            with self._lock:
                self._writing = frozenset()
            for _, done in part.values():
                done.set()
