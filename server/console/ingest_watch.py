"""Whether what pages say is all there is: a dead pipeline must look neither like a quiet day nor like agents
that are silent. One watch for all pages, in words of one template (queue/_ingest.html).

It is what `leaver status` and /readyz say, looked at beside the pages, so that none waits for a broker
that is away.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final, Literal

import msgspec

from server.console.page import Console
from server.log.contract import LogUnavailable
from server.status_findings import WAITING_MS_MAX
from server.status_types import Status
from server.store.database import StoreUnavailable

SILENT_MS: Final = 10 * 60_000
"""Agents speak every minute: when all of them say nothing for so long, something is wrong."""
_KEPT_SECONDS: Final = 10.0
_LATE_SECONDS: Final = 6 * _KEPT_SECONDS
_FIRST_SECONDS: Final = 1.0
_PIPELINE: Final = frozenset({"pipeline", "https"})
_GONE: Final = frozenset({"revoked", "invited", "stopped"})
_logger = logging.getLogger("leaver.console")

Trouble = Literal["unknown", "log", "pipeline", "behind", "silent", "some_silent"]


class Ingest(msgspec.Struct, frozen=True):
    """`trouble`: the gravest; None: all is well. `since`: ms UTC, where it can be said. `agents`: reporting
    or meant to; `silent` of them say nothing. `trained`: whether there is a model of what is usual. `down`:
    parts of the server that do not work, where these are the trouble."""

    trouble: Trouble | None = None
    down: tuple[str, ...] = ()
    since: int | None = None
    agents: int = 0
    silent: int = 0
    rules: int = 0
    trained: bool = True

    @property
    def mark(self) -> tuple[str | None, tuple[str, ...], int | None, int, int, bool]:
        """Differs where pages have to say something else. `since` in minutes: what waits longest is another
        one all the time."""
        since = None if self.since is None else self.since // 60_000
        return self.trouble, self.down, since, self.agents, self.silent, self.trained

    @property
    def is_stale(self) -> bool:
        """Whether alerts may be missing."""
        return self.trouble is not None and self.trouble != "some_silent"


def ingest_of(status: Status, not_ready: Sequence[str] = ()) -> Ingest:
    """`not_ready`: what /readyz tells."""
    known = [agent for agent in status.agents if agent.state not in _GONE]
    heard = [agent.heartbeat_at for agent in known if agent.heartbeat_at is not None]
    silent = sum(agent.state == "silent" for agent in known)
    found = Ingest(
        agents=len(known),
        silent=silent,
        rules=0 if status.policies is None else status.policies.rules,
        trained=status.training.trained_at is not None and not status.training.cold_start,
    )
    process, log = status.process, status.log
    parts = {} if process is None else process.parts
    if log.fault is not None:
        return msgspec.structs.replace(found, trouble="log")
    stopped = [name for name, part in parts.items() if name in _PIPELINE and part.state != "running"]
    if process is not None and process.waits_for is not None:
        stopped.append(process.waits_for[0])
    if down := tuple(dict.fromkeys((*not_ready, *stopped))):
        return msgspec.structs.replace(found, trouble="pipeline", down=down)
    oldest = log.oldest_waiting_at
    if oldest is not None and status.at - oldest > WAITING_MS_MAX:
        return msgspec.structs.replace(found, trouble="behind", since=oldest)
    if known and heard and status.at - max(heard) > SILENT_MS:
        return msgspec.structs.replace(found, trouble="silent", since=max(heard))
    return msgspec.structs.replace(found, trouble="some_silent") if silent else found


class IngestWatch:
    """`console.made(IngestWatch)`."""

    def __init__(self, console: Console, *, steady: Callable[[], float] = time.monotonic) -> None:
        self._status: Callable[[], object] = console.service.status
        self._not_ready: Callable[[], Sequence[str]] = console.service.health.not_ready
        self._steady = steady
        self._lock = threading.Lock()
        self._ingest = Ingest(trouble="unknown")
        self._read_at: float | None = None
        self._looking: threading.Thread | None = None

    def now(self) -> Ingest:
        """A few seconds old at most, while pages ask; who comes first, or first again, waits a moment."""
        with self._lock:
            age = self._age()
            if age < _KEPT_SECONDS:
                return self._ingest
            if self._looking is None or not self._looking.is_alive():
                self._looking = threading.Thread(target=self._look, name="ingest-watch", daemon=True)
                self._looking.start()
            looking = self._looking
        if age > _LATE_SECONDS:
            looking.join(_FIRST_SECONDS)
        with self._lock:
            return Ingest(trouble="unknown") if self._age() > _LATE_SECONDS else self._ingest

    def _age(self) -> float:
        """Seconds."""
        return math.inf if self._read_at is None else self._steady() - self._read_at

    def _look(self) -> None:
        try:
            status = self._status()
            assert isinstance(status, Status)
            found = ingest_of(status, self._not_ready())
        except (StoreUnavailable, LogUnavailable) as error:
            _logger.warning("ingest_not_watched", extra={"detail": str(error)})
            found = Ingest(trouble="unknown")
        with self._lock:
            self._ingest, self._read_at = found, self._steady()
