"""An installation with one busy endpoint (busy_agent.py); server and brokers go away and come back."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec
import psutil

from tests.kafka_broker.broker import KafkaBroker
from tests.soak.endpoint import Endpoint
from tests.soak.installation import Installation

AGENT = "busy-1"

Log = Literal["kafka", "https"]


class Plan(msgspec.Struct, frozen=True):
    """`every_ms`: from one event to the next. `quota`: events a second that HTTPS lets through."""

    events: int
    every_ms: int
    real_time: bool
    quota: int


class Site:
    """An installation with one busy endpoint, over one of the logs."""

    def __init__(self, folder: Path, prepared: Path, log: Log, plan: Plan, first_time: int) -> None:
        self.log, self.plan, self.first_time = log, plan, first_time
        self.broker = KafkaBroker() if log == "kafka" else None
        self._away = False
        collector = (
            f"[collectors.busy]\ncount = {plan.events}\nfirst_time = {first_time}\n"
            f"every_ms = {plan.every_ms}\nreal_time = {str(plan.real_time).lower()}\n"
        )
        self.endpoint = Endpoint(folder, AGENT, module="busy_agent", collector=collector)
        self.installation = Installation(
            folder,
            prepared,
            [self.endpoint],
            kafka=self.broker,
            settings=f"[limits]\nagent_events_per_second = {plan.quota}\n",
        )

    def begin(self) -> None:
        """Enrols the endpoint; then everything but the endpoint is away."""
        self.installation.start_server()
        self.go_away()

    def go_away(self) -> None:
        assert self.installation.server is not None
        code, _ = self.installation.server.terminate()
        assert code == 0
        self.installation.server.close()
        self._away = True
        if self.broker is not None:
            self.broker.kill()

    def come_back(self) -> None:
        if self.broker is not None:
            self.broker.restart()
        self.installation.start_server()
        self._away = False

    def cpu_seconds(self) -> dict[str, float]:
        """Of agent, server and broker, as far as they run."""
        server = self.installation.server
        pids = {"agent": self.endpoint.process.pid} if self.endpoint.process is not None else {}
        if not self._away and server is not None:
            pids["server"] = server.process.pid
            pids |= {"broker": self.broker.pid} if self.broker is not None else {}
        return {name: _cpu(pids[name]) if name in pids else 0.0 for name in ("agent", "server", "broker")}

    def close(self) -> None:
        self.installation.abandon()
        if self.broker is not None:
            self.broker.stop()


def _cpu(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


@contextlib.contextmanager
def open_site(folder: Path, prepared: Path, log: Log, plan: Plan, first_time: int) -> Iterator[Site]:
    site = Site(folder, prepared, log, plan, first_time)
    try:
        yield site
    finally:
        site.close()
