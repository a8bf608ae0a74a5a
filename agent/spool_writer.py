"""Group commit: what all collectors saw within a moment goes to the spool in one synced write.

While the spool cannot be written (disk full, or full of what is just being sent) the entries wait here,
the small queue fills, and the collectors wait: nothing is dropped, and the heartbeat says so.
"""

from __future__ import annotations

import logging
import queue
import threading
import time

from agent.clock_steps import ClockSteps
from agent.spool import Spool, SpoolUnavailable
from agent.spool_segment import NewEntry

BATCH_ENTRIES = 200
BATCH_BYTES = 1 << 20
GATHER_SECONDS = 0.1
QUEUE_ENTRIES = 400
RETRY_SECONDS = 1.0
_POLL_SECONDS = 0.5

_log = logging.getLogger(__name__)


class SpoolWriter:
    """One thread. hand_on() is for the collectors' threads. Nobody else appends to the spool:
    `clock_steps` counts its numbers."""

    def __init__(
        self, spool: Spool, clock_steps: ClockSteps | None = None, *, retry_seconds: float = RETRY_SECONDS
    ) -> None:
        self._spool, self._clock_steps, self._retry_seconds = spool, clock_steps, retry_seconds
        self._queue: queue.Queue[NewEntry] = queue.Queue(QUEUE_ENTRIES)
        self._finish = threading.Event()
        self._give_up = threading.Event()
        self._in_order = threading.Lock()
        self._lock = threading.Lock()
        self._fault: str | None = None
        self._waits = 0
        self._thread = threading.Thread(target=self._run, name="spool writer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def hand_on(self, entry: NewEntry) -> None:
        """Blocks while the queue is full: that is the collectors' backpressure."""
        with self._in_order:
            if self._clock_steps is not None:
                self._clock_steps.hand_on(entry.time)
            while not self._give_up.is_set():
                try:
                    self._queue.put(entry, timeout=_POLL_SECONDS)
                except queue.Full:
                    continue
                return

    def fault(self) -> str | None:
        """Why observations wait now, in words; None while they do not."""
        with self._lock:
            return None if self._fault is None else f"waiting: {self._fault} (tried {self._waits} times)"

    def finish(self, timeout: float) -> bool:
        """Writes what was handed on. False when it could not all be written in time; it is given up."""
        self._finish.set()
        self._thread.join(timeout)
        done = not self._thread.is_alive()
        self._give_up.set()
        return done and self._queue.empty()

    def _run(self) -> None:
        while True:
            batch = self._gather()
            if batch:
                self._append(batch)
            elif self._finish.is_set() or self._give_up.is_set():
                return

    def _gather(self) -> list[NewEntry]:
        try:
            first = self._queue.get(timeout=_POLL_SECONDS)
        except queue.Empty:
            return []
        batch, size = [first], len(first.data)
        until = time.monotonic() + GATHER_SECONDS
        while len(batch) < BATCH_ENTRIES and size < BATCH_BYTES:
            try:
                entry = self._queue.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                break
            batch.append(entry)
            size += len(entry.data)
        return batch

    def _append(self, batch: list[NewEntry]) -> None:
        while not self._give_up.is_set():
            try:
                self._spool.append(batch)
            except SpoolUnavailable as error:
                self._failed(str(error))
            except Exception as error:  # noqa: BLE001 - a dead writer would stop the agent without a word
                _log.error("the spool failed", exc_info=True)
                self._failed(type(error).__name__)
            else:
                self._succeeded()
                return
            self._give_up.wait(self._retry_seconds)
        _log.error("observations could not be saved before the end", extra={"facts": {"events": len(batch)}})

    def _failed(self, reason: str) -> None:
        with self._lock:
            self._waits += 1
            new = self._fault is None
            self._fault = reason
        if new:
            _log.error("observations wait for the spool", extra={"facts": {"reason": reason}})

    def _succeeded(self) -> None:
        with self._lock:
            again, self._fault, waits = self._fault is not None, None, self._waits
            self._waits = 0
        if again:
            _log.info("the spool takes observations again", extra={"facts": {"tries": waits}})
