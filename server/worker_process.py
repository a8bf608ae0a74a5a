"""`leaver worker`: the pipeline alone, for a share of a log on Kafka, into a database on PostgreSQL.

Any number run at once, beside one `leaver up` that does the rest; the consumer group shares the partitions
out. It ends like `leaver up`, within STOP_SECONDS; its partitions wait for it to come back under its name
before others get them. How it is, it says to systemd as `leaver up` does, and over HTTP where it is asked to
listen.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable

import msgspec

from server.agents.health import newest_heartbeat
from server.api.app import create_operation_app
from server.api.https_server import HttpsServer
from server.api.service import Service
from server.health import Health
from server.installation import Installation
from server.log.contract import EventLog, WorkerReplaced
from server.metrics.process_metrics import ProcessMetrics
from server.metrics.snapshot_metrics import WorkerMetrics
from server.pipeline.worker import TURN_SECONDS_MAX, PipelineWorker
from server.pulse import Pulse
from server.service_manager import ServiceManager
from server.store.database import StoreUnavailable
from server.supervision import PartState, SupervisedThread
from server.trusted_clock import TrustedClock

STOP_SECONDS = 4.5
CONNECTIONS = 32
"""To its listener, which a scraper and a person use."""
_LOOK_SECONDS = 0.2

Say = Callable[[str], None]


class WorkerFailed(Exception):
    """It must not go on; the message says why."""


def run_worker(
    installation: Installation, name: str, *, listen: str | None, stop: threading.Event, say: Say
) -> None:
    """Runs until `stop` is set. `listen`: a loopback address for /metrics, /healthz and /readyz.

    Raises LogUnavailable, StoreUnavailable, ListenError before it began; WorkerFailed later."""
    installation.prepare_log()
    with installation.database.read() as connection:
        clock = TrustedClock(
            installation.clock,
            confirmed=newest_heartbeat(connection),
            stamps=installation.config.log.kind != "kafka",
        )
    installation = msgspec.structs.replace(installation, clock=clock)
    log = installation.open_log()
    try:
        _Worker(installation, name, log, listen).run(stop, say)
    finally:
        log.close()


class _Worker:
    def __init__(self, installation: Installation, name: str, log: EventLog, listen: str | None) -> None:
        self._installation = installation
        self._name = name
        pulse = Pulse(TURN_SECONDS_MAX)
        metrics = ProcessMetrics(WorkerMetrics(self._part_states, self._partitions), pipeline_pulse=pulse)
        config = installation.config
        self._worker = PipelineWorker(
            installation.database,
            log,
            clock=installation.clock,
            observer=metrics.pipeline,
            share=installation.open_share(log, name),
            events_days=config.retention.events_days,
            uses_days=config.retention.uses_days,
            activity_days=config.retention.activity_days,
            seal_key=installation.seal_key("leaver worker"),
        )
        self._replaced: WorkerReplaced | None = None
        self._pipeline = SupervisedThread("pipeline", self._work, pulse=pulse)
        self._manager = ServiceManager(os.environ)
        self._health = Health(
            self._part_states,
            log,
            installation.database,
            disk=installation.directory.root,
            disk_free_bytes=config.limits.disk_free_mebibytes << 20,
        )
        self._http: HttpsServer | None = None
        if listen is not None:
            service = Service(
                config=config,
                database=installation.database,
                clock=installation.clock,
                health=self._health,
                metrics=metrics.render,
            )
            app = create_operation_app(service)
            self._http = HttpsServer(app, listen, None, connections=CONNECTIONS)

    def run(self, stop: threading.Event, say: Say) -> None:
        try:
            self._pipeline.start()
            if self._http is not None:
                self._http.start()
            self._introduce(say)
            self._manager.ready()
            while not stop.wait(_LOOK_SECONDS):
                if self._replaced is not None:
                    raise WorkerFailed(str(self._replaced))
                if self._http is not None and not self._http.alive:
                    raise WorkerFailed("the listener for /metrics ended by itself")
                if not self._health.not_alive():
                    self._manager.alive()
        finally:
            self._manager.stopping()
            self._stop()

    def _stop(self) -> None:
        deadline = time.monotonic() + STOP_SECONDS
        self._pipeline.stop()
        if self._http is not None:
            self._http.stop()
            self._http.join(deadline - time.monotonic())
        if self._pipeline.join(deadline - time.monotonic()) and self._replaced is None:
            with contextlib.suppress(StoreUnavailable):
                self._worker.end()

    def _work(self, stop: threading.Event) -> None:
        try:
            self._worker.run(stop)
        except WorkerReplaced as error:
            self._replaced = error
            stop.wait()

    def _introduce(self, say: Say) -> None:
        config, database = self._installation.config, self._installation.database
        say(f"worker     {self._name}")
        say(f"database   {database.dialect}, {database.place}")
        say(f"log        kafka, {config.log.topic} at {', '.join(config.log.bootstrap)}")
        if self._http is not None:
            say(f"listening  http, port {self._http.port}: /metrics, /healthz, /readyz")
        say("ready      stop with Ctrl-C")

    def _part_states(self) -> dict[str, PartState]:
        http = {} if self._http is None else {"http": self._http.state}
        return {self._pipeline.name: self._pipeline.state, **http}

    def _partitions(self) -> int:
        return self._worker.partitions_held
