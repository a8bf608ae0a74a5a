"""What the API's routes work with. One object for a listener."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from event_schema.wire import WireRecord
from server.agents.broker_access import BrokerAccess, BrokerTicket
from server.agents.key_cache import AgentKeyCache
from server.api.agent_quota import AgentQuota
from server.api.errors import ApiError
from server.api.failure_limit import FailureLimit
from server.api.request_body import BodyBudget
from server.config import ServerConfig
from server.data_directory import DataDirectory
from server.health import Health
from server.log.contract import EventLog, LogUnavailable
from server.pki.authority import Authority
from server.store.database import Database

_logger = logging.getLogger("leaver.api")
RETRY_SECONDS = 5
ADMISSIONS_PER_HOUR = 10
"""Brokers take a tenth of a second for each, one after the other."""


class Service:
    """What each listener has, also that of a `leaver worker`. `metrics` gives what /metrics answers."""

    def __init__(
        self,
        *,
        config: ServerConfig,
        database: Database,
        clock: Callable[[], int],
        health: Health,
        metrics: Callable[[], bytes],
    ) -> None:
        self.config = config
        self.database = database
        self.clock = clock
        self.health = health
        self.metrics = metrics
        self.keys = AgentKeyCache(database)
        self.bodies = BodyBudget(config.limits.body_mebibytes_in_flight << 20)
        self.enrol_failures = FailureLimit(config.limits.enrol_failures_per_minute)
        self.admin_failures = FailureLimit(config.limits.enrol_failures_per_minute)
        self.token_failures = FailureLimit(config.limits.enrol_failures_per_minute)
        self.quota = AgentQuota(config.limits.agent_events_per_second, config.limits.agent_events_at_once)
        self.stopping = threading.Event()
        """Set when the listener stops: answers that would never end do."""
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def count(self, what: str) -> None:
        with self._lock:
            self._counts[what] += 1

    def counts(self) -> dict[str, int]:
        """Requests by route and outcome since the start, such as "POST /v1/records 200"."""
        with self._lock:
            return dict(self._counts)


class ApiService(Service):
    """All of `leaver up`, over this data directory. `status` gives what /v1/status answers.

    `broker` is there where agents send straight to brokers that ask who they are, and `brokers_ca_pem`
    where those have another CA than this installation."""

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
        directory: DataDirectory,
        broker: BrokerAccess | None = None,
        brokers_ca_pem: str = "",
    ) -> None:
        super().__init__(config=config, database=database, clock=clock, health=health, metrics=metrics)
        self.log = log
        self.authority = authority
        self.status = status
        self.directory = directory
        self.brokers_ca_pem = brokers_ca_pem
        self._broker = broker
        self._admissions: Counter[str] = Counter()
        self._admissions_hour = 0

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

    def admit_to_broker(self, agent: str) -> BrokerTicket:
        """Raises ApiError: 503, or 429 for an agent that asks again and again."""
        if self._broker is None:
            return BrokerTicket()
        with self._lock:
            hour = int(time.monotonic() // 3600)
            if hour != self._admissions_hour:
                self._admissions_hour, self._admissions = hour, Counter()
            self._admissions[agent] += 1
            if self._admissions[agent] > ADMISSIONS_PER_HOUR:
                raise ApiError(429, "too_many_admissions", "asked too often this hour", retry_after=3600)
        try:
            return self._broker.admit(agent)
        except LogUnavailable as error:
            _logger.error("broker_access_failed", extra={"detail": str(error)})
            raise ApiError(
                503, "brokers_unavailable", "the brokers cannot be told now", retry_after=RETRY_SECONDS
            ) from None
