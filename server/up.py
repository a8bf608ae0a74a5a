"""`leaver up`: all in one process. HTTPS, pipeline, housekeeping and training, each in its own thread.

It stops within STOP_SECONDS: what is in flight by then is not acknowledged, so agents send it again, and
the pipeline's open transaction is rolled back, so it is done again.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import select

from server.accounts.invitations import invite_first_administrator
from server.addresses import public_address
from server.admin_token import has_token, rotate_token
from server.agents.broker_access import BrokerAccess
from server.api.app import create_app
from server.api.https_server import HttpsServer
from server.api.service import ApiService
from server.config import ServerConfig
from server.data_directory import AlreadyRunning, DataDirectory
from server.evidence_pack.stored import sweep
from server.health import Health
from server.housekeeping import TURN_SECONDS_MAX as HOUSEKEEPING_TURN
from server.housekeeping import Housekeeping
from server.installation import Installation, created_installation
from server.log.contract import EventLog
from server.log.embedded import PARTITION, EmbeddedLog
from server.look_back.looking_back import TURN_SECONDS_MAX as LOOK_BACK_TURN
from server.look_back.looking_back import LookingBack
from server.metrics.process_metrics import ProcessMetrics
from server.metrics.snapshot_metrics import SnapshotMetrics
from server.people.company import keep_company
from server.people.company_places import NamedPlaces
from server.people.directory import raise_people_version
from server.people.hr_import import ImportOptions
from server.people.text_mask import text_mask
from server.people.watched_folder import TURN_SECONDS_MAX as FOLDER_TURN
from server.people.watched_folder import WatchedFolder
from server.periodic_training import RETRY_SECONDS, RETRY_SECONDS_MAX, PeriodicTraining
from server.periodic_training import TURN_SECONDS_MAX as TRAINING_TURN
from server.pipeline.worker import TURN_SECONDS_MAX as PIPELINE_TURN
from server.pipeline.worker import PipelineWorker
from server.pki.authority import Authority
from server.policies.watched_folder import TURN_SECONDS_MAX as POLICIES_TURN
from server.policies.watched_folder import policy_folder
from server.process_state import ProcessState, steady_ms, write_process_state
from server.pulse import Pulse
from server.service_manager import ServiceManager
from server.status import installation_status
from server.status_types import Status
from server.store.database import Database, StoreUnavailable
from server.store.tables import log_positions
from server.store.up_lock import CHECK_SECONDS
from server.supervision import PartState, SupervisedThread
from server.trusted_clock import TrustedClock, keep_time, read_kept

STOP_SECONDS = 4.5
STATE_SECONDS = 5.0
_LOOK_SECONDS = 0.5

Say = Callable[[str], None]
_logger = logging.getLogger("leaver.server")


class UpFailed(Exception):
    """A part that nothing can run without is gone."""


def run_up(
    directory: DataDirectory,
    config: ServerConfig,
    *,
    clock: Callable[[], int],
    stop: threading.Event,
    say: Say,
) -> None:
    """Runs until `stop` is set. Raises AlreadyRunning, DataDirectoryError, ConfigError, StoreUnavailable,
    PkiError, ListenError, LogUnavailable before it answered the first request; UpFailed later."""
    directory.create()
    kept = read_kept(directory)
    trusted = TrustedClock(
        clock,
        confirmed=kept.confirmed,
        stamped_early=kept.stamped_early,
        stamps=config.log.kind != "kafka",
    )
    with (
        directory.locked(clock=trusted),
        created_installation(directory, config, clock=trusted) as (installation, authority),
    ):
        _keep_company(installation)
        policy_folder(installation).take()
        installation.prepare_log()
        with contextlib.ExitStack() as opened:
            log = installation.open_log()
            opened.callback(log.close)
            _go_on_behind_what_was_read(installation.database, log)
            broker = installation.open_broker_access()
            if broker is not None:
                opened.callback(broker.close)
            _Server(installation, authority, log, broker, trusted, say).run(stop)


def _keep_company(installation: Installation) -> None:
    people = installation.config.people
    own = installation.config.company
    with installation.database.begin() as connection:
        changed = keep_company(
            connection,
            calendar=people.calendar,
            time_zone=people.time_zone,
            working_hours=people.working_hours,
            places=NamedPlaces(own.networks, own.destinations, own.devices),
        )
        if changed:
            raise_people_version(connection)


def _go_on_behind_what_was_read(database: Database, log: EventLog) -> None:
    """A damaged disk or a backup may have left a log that ends before what was read from it. Raises
    LogUnavailable, StoreUnavailable."""
    if isinstance(log, EmbeddedLog):
        query = select(log_positions.c.next_offset).where(log_positions.c.partition == PARTITION)
        with database.read() as connection:
            read = connection.execute(query).scalar()
        if read is not None and (missing := log.begin_behind(read)):
            _logger.error("log_was_cut", extra={"records": missing})


class _Server:
    def __init__(
        self,
        installation: Installation,
        authority: Authority,
        log: EventLog,
        broker: BrokerAccess | None,
        clock: TrustedClock,
        say: Say,
    ) -> None:
        self._installation = installation
        self._authority = authority
        self._log = log
        self._clock = clock
        self._say = say
        self._say_at = 0.0
        self._keeping = threading.Lock()
        self._kept_early = clock.stamped_early()
        self._since = installation.clock()
        config = installation.config
        pulses = Pulse(PIPELINE_TURN), Pulse(HOUSEKEEPING_TURN), Pulse(TRAINING_TURN)
        metrics = ProcessMetrics(SnapshotMetrics(self._status), pipeline_pulse=pulses[0])
        self._worker = PipelineWorker(
            installation.database,
            log,
            clock=installation.clock,
            observer=metrics.pipeline,
            share=installation.open_share(log, f"up-{socket.gethostname()}"),
            events_days=config.retention.events_days,
            uses_days=config.retention.uses_days,
            activity_days=config.retention.activity_days,
            seal_key=installation.seal_key("leaver up"),
        )
        self._pipeline = SupervisedThread("pipeline", self._worker.run, pulse=pulses[0])
        self._manager = ServiceManager(os.environ)
        self._health = Health(
            self._part_states,
            log,
            installation.database,
            disk=installation.directory.root,
            disk_free_bytes=config.limits.disk_free_mebibytes << 20,
        )
        self._service = ApiService(
            config=config,
            database=installation.database,
            log=log,
            authority=authority,
            clock=installation.clock,
            health=self._health,
            status=self._status,
            metrics=metrics.render,
            directory=installation.directory,
            broker=broker,
            brokers_ca_pem=installation.brokers_ca_pem() if broker is not None else "",
        )
        self._https = HttpsServer(
            create_app(self._service),
            config.listen.address,
            installation.pki.ensure_server(authority, config.listen),
            connections=config.limits.connections,
        )
        self._housekeeping = Housekeeping(
            installation.database,
            log,
            events_days=config.retention.events_days,
            alerts_days=config.retention.alerts_days,
            uses_days=config.retention.uses_days,
            activity_days=config.retention.activity_days,
            clock=installation.clock,
            renew_certificate=self._renew_certificate,
            keep_time=self._keep_time,
            sweep_packs=lambda: sweep(installation.database, installation.directory.packs_path),
            broker=broker,
            pulse=pulses[1],
        )
        self._hr_folder: WatchedFolder | None = None
        training = PeriodicTraining(
            installation.database,
            clock=installation.clock,
            activity_days=config.retention.activity_days,
            pulse=pulses[2],
        )
        self._taken_over: str | None = None
        up_lock = installation.up_lock
        self._parts = (
            *([SupervisedThread("one server", self._keep_place)] if up_lock and up_lock.needed else []),
            *([self._pipeline] if config.pipeline.enabled else []),
            *self._watched_folder(),
            *self._policies(),
            self._looking_back(),
            SupervisedThread("housekeeping", self._housekeeping.run, pulse=pulses[1]),
            SupervisedThread(
                "training",
                training.run,
                first_pause=RETRY_SECONDS,
                longest_pause=RETRY_SECONDS_MAX,
                pulse=pulses[2],
            ),
        )

    def run(self, stop: threading.Event) -> None:
        try:
            for part in self._parts:
                part.start()
            self._https.start()
            self._say_state()
            self._introduce()
            self._manager.ready()
            with contextlib.suppress(StoreUnavailable):
                text_mask(self._installation.database)  # so that no page waits for all names to be read
            while not stop.wait(_LOOK_SECONDS):
                if not self._https.alive:
                    raise UpFailed("the HTTPS server ended by itself")
                if self._taken_over is not None:
                    raise UpFailed(self._taken_over)
                if not self._health.not_alive():
                    self._manager.alive()
                # Here, where nothing waits for a database that is locked or a disk that is full.
                if time.monotonic() >= self._say_at:
                    self._say_state()
                    if self._clock.stamped_early() != self._kept_early:
                        self._keep_time()
        finally:
            self._manager.stopping()
            self._stop()

    def _watched_folder(self) -> list[SupervisedThread]:
        settings = self._installation.config.people
        if not settings.watch_folder:
            return []
        pulse = Pulse(FOLDER_TURN)
        self._hr_folder = WatchedFolder(
            self._installation.database,
            Path(settings.watch_folder),
            clock=self._installation.clock,
            options=ImportOptions(time_zone=settings.time_zone, skip_bad_rows=not settings.refuse_bad_rows),
            mapping=Path(settings.mapping) if settings.mapping else None,
            pulse=pulse,
        )
        return [SupervisedThread("HR folder", self._hr_folder.run, pulse=pulse)]

    def _policies(self) -> list[SupervisedThread]:
        if not self._installation.config.policies.folder:
            return []
        pulse = Pulse(POLICIES_TURN)
        return [SupervisedThread("policies", policy_folder(self._installation, pulse).run, pulse=pulse)]

    def _looking_back(self) -> SupervisedThread:
        config, pulse = self._installation.config, Pulse(LOOK_BACK_TURN)
        looking_back = LookingBack(
            self._installation.database,
            clock=self._clock,
            events_days=config.retention.events_days,
            activity_days=config.retention.activity_days,
            days=config.people.look_back_days,
            pulse=pulse,
        )
        return SupervisedThread("looking back", looking_back.run, pulse=pulse)

    def _stop(self) -> None:
        deadline = time.monotonic() + STOP_SECONDS
        self._https.stop()
        for part in self._parts:
            part.stop()
        self._https.join(deadline - time.monotonic())
        for part in self._parts:
            part.join(deadline - time.monotonic())
        if self._pipeline in self._parts and self._pipeline.join(0):
            with contextlib.suppress(StoreUnavailable):
                self._worker.end()
        self._installation.directory.state_path.unlink(missing_ok=True)

    def _introduce(self) -> None:
        config, database = self._installation.config, self._installation.database
        brokers = f"{', '.join(config.log.bootstrap)}"
        secured = "" if config.log.security == "plaintext" else f" ({config.log.security})"
        log = f"kafka, {config.log.topic} at {brokers}{secured}"
        self._say(f"data       {self._installation.directory.root}")
        self._say(f"database   {database.dialect}, {database.place}")
        self._say(f"log        {'embedded' if config.log.kind == 'embedded' else log}")
        if not config.pipeline.enabled:
            self._say("pipeline   left to leaver worker")
        self._say(f"listening  {public_address(config, self._https.port)}")
        self._say(f"CA         sha256:{self._authority.fingerprint}")
        token = self._first_token()
        if token is not None:
            self._say(f"token      {token}")
            self._say("           for administrators, shown only now; leaver token rotate makes another")
        self._say(f"console    {self._console_address()}")
        self._say("enrol      leaver agents enrol NAME   prints the line to run on the endpoint")
        self._say("ready      stop with Ctrl-C")

    def _first_token(self) -> str | None:
        with self._installation.database.begin() as connection:
            if has_token(connection):
                return None
            return rotate_token(connection, now=self._installation.clock(), actor="leaver up")

    def _console_address(self) -> str:
        """As long as nobody can sign in who manages users, with what lets the first administrator in."""
        address = public_address(self._installation.config, self._https.port)
        if not self._installation.config.sign_in.local_accounts:
            return address
        with self._installation.database.begin() as connection:
            token = invite_first_administrator(connection, now=self._installation.clock(), actor="leaver up")
        return f"{address}/first#{token}   for the first administrator, once" if token else address

    def _process_state(self) -> ProcessState:
        return ProcessState(
            pid=os.getpid(),
            since=self._since,
            at=self._installation.clock(),
            address=public_address(self._installation.config, self._https.port),
            parts=self._part_states(),
            requests=self._service.counts(),
            next_drop_at=self._housekeeping.next_drop_at,
            held_back=self._service.quota.held_back(),
            last_drop=self._housekeeping.last_drop,
            steady=steady_ms(),
            clock=self._clock.state(),
            waits_for=self._worker.waits_for,
            hr_folder_fault=None if self._hr_folder is None else self._hr_folder.fault,
        )

    def _part_states(self) -> dict[str, PartState]:
        return {"https": self._https.state} | {part.name: part.state for part in self._parts}

    def _status(self) -> Status:
        return installation_status(self._installation, self._log, self._process_state())

    def _keep_place(self, stop: threading.Event) -> None:
        up_lock = self._installation.up_lock
        assert up_lock is not None
        while not stop.wait(CHECK_SECONDS):
            try:
                up_lock.check()
            except AlreadyRunning as error:
                self._taken_over = str(error)
            except StoreUnavailable as error:
                # The pipeline says so; the place is taken again when the database is back.
                _logger.debug("place_unknown", extra={"detail": str(error)})

    def _say_state(self) -> None:
        self._say_at = time.monotonic() + STATE_SECONDS
        try:
            write_process_state(self._installation.directory, self._process_state())
        except OSError as error:
            _logger.warning("state_not_said", extra={"errno": error.errno})

    def _keep_time(self) -> None:
        early = self._clock.stamped_early()
        try:
            with self._keeping:
                keep_time(self._installation.directory, self._clock)
            self._kept_early = early
        except OSError as error:
            _logger.warning("time_not_kept", extra={"errno": error.errno})

    def _renew_certificate(self) -> None:
        certificate = self._installation.pki.ensure_server(self._authority, self._installation.config.listen)
        if certificate.renewed:
            self._https.use_certificate(certificate)
