"""Erasure and retention beside a running server, on both databases and both logs, while events flow: no batch
is lost, what is others' is as it would be, and `leaver erase`, killed in the middle, goes on."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from event_schema.wire import WireRecord
from server.commands.opening import open_installation
from server.erasure.record import list_erasures
from server.people.pseudonyms import pseudonym_key
from server.policies.watched_folder import PolicyFolder
from server.store.tables import alerts, channel_days, dead_letters, event_blocks, subject_events
from tests.kafka_broker.broker import KafkaBroker
from tests.postgres_server.server import PostgresServer
from tests.server.conftest import NewDatabaseUrl
from tests.server.erasure.shared_machine import (
    PEOPLE,
    PERSON,
    TRACES,
    flow,
    outcome_of_others,
    prepare,
    traces_in_files,
    traces_in_rows,
)
from tests.server.pipeline.conftest import DAY, Server
from tests.server.pipeline.endpoint import copied_file
from tests.server.up.conftest import Start
from tests.server.up.enrolled_agent import EnrolledAgent
from tests.server.up.up_process import UpProcess, leaver, leaver_json
from tests.server.up.worker_process import WorkerProcess

pytestmark = pytest.mark.long

REASON = ("--reason", "request 17 of this year")
PATIENCE = 90.0


class Flow:
    """Sends records one by one until all are sent, from a thread of its own."""

    def __init__(self, client: httpx.Client, agents: list[EnrolledAgent], seconds: float) -> None:
        by_endpoint = flow(random.Random(8), 60, [agent.endpoint for agent in agents])
        self.records = by_endpoint
        self._agents = agents
        self._pause = seconds / sum(map(len, by_endpoint.values()))
        self.refused: list[int] = []
        self._thread = threading.Thread(target=self._send)
        self._thread.start()

    def _send(self) -> None:
        waiting: dict[str, list[WireRecord]] = {e.name: list(r) for e, r in self.records.items()}
        while any(waiting.values()):
            for agent in self._agents:
                records = waiting[agent.endpoint.name]
                if records:
                    answer = agent.send([records.pop(0)])
                    if answer.status_code != 200:
                        self.refused.append(answer.status_code)
                    time.sleep(self._pause)

    def wait(self) -> None:
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()
        assert self.refused == []


def _settled(data: Path) -> Any:
    deadline = time.monotonic() + PATIENCE
    while (status := leaver_json("status", data=data))["log"]["lag"]:
        assert time.monotonic() < deadline, status["log"]
        time.sleep(0.1)
    return status


def _erase_process(data: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "server", "erase", "person", PERSON, *REASON, "--yes"]
    return subprocess.Popen(
        [*command, "--data", str(data)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def _begun(data: Path) -> bool:
    with open_installation(data) as installation, installation.database.read() as connection:
        return bool(list_erasures(connection))


def _killed_and_called_again(data: Path) -> str:
    first = _erase_process(data)
    deadline = time.monotonic() + PATIENCE
    while not _begun(data):
        assert time.monotonic() < deadline
        assert first.poll() is None
    first.send_signal(signal.SIGKILL)
    first.communicate()
    again = _erase_process(data)
    said, errors = again.communicate(timeout=PATIENCE)
    assert again.returncode == 0, errors
    return said


def _erased_beside(data: Path, start: Start, tmp_path: Path, reference: Server) -> None:
    up = start(data)
    people = tmp_path / "people.csv"
    people.write_text(PEOPLE)
    assert leaver("people", "import", "--yes", str(people), data=data).returncode == 0
    with up.client() as client:
        agents = [EnrolledAgent(client, data, "desk-0"), EnrolledAgent(client, data, "desk-4")]
        flowing = Flow(client, agents, seconds=6)
        time.sleep(2)
        said = _killed_and_called_again(data)
        flowing.wait()
        status = _settled(data)
    assert "Erased:" in said
    assert "Out of reach: endpoints' own spools" in said
    assert status["dead_letters"] == {}
    pipeline = status["process"]["parts"]["pipeline"]
    assert pipeline["restarts"] == 0, pipeline
    assert status["erasures"]["unfinished"] == 0
    assert status["erasures"]["events_dropped"] > 10
    prepare(reference, flowing.records)
    with open_installation(data) as installation, installation.database.read() as connection:
        reference.use_key(pseudonym_key(connection))
    reference.now = time.time_ns() // 1_000_000
    # As `leaver up` does: hits name the version of their rule.
    PolicyFolder(reference.database, None, clock=lambda: reference.now).take()
    for records in flowing.records.values():
        reference.take(*records)
    expected = outcome_of_others(reference)
    with open_installation(data) as installation:
        found = outcome_of_others(installation)
        for name, rows in expected.items():
            assert found[name] == rows, name
        assert traces_in_rows(installation) == []
    assert len(expected["events"]) > 100


@pytest.mark.databases("sqlite")
def test_beside_a_server_on_sqlite_and_its_own_log(
    tmp_path: Path, start: Start, new_database_url: NewDatabaseUrl
) -> None:
    data, other = tmp_path / "data", tmp_path / "other"
    data.mkdir()
    other.mkdir()
    reference = Server(other, new_database_url(other))
    _erased_beside(data, start, tmp_path, reference)
    reference.close()
    # What was on the log when the erasure ended was trimmed later, or is now.
    assert leaver("erase", "person", PERSON, *REASON, "--yes", data=data).returncode == 0
    for path in sorted(data.glob("*.db*")):
        raw = path.read_bytes().lower()
        assert [trace for trace in TRACES if trace in raw] == [], path.name
    listed = leaver("erase", "list", "--person", PERSON, data=data)
    assert listed.returncode == 0
    assert "xanthippe" not in listed.stdout.lower()
    assert leaver("erase", "list", "--person", "E2", data=data).returncode == 3
    with sqlite3.connect(data / "log.db") as log:
        assert log.execute("SELECT count(*) FROM records").fetchone() == (0,)


def _kafka_toml(data: Path, url: str, broker: KafkaBroker, topic: str, more: str = "") -> None:
    (data / "server.toml").write_text(
        f'[listen]\naddress = "127.0.0.1:0"\n'
        f'[log]\nkind = "kafka"\nbootstrap = ["{broker.bootstrap}"]\ntopic = "{topic}"\npartitions = 4\n'
        f'[database]\nurl = "{url}"\n[pipeline]\nsession_seconds = 6\n{more}'
    )


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[list[WorkerProcess]]:
    made: list[WorkerProcess] = []
    yield made
    for process in made:
        if process.process.poll() is None:
            process.end(signal.SIGKILL)


@pytest.mark.kafka
@pytest.mark.long
@pytest.mark.databases("postgresql")
@pytest.mark.timeout(300)
def test_beside_a_server_and_workers_on_postgresql_and_kafka(
    tmp_path: Path,
    start: Start,
    new_database_url: NewDatabaseUrl,
    kafka_broker: KafkaBroker,
    postgres_server: PostgresServer,
    workers: list[WorkerProcess],
) -> None:
    data, other = tmp_path / "data", tmp_path / "other"
    data.mkdir()
    other.mkdir()
    _kafka_toml(data, new_database_url(data), kafka_broker, "leaver.events.erased")
    assert leaver("init", data=data).returncode == 0
    workers += [WorkerProcess(data, "one"), WorkerProcess(data, "two")]
    reference = Server(other, new_database_url(other))
    _erased_beside(data, start, tmp_path, reference)
    reference.close()
    assert leaver("erase", "person", PERSON, *REASON, "--yes", data=data).returncode == 0
    for worker in workers:
        assert worker.end() == 0
    server = Server(data, (data / "server.toml").read_text().split('url = "')[1].split('"')[0])
    try:
        assert traces_in_files(server, postgres_server.directory / "data") == []
    finally:
        server.close()


def _kept(data: Path) -> dict[str, Any]:
    with open_installation(data) as installation, installation.database.read() as connection:
        return {
            "blocks": sorted(connection.execute(select(event_blocks.c.last_day)).scalars()),
            "index": sorted(set(connection.execute(select(subject_events.c.day)).scalars())),
            "days": sorted(connection.execute(select(channel_days.c.day)).scalars()),
            "letters": connection.execute(select(func.count()).select_from(dead_letters)).scalar_one(),
            "alerts": sorted(
                tuple(row)
                for row in connection.execute(
                    select(alerts.c.subject, alerts.c.score, alerts.c.first_time, alerts.c.last_time)
                )
            ),
        }


def _old_goes_while_new_comes(data: Path, start: Start, tmp_path: Path) -> UpProcess:
    settings = data / "server.toml"
    within = settings.read_text()
    settings.write_text(within + "[retention]\nevents_days = 400\n")
    up = start(data)
    people = tmp_path / "people.csv"
    people.write_text(PEOPLE)
    assert leaver("people", "import", "--yes", str(people), data=data).returncode == 0
    now = time.time_ns() // 1_000_000
    today = now // DAY
    with up.client() as client:
        agent = EnrolledAgent(client, data, "desk-0")
        old = [copied_file(now - 100 * DAY, name=f"ancient-{n}", account="carol") for n in range(20)]
        assert agent.send_events(old).status_code == 200
        assert agent.send_events([copied_file(now - DAY, account="bob")]).status_code == 200
        _settled(data)
    before = _kept(data)
    assert before["blocks"] == [today - 100, today - 1]
    assert before["alerts"]
    assert up.terminate()[0] == 0
    settings.write_text(within + "[retention]\nevents_days = 90\n")
    up = start(data)
    with up.client() as client:
        agent.client = client
        agent.endpoint.name = "desk-0"
        for n in range(30):
            assert (
                agent.send_events([copied_file(now - DAY, account="nobody", name=f"{n}")]).status_code == 200
            )
            time.sleep(0.05)
        # A late one of a day that is past its end.
        assert agent.send_events(old[:1]).status_code == 200
        status = _settled(data)
    after = _kept(data)
    assert [day for day in after["days"] if day < today - 91] == []
    assert [day for day in after["index"] if day < today - 91] == []
    assert after["blocks"].count(today - 1) == 31
    assert [row for row in after["alerts"] if row in before["alerts"]] == before["alerts"]
    # It is said every five seconds.
    deadline = time.monotonic() + 15
    while (swept := status["retention"]["last_drop"]) is None:
        assert time.monotonic() < deadline
        time.sleep(0.2)
        status = leaver_json("status", data=data)
    assert swept["rows"]["event_blocks"] == 1
    assert status["process"]["parts"]["pipeline"]["restarts"] == 0
    return up


@pytest.mark.long
@pytest.mark.databases("sqlite")
def test_old_days_go_while_new_events_come_on_sqlite_and_its_own_log(tmp_path: Path, start: Start) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "server.toml").write_text('[listen]\naddress = "127.0.0.1:0"\n')
    up = _old_goes_while_new_comes(data, start, tmp_path)
    with sqlite3.connect(data / "log.db") as log:
        assert log.execute("SELECT first_kept FROM bounds").fetchone()[0] >= 2
    assert up.terminate()[0] == 0


@pytest.mark.kafka
@pytest.mark.long
@pytest.mark.databases("postgresql")
def test_old_days_go_while_new_events_come_on_postgresql_and_kafka(
    tmp_path: Path, start: Start, new_database_url: NewDatabaseUrl, kafka_broker: KafkaBroker
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    _kafka_toml(data, new_database_url(data), kafka_broker, "leaver.events.old")
    up = _old_goes_while_new_comes(data, start, tmp_path)
    with open_installation(data) as installation:
        log = installation.open_log()
        assert sum(log.first_offsets().values()) >= 2
        log.close()
    assert up.terminate()[0] == 0
