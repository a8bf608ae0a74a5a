"""Keeps one collector going: a thread that pulls its observations, and starts it again when it fails.

What a collector yields is handed on before the next is asked for, so that a full spool slows the
collector down instead of filling memory. A collector resumes after the last observation handed on.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Literal

from agent.backoff import Backoff
from agent.spool_segment import CURSOR_BYTES_MAX, NewEntry
from collectors.contract import Collector, Observation, Unsupported
from event_schema.codec import encode_event
from event_schema.control_records import CollectorState
from event_schema.errors import SchemaError
from event_schema.printable import printable_name

UNSUPPORTED_RETRY_SECONDS = 180.0
RESTART_CAP_SECONDS = 60.0
HEALTHY_AFTER_SECONDS = 60.0
"""A run this long ends a series of failures."""
DETAIL_CHARACTERS = 4096
_DROP_REASONS_MAX = 64

State = Literal["starting", "running", "restarting", "unsupported", "stopped"]
_log = logging.getLogger(__name__)


class CollectorEnded(Exception):
    """A collector stopped observing although nobody asked it to."""


class Supervisor:
    """Owns the collector's life. `hand_on` may block; it returns when the entry was taken."""

    def __init__(
        self,
        name: str,
        make: Callable[[], Collector],
        hand_on: Callable[[NewEntry], None],
        *,
        resume_from: str | None,
        stop: threading.Event,
        before: CollectorState | None = None,
        restart: Backoff | None = None,
        unsupported_retry: float = UNSUPPORTED_RETRY_SECONDS,
        saved: Callable[[], str | None] | None = None,
    ) -> None:
        """`saved` gives the cursor of the last event that is on disk, for a collector that asks for it."""
        self.name = name
        self._make, self._hand_on, self._cursor, self._stop = make, hand_on, resume_from, stop
        self._restart = restart or Backoff(1.0, RESTART_CAP_SECONDS)
        self._unsupported_retry = unsupported_retry
        self._saved = saved
        self._lock = threading.Lock()
        self._state: State = "starting"
        self._why: str | None = None
        # What it did under other settings counts on.
        self._observed, self._restarts = (0, 0) if before is None else (before.observed, before.restarts)
        self._dropped: Counter[str] = Counter({} if before is None else before.dropped)
        self._collector: Collector | None = None
        self._thread = threading.Thread(target=self._run, name=f"collector {name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def join(self, timeout: float) -> bool:
        """Whether it has ended."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    @property
    def cursor(self) -> str | None:
        """Behind what was handed on last. Only when it has ended."""
        return self._cursor

    def state(self) -> CollectorState:
        """For the heartbeat; from any thread."""
        with self._lock:
            collector, state, why = self._collector, self._state, self._why
            dropped, observed, restarts = Counter(self._dropped), self._observed, self._restarts
        detail = why
        if collector is not None:
            try:
                dropped.update(collector.dropped())
                detail = why or collector.detail()
            except Exception:  # noqa: BLE001 - a heartbeat must go out while a collector is dying
                _log.warning("a collector cannot say how it is", exc_info=True)
        kept = dict(dropped.most_common(_DROP_REASONS_MAX))
        # A collector speaks of mount points, which need not be UTF-8: no JSON and no terminal takes those.
        text = None if detail is None else printable_name(detail)[:DETAIL_CHARACTERS]
        return CollectorState(
            name=self.name, state=state, observed=observed, restarts=restarts, dropped=kept, detail=text
        )

    def _run(self) -> None:
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                self._observe_until_stopped()
            except Unsupported as error:
                self._now("unsupported", f"{error}: {error.remedy}" if error.remedy else str(error))
                _log.warning("collector cannot run here", extra={"facts": {"collector": self.name}})
                self._stop.wait(self._unsupported_retry)
            except Exception as error:  # noqa: BLE001 - one collector's fault must not end the agent
                if time.monotonic() - began > HEALTHY_AFTER_SECONDS:
                    self._restart.succeeded()
                wait = self._restart.failed()
                with self._lock:
                    self._restarts += 1
                self._now("restarting", f"{type(error).__name__}; next try in {wait:.0f} s")
                facts = {"collector": self.name, "wait_seconds": round(wait, 1)}
                _log.error("collector failed", exc_info=True, extra={"facts": facts})
                self._stop.wait(wait)
        self._now("stopped", None)

    def _observe_until_stopped(self) -> None:
        self._now("starting", None)
        collector = self._make()
        try:
            collector.check_supported()
            with self._lock:
                self._collector = collector
            tell_saved = getattr(collector, "saved", None)
            for observation in collector.observe(self._cursor, self._stop):
                # The first turn, even without an observation, says that it watches.
                if self._state != "running":
                    self._now("running", None)
                if observation is not None:
                    self._take(observation)
                elif tell_saved is not None and self._saved is not None:
                    tell_saved(self._saved())
            if not self._stop.is_set():
                raise CollectorEnded
        finally:
            with self._lock:
                self._collector = None
            try:
                self._dropped.update(collector.dropped())
            finally:
                collector.close()

    def _take(self, observation: Observation) -> None:
        cursor = observation.cursor
        if cursor is not None and len(cursor.encode()) > CURSOR_BYTES_MAX:
            self._drop("cursor_too_long")
            cursor = None
        try:
            data = encode_event(observation.event)
        except SchemaError:
            self._drop("not_encodable")
            return
        self._hand_on(NewEntry(self.name, observation.event.time, data, cursor))
        if cursor is not None:
            self._cursor = cursor
        with self._lock:
            self._observed += 1

    def _drop(self, reason: str) -> None:
        with self._lock:
            self._dropped[reason] += 1

    def _now(self, state: State, why: str | None) -> None:
        with self._lock:
            self._state, self._why = state, why
