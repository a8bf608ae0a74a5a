"""One installation on one machine: `leaver up`, workers and agents, as processes that can be killed.

The log is embedded or a real Kafka, the database SQLite or a real PostgreSQL. `prepare_data` makes the state
that all runs begin with: the sample company, its history and a model.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import psycopg
from sqlalchemy import delete

from server.commands.opening import open_installation, system_clock
from server.evaluation.demo_load import load_demo
from server.log.contract import LogUnavailable
from server.log.kafka import KafkaLog
from server.people.hr_import import import_people
from server.pipeline.worker import PipelineWorker
from server.store.tables import log_positions
from tests.kafka_broker.broker import KafkaBroker
from tests.postgres_server.server import PostgresServer
from tests.server.up.up_process import UpProcess, leaver
from tests.server.up.worker_process import WorkerProcess
from tests.soak.endpoint import Endpoint
from tests.soak.script import SEED, left_person_csv

SESSION_SECONDS = 6
"""After that others take a dead worker's partitions: the least that Kafka allows."""
PATIENCE_SECONDS = 60.0
GATE = "gate"
"""In the installation's folder: up to which of the script's events endpoints may go."""


def prepare_data(data: Path, clock: Callable[[], int] = system_clock) -> int:
    """Makes a data directory with people, history, a model and correlations that fire. Returns the base
    time of the script."""
    done = leaver("init", data=data)
    assert done.returncode == 0, done.stderr
    base_time = clock()
    with open_installation(data) as opened:
        installation = msgspec.structs.replace(opened, clock=clock)
        log = installation.open_log()
        worker = PipelineWorker(installation.database, log, clock=clock)
        stop = threading.Event()
        thread = threading.Thread(target=worker.run, args=(stop,))
        thread.start()
        try:
            load_demo(
                installation.database,
                log,
                installation.pki.open_authority(),
                clock=lambda: base_time,
                seed=SEED,
                leaver_account="unused",
                time_zone="UTC",
                version="0.1.0",
                progress=lambda what, _done, _of: _still(thread, what),
            )
        finally:
            stop.set()
            thread.join()
            log.close()
        with installation.database.begin() as connection:
            import_people(connection, left_person_csv(base_time), actor="soak", at=base_time)
    for rule in sorted((Path(__file__).parent / "rules").glob("*.yml")):
        done = leaver("policy", "save", str(rule), "--reason", "soak", data=data)
        assert done.returncode == 0, done.stderr
    return base_time


class Installation:
    """Copies `prepared`; endpoints are enrolled when the server first runs. `data`: where the server keeps
    everything, if not in `folder`. With `postgres` the database moves there first. With `kafka` the log is a
    topic of its own. `settings`: more lines for server.toml."""

    def __init__(
        self,
        folder: Path,
        prepared: Path,
        endpoints: Sequence[Endpoint],
        *,
        data: Path | None = None,
        postgres: PostgresServer | None = None,
        kafka: KafkaBroker | None = None,
        partitions: int = 1,
        workers: int = 0,
        settings: str = "",
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._gate = folder / GATE
        self.allow(0)
        self.data = data or folder / "data"
        shutil.copytree(prepared, self.data)
        self.endpoints = list(endpoints)
        self.postgres, self.kafka = postgres, kafka
        self._topic = f"soak-{time.time_ns()}"
        self._partitions = partitions
        self._log: KafkaLog | None = None
        self._reader: psycopg.Connection[Any] | None = None
        self.server: UpProcess | None = None
        self.workers: dict[str, WorkerProcess | None] = {f"worker-{n + 1}": None for n in range(workers)}
        self._write_settings(settings)

    def _write_settings(self, settings: str) -> None:
        listen = f'[listen]\naddress = "127.0.0.1:{_free_port()}"\n'
        log = database = ""
        if self.kafka is not None:
            # Positions on the log of the history mean nothing on another log.
            with open_installation(self.data) as opened, opened.database.begin() as connection:
                connection.execute(delete(log_positions))
            log = (
                f'[log]\nkind = "kafka"\nbootstrap = ["{self.kafka.bootstrap}"]\n'
                f'topic = "{self._topic}"\npartitions = {self._partitions}\n'
                f"[pipeline]\nsession_seconds = {SESSION_SECONDS}\n"
            )
        if self.postgres is not None:
            self._database = self.postgres.new_database(migrated=False)
            url = self.postgres.url(self._database)
            moved = leaver("store", "migrate", "--to", url, data=self.data)
            assert moved.returncode == 0, moved.stderr
            for file in self.data.glob("leaver.db*"):
                file.unlink()
            database = f'[database]\nurl = "{url}"\n'
        (self.data / "server.toml").write_text(listen + log + database + settings, encoding="utf-8")

    def start(self) -> None:
        """The server, which is ready then, and all workers."""
        self.start_server()
        for name in self.workers:
            self.start_worker(name)

    def start_server(self) -> None:
        """Returns when it is ready; enrols endpoints that are not."""
        self.server = UpProcess(self.data)
        for endpoint in self.endpoints:
            if not endpoint.enrolled:
                endpoint.enrol(self.data)

    def start_worker(self, name: str) -> None:
        self.workers[name] = WorkerProcess(self.data, name)

    def kill_server(self) -> None:
        assert self.server is not None
        self.server.kill()
        self.server.close()

    def kill_worker(self, name: str) -> None:
        worker = self.workers[name]
        assert worker is not None
        worker.kill()

    def allow(self, events: int) -> None:
        """Lets the script go on until so many events have happened."""
        self.allowed = events
        new = self._gate.with_suffix(".new")
        new.write_text(str(events), encoding="ascii")
        new.replace(self._gate)

    def stored(self) -> int:
        """Events of the endpoints that the pipeline has committed."""
        names = [endpoint.name for endpoint in self.endpoints]
        marks = ", ".join(f"'{name}'" for name in names)
        rows = self.ask(f"SELECT seen FROM agent_epochs WHERE agent IN ({marks})")
        ranges = [part.partition("-") for (seen,) in rows for part in str(seen).split(",") if part]
        return sum(int(last) - int(first) + 1 for first, _, last in ranges)

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        """Beside the server, which may be running, or dead."""
        if self.postgres is None:
            with closing(self.database()) as connection:
                return connection.execute(query).fetchall()
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                if self._reader is None:
                    self._reader = self.postgres.connect(self._database)
                return self._reader.execute(query).fetchall()
            except psycopg.OperationalError:
                # It was killed since the last question.
                self._close_reader()
                assert time.monotonic() < deadline, "PostgreSQL does not come back"
                time.sleep(0.05)

    def wait_for_append(self, seconds: float) -> bool:
        """Whether records reached the log within this time; returns at once when they do."""
        until = time.monotonic() + seconds
        if self.kafka is not None:
            return _changes(self._end_of_topic, until)
        with closing(_read_only(self.data / "log.db")) as connection:
            return _changes(
                lambda: connection.execute("SELECT next_offset FROM bounds").fetchone(), until, 0.0005
            )

    def _end_of_topic(self) -> int:
        if self._log is None:
            assert self.kafka is not None
            self._log = KafkaLog(self.kafka.bootstrap, self._topic)
        try:
            return sum(self._log.end_offsets().values())
        except LogUnavailable:
            return -1

    def database(self) -> sqlite3.Connection:
        """Beside the server, on SQLite."""
        return _read_only(self.data / "leaver.db")

    def stop(self) -> None:
        """In good order, as far as they still run."""
        for endpoint in self.endpoints:
            endpoint.stop()
        for name, worker in self.workers.items():
            if worker is not None:
                assert worker.end() == 0, (name, worker.errors)
        if self.server is not None and self.server.process.poll() is None:
            code, _ = self.server.terminate()
            assert code == 0, self.server.errors
        if self.server is not None:
            self.server.close()

    def abandon(self) -> None:
        """Whatever happened: nothing goes on running."""
        for endpoint in self.endpoints:
            endpoint.kill()
        for worker in self.workers.values():
            if worker is not None:
                worker.kill()
        if self.server is not None:
            self.server.close()
        if self._log is not None:
            self._log.close()
        self._close_reader()
        if self.postgres is not None:
            self.postgres.drop_database(self._database)

    def _close_reader(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            with contextlib.suppress(psycopg.Error):
                reader.close()


def _changes(look: Callable[[], object], until: float, pause_s: float = 0.0) -> bool:
    before = look()
    while time.monotonic() < until:
        if look() != before:
            return True
        time.sleep(pause_s)
    return False


def _still(worker: threading.Thread, what: str) -> None:
    assert worker.is_alive(), f"the pipeline failed at: {what}"


def _read_only(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
