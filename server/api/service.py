"""What the API's routes work with. One object for the whole server."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from event_schema.wire import WireRecord
from server.agents.key_cache import AgentKeyCache
from server.api.agent_quota import AgentQuota
from server.api.errors import ApiError
from server.api.failure_limit import FailureLimit
from server.api.request_body import BodyBudget
from server.config import ServerConfig
from server.health import Health
from server.log.contract import EventLog, LogUnavailable
from server.pki.authority import Authority
from server.store.database import Database

_logger = logging.getLogger("leaver.api")
RETRY_SECONDS = 5


class ApiService:
    """`status` gives what /v1/status answers, `metrics` what /metrics does."""

    def __init__(
        self,
        *,
        config: ServerConfig,
        database: Database,
        log: EventLog,
        authority: Authority,
        clock: Callable[[], int],
        health: Health,
        status: Callable[[], Any],
        metrics: Callable[[], bytes],
    ) -> None:
        self.config = config
        self.database = database
        self.log = log
        self.authority = authority
        self.clock = clock
        self.health = health
        self.status = status
        self.metrics = metrics
        self.keys = AgentKeyCache(database)
        self.bodies = BodyBudget(config.limits.body_mebibytes_in_flight << 20)
        self.enrol_failures = FailureLimit(config.limits.enrol_failures_per_minute)
        self.admin_failures = FailureLimit(config.limits.enrol_failures_per_minute)
        self.quota = AgentQuota(config.limits.agent_events_per_second, config.limits.agent_events_at_once)
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def append(self, records: Sequence[WireRecord]) -> None:
        """Blocks until the records are durable. Raises ApiError(503)."""
        try:
            self.log.append(records)
        except LogUnavailable as error:
            if self.health.append_failed():
                # Once, not for every agent that tries.
                _logger.error("log_unavailable", extra={"detail": str(error)})
            raise ApiError(
                503, "log_unavailable", "the log cannot be written now", retry_after=RETRY_SECONDS
            ) from None
        self.health.append_succeeded()

    def count(self, what: str) -> None:
        with self._lock:
            self._counts[what] += 1

    def counts(self) -> dict[str, int]:
        """Requests by route and outcome since the start, such as "POST /v1/records 200"."""
        with self._lock:
            return dict(self._counts)
