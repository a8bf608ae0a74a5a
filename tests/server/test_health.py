"""Alive and ready, on a real database, a real log and threads that really hang."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from server import health as health_module
from server.config import LimitsConfig
from server.health import Health
from server.log.embedded import EmbeddedLog
from server.metrics.process_metrics import PipelineMetrics
from server.pipeline.worker import PipelineWorker
from server.pulse import Pulse
from server.store import database as store
from server.store.database import Database
from server.supervision import PartState, SupervisedThread
from tests.server.api.running_server import RunningServer, TestAgent
from tests.server.waiting import wait_until

NOW = 1_795_305_600_000


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EmbeddedLog]:
    opened = EmbeddedLog(tmp_path / "log.db", lambda: NOW)
    yield opened
    opened.close()


def _health(
    database: Database, log: EmbeddedLog, folder: Path, parts: dict[str, PartState], free: int = 1
) -> Health:
    return Health(lambda: parts, log, database, disk=folder, disk_free_bytes=free)


RUNNING = {"pipeline": PartState("running", 0, None)}


def test_a_pipeline_that_hangs_shows_and_one_that_goes_on_is_well_again(
    database: Database, log: EmbeddedLog, tmp_path: Path
) -> None:
    from prometheus_client import CollectorRegistry  # noqa: PLC0415

    pulse = Pulse(0.5)
    observer = PipelineMetrics(CollectorRegistry(), pulse)
    worker = PipelineWorker(database, log, clock=lambda: NOW, observer=observer)
    part = SupervisedThread("pipeline", worker.run, pulse=pulse)
    health = Health(lambda: {"pipeline": part.state}, log, database, disk=tmp_path, disk_free_bytes=1)
    with database.begin():
        # Somebody keeps the database locked: the worker waits for it, with patience for half a minute.
        part.start()
        wait_until("the pipeline hangs", lambda: part.state.state == "hanging")
        assert health.not_alive() == ("pipeline",)
        assert not part.alive
        assert part.state.turned is not None
    wait_until("the pipeline turns again", lambda: part.state.state == "running")
    assert health.not_alive() == ()
    assert health.not_ready() == ()
    part.stop()
    assert part.join(5)
    assert health.not_alive() == ("pipeline",)


def test_a_loop_that_waits_to_start_again_is_alive_and_not_ready(
    database: Database, log: EmbeddedLog, tmp_path: Path
) -> None:
    parts = {"pipeline": PartState("waiting", 3, "OSError"), "training": PartState("waiting", 1, "x")}
    health = _health(database, log, tmp_path, parts)
    assert health.not_alive() == ()
    assert health.not_ready() == ("pipeline",)


def test_a_disk_with_too_little_room_is_not_ready(
    database: Database, log: EmbeddedLog, tmp_path: Path
) -> None:
    assert _health(database, log, tmp_path, RUNNING).not_ready() == ()
    assert _health(database, log, tmp_path, RUNNING, free=1 << 60).not_ready() == ("disk",)
    assert _health(database, log, tmp_path / "gone", RUNNING).not_ready() == ("disk",)


def test_a_database_that_another_program_keeps_locked_is_not_ready(
    tmp_path: Path, log: EmbeddedLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "BUSY_TIMEOUT_SECONDS", 0.2)
    opened = store.open_database(f"sqlite:///{tmp_path}/other.db", clock=lambda: NOW)
    health = _health(opened, log, tmp_path, RUNNING)
    with opened.begin():
        assert health.not_ready() == ("database",)
    opened.close()


def test_callers_do_not_queue_up_behind_a_question_that_gets_no_answer(
    database: Database, log: EmbeddedLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health_module, "ANSWER_SECONDS", 0.3)
    health = _health(database, log, tmp_path, RUNNING)
    first: list[tuple[str, ...]] = []
    with database.begin():
        asker = threading.Thread(target=lambda: first.append(health.not_ready()))
        asker.start()
        wait_until("the others are told", lambda: health.not_ready() == ("database",))
        assert first == []
    asker.join(10)
    assert first == [()]
    assert health.not_ready() == ()


def test_ready_asks_the_log_and_the_pipeline_and_alive_does_not(tmp_path: Path) -> None:
    server = RunningServer(tmp_path, limits=LimitsConfig(disk_free_mebibytes=1))
    with server.client() as client:
        assert _failing(client, "/readyz") == (200, None)
        server.parts["pipeline"] = PartState("waiting", 1, "OSError")
        assert _failing(client, "/readyz") == (503, ["pipeline"])
        assert _failing(client, "/healthz") == (200, None)
        server.parts["pipeline"] = PartState("hanging", 1, "OSError", 200.0)
        assert _failing(client, "/healthz") == (503, ["pipeline"])
        server.parts["pipeline"] = PartState("running", 0, None)
        agent = TestAgent(server, client, "a")
        server.log.close()
        assert agent.send([agent.heartbeat()]).status_code == 503
        assert _failing(client, "/readyz") == (503, ["log"])
        assert _failing(client, "/healthz") == (200, None)
    server.close()


def _failing(client: httpx.Client, path: str) -> tuple[int, list[str] | None]:
    answer = client.get(path)
    return answer.status_code, answer.json().get("failing")
