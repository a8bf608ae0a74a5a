"""What operators see of a running `leaver up`: /metrics, /healthz, /readyz, status and systemd agree."""

from __future__ import annotations

import os
import re
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec
import pytest

from server.metrics.table import METRICS, WORKER
from tests.chain.stored import taken_in
from tests.server.pipeline.endpoint import copied_file
from tests.server.up.enrolled_agent import EnrolledAgent
from tests.server.up.scraping import families, samples, scrape
from tests.server.up.up_process import UpProcess, leaver, leaver_json

TOKEN = "only-for-metrics-0123456789"


def _now() -> int:
    return time.time_ns() // 1_000_000


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UpProcess]:
    folder = tmp_path_factory.mktemp("operations")
    token_file = folder / "metrics.token"
    token_file.write_text(TOKEN)
    data = folder / "data"
    data.mkdir()
    (data / "server.toml").write_text(
        f'[listen]\naddress = "127.0.0.1:0"\n[metrics]\ntoken_file = "{token_file}"\n'
        "[limits]\ndisk_free_mebibytes = 1\n"
    )
    process = UpProcess(data)
    yield process
    process.close()


@pytest.fixture(scope="module")
def client(up: UpProcess) -> Iterator[httpx.Client]:
    with up.client() as opened:
        yield opened


@pytest.fixture(scope="module")
def busy(up: UpProcess, client: httpx.Client) -> UpProcess:
    """After good events, duplicates, a loss, a gap and a forged record."""
    agent = EnrolledAgent(client, up.data, "desk-1")
    first = agent.endpoint.record([copied_file(_now(), name=f"{n}.xlsx") for n in range(5)])
    forged = msgspec.structs.replace(agent.endpoint.record([copied_file(_now())]), signature=bytes(64))
    assert agent.send([first, first, forged, agent.endpoint.loss(7)]).status_code == 200
    assert agent.send_events([copied_file(_now())]).status_code == 200
    refused = client.post("/v1/enrol", json={"token": "x", "public_key": "A" * 43 + "="})
    assert refused.status_code == 403
    assert client.get("/nothing/here").status_code == 404
    taken_in(up.data, "desk-1")
    return up


def test_every_metric_of_the_list_is_emitted_and_no_other(busy: UpProcess, client: httpx.Client) -> None:
    known = {metric.name: metric for metric in METRICS if metric not in WORKER}
    found = families(scrape(client, TOKEN))
    assert found.keys() == known.keys()
    for name, family in found.items():
        metric = known[name]
        assert family.type == metric.kind.value, name
        assert family.documentation == metric.help or name.startswith("process_"), name
        assert family.samples, f"{name} has no value"
        for sample in family.samples:
            labels = {key: value for key, value in sample.labels.items() if key != "le"}
            assert labels.keys() == metric.labels.keys(), sample
            for label, values in metric.labels.items():
                assert not values or labels[label] in values, sample


def test_the_numbers_are_those_of_what_was_sent(busy: UpProcess, client: httpx.Client) -> None:
    found = samples(scrape(client, TOKEN))
    assert found["leaver_events_total", ()] == 6
    assert found["leaver_records_total", ()] == 5
    assert found["leaver_duplicate_events_total", ()] == 5
    assert found["leaver_dead_letters_total", (("reason", "bad_signature"),)] == 1
    assert found["leaver_dead_letters_total", (("reason", "oversized"),)] == 0
    assert found["leaver_events_lost_total", (("reason", "spool_full"),)] == 7
    assert found["leaver_missing_events", ()] == 1
    assert found["leaver_agents", (("state", "enrolled"),)] == 1
    assert found["leaver_agents_with_finding", (("kind", "gap"),)] == 1
    assert found["leaver_enrolments_failed_total", ()] == 1
    route = (("method", "POST"), ("route", "/v1/records"), ("status", "200"))
    assert found["leaver_http_requests_total", route] == 2
    lost = (("method", "other"), ("route", "other"), ("status", "404"))
    assert found["leaver_http_requests_total", lost] == 1
    assert found["leaver_batch_seconds_count", ()] >= 2
    assert found["leaver_database_bytes", ()] > 100_000
    assert found["leaver_log_bytes", ()] > 10_000
    today = _now() // 86_400_000 * 86_400
    assert found["leaver_oldest_day_timestamp_seconds", ()] in {today, today - 86_400}
    assert {value for (name, _), value in found.items() if name == "leaver_loop_up"} == {1}


def test_status_and_metrics_tell_the_same(busy: UpProcess, client: httpx.Client) -> None:
    found = samples(scrape(client, TOKEN))
    status = leaver_json("status", data=busy.data)
    assert found["leaver_events_stored", ()] == status["events_stored"] == 6
    assert found["leaver_lag_records", ()] == status["log"]["lag"] == 0
    assert found["leaver_oldest_waiting_seconds", ()] == 0
    assert status["log"]["oldest_waiting_at"] is None
    assert found["leaver_retention_seconds", ()] == status["retention"]["events_days"] * 86_400
    assert status["dead_letters"] == {"bad_signature": 1}
    assert found["leaver_dead_letters", (("reason", "bad_signature"),)] == 1
    assert status["process"]["parts"].keys() == {
        "https", "pipeline", "housekeeping", "looking back", "training",
    }  # fmt: skip


def test_status_for_people_is_short_aligned_and_fits_80_columns(
    busy: UpProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    done = leaver("status", data=busy.data)
    assert done.returncode == 3, "a gap, a loss and a forged record need a look"
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80, done.stdout
    subjects = [line for line in lines if not line.startswith(("!", " "))]
    assert [re.split(r"  +", line)[0] for line in subjects] == [
        "server", "loops", "log", "events", "dead letters", "agents", "alerts", "policies", "database",
        "model",
    ]  # fmt: skip
    assert {line[12:14].rstrip() + line[14:15] != "" for line in subjects} == {True}
    assert all(line[13] == " " and line[14] != " " for line in subjects), done.stdout
    assert "log           embedded, nothing waits" in done.stdout
    assert "dead letters  1: 1 bad_signature" in done.stdout
    assert "agents        1 without a heartbeat yet; 1 with gaps" in done.stdout
    assert {line.split(":")[0] for line in lines if line.startswith("!")} == {
        "! dead_letters", "! gap", "! events_lost", "! bad_signature",
    }  # fmt: skip


def test_what_waits_is_told_with_its_age_while_the_pipeline_cannot_write(
    busy: UpProcess, client: httpx.Client
) -> None:
    import sqlite3  # noqa: PLC0415 - another program that keeps the database's lock
    from contextlib import closing  # noqa: PLC0415

    agent = EnrolledAgent(client, busy.data, "desk-2")
    with closing(sqlite3.connect(busy.data / "leaver.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert agent.send_events([copied_file(_now())]).status_code == 200
        time.sleep(1.1)
        found = samples(scrape(client, TOKEN))
        assert found["leaver_lag_records", ()] == 1
        assert found["leaver_oldest_waiting_seconds", ()] >= 1
        shown = leaver("status", data=busy.data).stdout
        assert re.search(r"^log +embedded, 1 record waits, the oldest for \d+ s", shown, re.M), shown
        # Alive, for its loops turn or have their time; what it lacks lies outside.
        assert client.get("/healthz").json() == {"status": "ok"}
        other.execute("ROLLBACK")
    taken_in(busy.data, "desk-2")
    assert samples(scrape(client, TOKEN))["leaver_lag_records", ()] == 0
    assert client.get("/readyz").json() == {"status": "ok"}


def test_systemd_is_told_ready_alive_and_stopping_and_nothing_while_the_process_stands_still(
    tmp_path: Path,
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(20)
        process = UpProcess(
            tmp_path / "data",
            environment={"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "1000000"},
        )
        try:
            assert manager.recv(100) == b"READY=1"
            assert [manager.recv(100) for _ in range(3)] == [b"WATCHDOG=1"] * 3
            process.process.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, process.process.pid, os.WSTOPPED | os.WNOWAIT)
            manager.settimeout(0.1)
            with pytest.raises(TimeoutError):
                while True:
                    manager.recv(100)
            manager.settimeout(2)
            with pytest.raises(TimeoutError):
                manager.recv(100)
            manager.settimeout(20)
            process.process.send_signal(signal.SIGCONT)
            assert manager.recv(100) == b"WATCHDOG=1"
            assert process.terminate()[0] == 0
            told = b""
            while told != b"STOPPING=1":
                told = manager.recv(100)
                assert told in {b"WATCHDOG=1", b"STOPPING=1"}
        finally:
            process.close()
