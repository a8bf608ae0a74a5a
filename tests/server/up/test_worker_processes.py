"""`leaver worker` as real processes on a real Kafka and a real PostgreSQL, stopped, killed and added while
events flow: what is stored equals what one undisturbed worker makes of the same log."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from event_schema.wire import WireRecord
from server.log.whole_log import WholeLog
from server.pipeline.worker import PipelineWorker
from server.pipeline.worker_rows import WorkerRow, list_workers
from server.store.tables import log_positions
from tests.kafka_broker.broker import KafkaBroker
from tests.postgres_server.server import PostgresServer
from tests.server.conftest import NewDatabaseUrl
from tests.server.pipeline.company import PARTITIONS, POLICIES, Company, prepare, records_by_endpoint
from tests.server.pipeline.conftest import Server
from tests.server.up.up_process import leaver, leaver_json
from tests.server.up.worker_process import WorkerProcess

pytestmark = [pytest.mark.kafka, pytest.mark.databases("postgresql"), pytest.mark.long]

SESSION_SECONDS = 6
"""The least that Kafka allows."""
PATIENCE_SECONDS = 60.0


class Plant:
    """A company with a database on PostgreSQL, and worker processes on it."""

    def __init__(self, folder: Path, url: str, broker: KafkaBroker) -> None:
        self.data = folder
        self.company = Company(Server(folder, url), broker)
        self._processes: list[WorkerProcess] = []
        (folder / "server.toml").write_text(
            f'[log]\nkind = "kafka"\nbootstrap = ["{broker.bootstrap}"]\ntopic = "{self.company.topic}"\n'
            f'partitions = {PARTITIONS}\n[database]\nurl = "{url}"\n'
            f"[pipeline]\nsession_seconds = {SESSION_SECONDS}\n",
            encoding="utf-8",
        )

    def start(self, name: str, *options: str, environment: Mapping[str, str] | None = None) -> WorkerProcess:
        self._processes.append(WorkerProcess(self.data, name, *options, environment=environment))
        return self._processes[-1]

    def workers(self) -> dict[str, WorkerRow]:
        with self.company.server.database.read() as connection:
            return {row.name: row for row in list_workers(connection)}

    def wait_for_shares(self, *names: str) -> None:
        """Until exactly these share all partitions, each with some of them."""

        def shared() -> bool:
            shares = {name: row.partitions for name, row in self.workers().items() if name in names}
            together = sorted(number for share in shares.values() for number in share)
            return together == list(range(PARTITIONS)) and len(shares) == len(names) and all(shares.values())

        until(f"{names} share the partitions", shared)

    def lag(self) -> int:
        done = {row[0]: row[2] for row in self.company.rows(log_positions)}
        return sum(end - done.get(number, 0) for number, end in self.company.log.end_offsets().items())

    def wait_for_all(self) -> float:
        """Until all that lies on the log is stored; how many seconds it took."""
        begun = time.monotonic()
        until("all is stored", lambda: self.lag() == 0)
        return time.monotonic() - begun

    def close(self) -> None:
        for process in self._processes:
            if process.process.poll() is None:
                process.end(signal.SIGKILL)
        self.company.close()
        self.company.server.close()


@pytest.fixture
def plant(tmp_path: Path, new_database_url: NewDatabaseUrl, kafka_broker: KafkaBroker) -> Iterator[Plant]:
    made = Plant(tmp_path, new_database_url(tmp_path), kafka_broker)
    yield made
    made.close()


def until(what: str, happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not happened():
        assert time.monotonic() < deadline, f"not within {PATIENCE_SECONDS:.0f} s: {what}"
        time.sleep(0.05)


def _undisturbed(plant: Plant, url: str, folder: Path, endpoints: Any) -> dict[str, list[tuple[Any, ...]]]:
    """What a single worker makes of the same log."""
    server = Server(folder, url)
    reference = Company(server, plant.company.broker)
    prepare(reference, endpoints)
    log = plant.company.log
    worker = PipelineWorker(server.database, log, clock=server.clock, policies=POLICIES, share=WholeLog(log))
    while worker.step(1).records:
        pass
    outcome = reference.outcome()
    reference.close()
    server.close()
    return outcome


def _waits_for_its_turn(postgres: PostgresServer) -> bool:
    query = (
        "SELECT count(*) FROM pg_locks AS l JOIN pg_database AS d ON d.oid = l.database"
        " WHERE l.locktype = 'advisory' AND NOT l.granted AND d.datname = %s"
    )
    with postgres.connect() as connection:
        row = connection.execute(query, [f"leaver_{postgres._databases}"]).fetchone()
    return row is not None and row[0] != 0


@pytest.mark.timeout(300)
def test_workers_stopped_killed_added_and_restarted_store_what_one_undisturbed_worker_stores(
    plant: Plant, new_database_url: NewDatabaseUrl, tmp_path: Path, postgres_server: PostgresServer
) -> None:
    by_endpoint = records_by_endpoint(random.Random(3), 40)
    prepare(plant.company, by_endpoint)
    parts: list[list[WireRecord]] = [[], [], [], []]
    for records in by_endpoint.values():
        for number, part in enumerate(parts):
            part.extend(records[number * len(records) // 4 : (number + 1) * len(records) // 4])
    log, database = plant.company.log, plant.company.server.database

    stopped = plant.start("stopped")
    plant.wait_for_shares("stopped")
    log.append(parts[0])
    plant.wait_for_all()

    # It has worked a batch out, and stops before it may commit it. Another takes over.
    with database.begin():
        log.append(parts[1])
        until("a commit waits", lambda: _waits_for_its_turn(postgres_server))
        stopped.send(signal.SIGSTOP)
    assert plant.lag() > 0
    killed = plant.start("killed")
    plant.wait_for_all()
    stopped.send(signal.SIGCONT)
    # Its session was ended for holding the lock, or its commit finds the fence: either way it writes nothing.
    until("the zombie learns it", lambda: stopped.said("fenced_out") or stopped.said("database_unavailable"))
    plant.wait_for_shares("stopped", "killed")

    shown = leaver("status", data=plant.data)
    assert "worker        killed: 2 partitions, last batch" in shown.stdout
    killed.end(signal.SIGKILL)
    log.append(parts[2])
    plant.wait_for_all()
    added = plant.start("added")
    plant.wait_for_shares("stopped", "added")

    # Another process under its name replaces it, and nobody else's share changes.
    before = plant.workers()["stopped"].partitions
    twin = plant.start("added")
    assert added.process.wait(PATIENCE_SECONDS) == 1
    assert added.end() == 1
    assert added.said("another worker has joined as added; each needs a name of its own")
    log.append(parts[3])
    plant.wait_for_all()
    assert plant.workers()["stopped"].partitions == before
    for process in (stopped, twin):
        assert process.end() == 0
    # Who ended in good order is gone from the list; the one that was killed stays, to be looked after.
    left = leaver_json("status", data=plant.data)["workers"]
    assert [worker["name"] for worker in left] == ["killed"]
    other = tmp_path / "other"
    other.mkdir()
    expected = _undisturbed(plant, new_database_url(other), other, by_endpoint)
    found = plant.company.outcome()
    for name, rows in expected.items():
        assert found[name] == rows, name


def test_without_kafka_and_postgresql_it_says_who_does_the_work(tmp_path: Path) -> None:
    done = leaver("worker", data=tmp_path)
    assert done.returncode == 2
    assert "one `leaver up` does it all" in done.stderr
