"""What is slow to read, read beside the pages: whoever asks gets the new reading where that is quick, else
the last one. One reading runs at a time, and nobody waits for one that hangs. What takes long by nature may
be given as it was read last, while it is read anew (`old_ms`)."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from server.log.contract import LogUnavailable
from server.store.database import StoreUnavailable

WAIT_SECONDS: Final = 2.0
BRIEF_SECONDS: Final = 0.03
_logger = logging.getLogger("leaver.console")
Value = TypeVar("Value")


class _Reading(Generic[Value]):
    """One that runs, or has: whoever waits for it gets what it read, also where that is not kept."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self.begun = time.monotonic()
        self.read: tuple[int, Value] | None = None


class KeptReading(Generic[Value]):
    """Safe to share between threads. `clock`: ms UTC; a value is taken for new for `kept_ms` after it was
    read, and given for `old_ms` where the next one is not there in a moment. `wait_seconds`: for a reading,
    at most."""

    def __init__(
        self,
        read: Callable[[], Value],
        clock: Callable[[], int],
        *,
        kept_ms: int,
        old_ms: int = 0,
        wait_seconds: float = WAIT_SECONDS,
        version: Callable[[], object] = lambda: None,
    ) -> None:
        """`version`: of what it is read from; where it is another one, the last reading is not given."""
        self._read = read
        self._clock = clock
        self._kept_ms = kept_ms
        self._old_ms = old_ms
        self._wait_seconds = wait_seconds
        self._version = version
        self._seen: object = None
        self._lock = threading.Lock()
        self._kept: tuple[int, Value] | None = None
        self._running: _Reading[Value] | None = None

    def now(self) -> Value | None:
        """None: nothing could be read, or nothing that is not older than may be given."""
        version = self._version()
        with self._lock:
            if version != self._seen:
                self._seen = version
                self._kept = self._running = None
            kept = self._kept
            age = math.inf if kept is None else abs(self._clock() - kept[0])
            if kept is not None and age < self._kept_ms:
                return kept[1]
            if self._running is None:
                self._running = _Reading()
                threading.Thread(
                    target=self._look, args=(self._running,), name="kept-reading", daemon=True
                ).start()
            reading = self._running
        if kept is not None and age < self._old_ms:
            # Where little is to be read, nobody sees what is old.
            reading.done.wait(BRIEF_SECONDS)
            return (reading.read or kept)[1]
        reading.done.wait(max(0.0, reading.begun + self._wait_seconds - time.monotonic()))
        if reading.read is not None:
            return reading.read[1]
        with self._lock:
            kept = self._kept
        if kept is None or 0 < self._old_ms <= abs(self._clock() - kept[0]):
            return None
        return kept[1]

    def forget(self) -> None:
        """Something was changed: what is given next is read after this, also where a reading runs."""
        with self._lock:
            self._kept = self._running = None

    def _look(self, reading: _Reading[Value]) -> None:
        try:
            begun = self._clock()
            reading.read = begun, self._read()
        except (StoreUnavailable, LogUnavailable) as error:
            _logger.warning("not_read", extra={"detail": str(error)})
        finally:
            with self._lock:
                # Else it was begun before something changed.
                if self._running is reading:
                    self._kept, self._running = reading.read, None
            reading.done.set()
