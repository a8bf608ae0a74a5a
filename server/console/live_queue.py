"""Tells pages with the queue that something changed: GET /alerts/live, server-sent events.

An event holds nothing but the mark of the queue's present state (queue_list.py). A page says at which mark it
was made, so that what changed before its stream was open is told at once; it then asks for what it shows,
with its own filters. A stream ends with its session.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Final, TypeVar

import anyio
import anyio.to_thread

from server.alerts.queue.state import read_mark
from server.api.errors import ApiError
from server.console.ingest_watch import IngestWatch
from server.console.page import Ask, Console, Stream
from server.console.queue_list import MARK_CHARACTERS, mark_text
from server.people.roles import Right
from server.store.database import StoreUnavailable

STREAMS_OF_SESSION: Final = 5
STREAMS_MAX: Final = 200
LOOK_SECONDS: Final = 1.0
QUIET_SECONDS: Final = 15.0
SESSION_SECONDS: Final = 30.0
RETRY_MS: Final = 8000
Result = TypeVar("Result")
_logger = logging.getLogger("leaver.console")


class LiveQueue:
    """`console.made(LiveQueue)`: who listens, and the state's mark, which is read once for all of them."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lock = threading.Lock()
        self._listening: Counter[str] = Counter()
        self._mark: str | None = None
        self._unread = False
        self._read_at = 0.0
        self._reading = threading.Lock()
        self._limiter: anyio.CapacityLimiter | None = None

    def check(self, whose: str) -> None:
        """Raises ApiError where somebody has as many streams as one may, or all have."""
        with self._lock:
            if self._listening[whose] >= STREAMS_OF_SESSION:
                raise ApiError(429, "too_many_streams", "too many pages of yours listen", retry_after=60)
            if self._listening.total() >= STREAMS_MAX:
                raise ApiError(503, "too_many_streams", "too many pages listen now", retry_after=60)

    def join(self, whose: str) -> None:
        with self._lock:
            self._listening[whose] += 1

    def leave(self, whose: str) -> None:
        with self._lock:
            self._listening[whose] -= 1
            if self._listening[whose] <= 0:
                del self._listening[whose]

    @property
    def stopping(self) -> bool:
        """Whether the server is."""
        return self._console.service.stopping.is_set()

    @property
    def listening(self) -> int:
        with self._lock:
            return self._listening.total()

    @property
    def unread(self) -> bool:
        """Whether the last look failed: nothing can be told, and no page may believe that all is told."""
        return self._unread

    async def current(self) -> str | None:
        """At most a second old; None: not read yet, or `unread`."""
        if time.monotonic() - self._read_at >= LOOK_SECONDS and self._reading.acquire(blocking=False):
            try:
                self._mark = await self.in_thread(self._look)
                self._unread = self._mark is None
                self._read_at = time.monotonic()
            finally:
                self._reading.release()
        return self._mark

    async def in_thread(self, work: Callable[[], Result]) -> Result:
        """Apart from the pages' threads: streams never keep these waiting."""
        if self._limiter is None:
            self._limiter = anyio.CapacityLimiter(2)
        return await anyio.to_thread.run_sync(work, limiter=self._limiter)

    def _look(self) -> str | None:
        ingest = self._console.made(IngestWatch).now()
        try:
            with self._console.database.read() as connection:
                return mark_text(read_mark(connection, self._console.clock()), ingest)
        except StoreUnavailable as error:
            _logger.warning("queue_not_watched", extra={"detail": str(error)})
            return None


def live(console: Console, ask: Ask, again: Callable[[], bool]) -> AsyncIterator[bytes]:
    """GET /alerts/live?from=MARK"""
    session = ask.viewer.session
    whose = ask.viewer.actor if session is None else str(session.session_id)
    queue = console.made(LiveQueue)
    queue.check(whose)
    return _events(queue, whose, ask.query.get("from", "")[:MARK_CHARACTERS], again)


async def _events(queue: LiveQueue, whose: str, seen: str, again: Callable[[], bool]) -> AsyncIterator[bytes]:
    queue.join(whose)
    try:
        yield f"retry: {RETRY_MS}\n\n".encode()
        said = asked = time.monotonic()
        while not queue.stopping:
            mark, now = await queue.current(), time.monotonic()
            if queue.unread:
                return
            if mark is not None and mark != seen:
                seen, said = mark, now
                yield f"data: {mark}\n\n".encode()
            elif now - said >= QUIET_SECONDS:
                said = now
                yield b": here\n\n"
            if now - asked >= SESSION_SECONDS:
                asked = now
                if not await queue.in_thread(again):
                    yield b"event: ended\ndata: session\n\n"
                    return
            await anyio.sleep(LOOK_SECONDS)
    finally:
        queue.leave(whose)


STREAMS = [Stream("/alerts/live", Right.SEE_ALERTS, live)]
