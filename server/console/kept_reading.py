"""What is slow to read, read beside the pages: whoever asks gets the new reading where that is quick, else
the last one. One reading runs at a time, and nobody waits for one that hangs."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from server.log.contract import LogUnavailable
from server.store.database import StoreUnavailable

WAIT_SECONDS: Final = 2.0
_logger = logging.getLogger("leaver.console")
Value = TypeVar("Value")


class KeptReading(Generic[Value]):
    """Safe to share between threads. `clock`: ms UTC; a value is taken for new for `kept_ms` after it was
    read."""

    def __init__(self, read: Callable[[], Value], clock: Callable[[], int], *, kept_ms: int) -> None:
        self._read = read
        self._clock = clock
        self._kept_ms = kept_ms
        self._lock = threading.Lock()
        self._kept: tuple[int, Value] | None = None
        self._done: threading.Event | None = None
        self._begun = 0.0

    def now(self) -> Value | None:
        """None: nothing could be read so far."""
        with self._lock:
            if self._kept is not None and abs(self._clock() - self._kept[0]) < self._kept_ms:
                return self._kept[1]
            if self._done is None:
                self._done, self._begun = threading.Event(), time.monotonic()
                threading.Thread(
                    target=self._look, args=(self._done,), name="kept-reading", daemon=True
                ).start()
            done, left = self._done, self._begun + WAIT_SECONDS - time.monotonic()
        done.wait(max(0.0, left))
        with self._lock:
            return None if self._kept is None else self._kept[1]

    def _look(self, done: threading.Event) -> None:
        try:
            found = self._read()
            with self._lock:
                self._kept = self._clock(), found
        except (StoreUnavailable, LogUnavailable) as error:
            _logger.warning("not_read", extra={"detail": str(error)})
            with self._lock:
                self._kept = None
        finally:
            with self._lock:
                self._done = None
            done.set()
