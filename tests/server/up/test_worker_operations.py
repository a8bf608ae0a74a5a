"""What operators see of `leaver worker`: /metrics, /healthz, /readyz, systemd, and status over several."""

from __future__ import annotations

import random
import signal
import socket
import time
from pathlib import Path

import httpx
import pytest
from kafka import KafkaProducer  # type: ignore[import-untyped]

from server.metrics.table import COUNTED, LOOP_METRICS, PROCESS, WORKER
from tests.server.pipeline.company import PARTITIONS, prepare, records_by_endpoint
from tests.server.up.scraping import families, samples, scrape
from tests.server.up.test_worker_processes import Plant, plant, until
from tests.server.up.up_process import leaver, leaver_json

pytestmark = [pytest.mark.kafka, pytest.mark.databases("postgresql"), pytest.mark.long]
TOKEN = "only-for-metrics-0123456789"
__all__ = ["plant"]


def _give_token(plant: Plant) -> None:
    token = plant.data / "metrics.token"
    token.write_text(TOKEN)
    with (plant.data / "server.toml").open("a", encoding="utf-8") as settings:
        settings.write(f'[metrics]\ntoken_file = "{token}"\n')


def test_a_worker_tells_how_it_is_over_http_and_to_systemd(plant: Plant, tmp_path: Path) -> None:
    _give_token(plant)
    by_endpoint = records_by_endpoint(random.Random(4), 12)
    prepare(plant.company, by_endpoint)
    records = [record for each in by_endpoint.values() for record in each]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(30)
        environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "1000000"}
        worker = plant.start("one", "--listen", "127.0.0.1:0", environment=environment)
        url = worker.listening()
        assert manager.recv(100) == b"READY=1"
        assert [manager.recv(100) for _ in range(2)] == [b"WATCHDOG=1"] * 2
        plant.wait_for_shares("one")
        plant.company.log.append(records)
        plant.wait_for_all()
        with httpx.Client(base_url=url, trust_env=False, timeout=20) as client:
            for place in ("/healthz", "/readyz"):
                assert (client.get(place).status_code, client.get(place).json()) == (200, {"status": "ok"})
            assert client.get("/metrics").status_code == 401
            assert client.get("/v1/status").status_code == 404
            text = scrape(client, TOKEN)
        found, told = samples(text), families(text)
        assert told.keys() == {m.name for m in (*COUNTED, *LOOP_METRICS, *WORKER, *PROCESS)}
        assert found["leaver_records_total", ()] == len(records)
        assert found["leaver_partitions_held", ()] == PARTITIONS
        up = {labels: value for (name, labels), value in found.items() if name == "leaver_loop_up"}
        assert up == {(("loop", "http"),): 1, (("loop", "pipeline"),): 1}
        # Whatever stands still is not alive.
        worker.send(signal.SIGSTOP)
        manager.settimeout(0.1)
        with pytest.raises(TimeoutError):
            while True:
                manager.recv(100)
        manager.settimeout(1.5)
        with pytest.raises(TimeoutError):
            manager.recv(100)
        manager.settimeout(30)
        assert worker.end() == 0
        words = b""
        while words != b"STOPPING=1":
            words = manager.recv(100)


def test_status_adds_up_over_several_workers(plant: Plant) -> None:
    by_endpoint = records_by_endpoint(random.Random(5), 12)
    prepare(plant.company, by_endpoint)
    records = [record for each in by_endpoint.values() for record in each]
    workers = [plant.start(name) for name in ("one", "two")]
    plant.wait_for_shares("one", "two")
    garbage = KafkaProducer(bootstrap_servers=plant.company.broker.bootstrap)
    for partition in range(PARTITIONS):
        garbage.send(plant.company.topic, b"no record", partition=partition).get(20)
    garbage.close()
    plant.company.log.append(records[: len(records) // 2])
    plant.wait_for_all()
    calm = leaver_json("status", data=plant.data)
    assert (calm["log"]["lag"], calm["log"]["oldest_waiting_at"]) == (0, None)
    assert calm["log"]["committed"] == calm["log"]["end"] == len(records) // 2 + PARTITIONS
    assert sum(calm["dead_letters"].values()) == PARTITIONS
    assert sum(row["batches"] for row in calm["workers"]) >= 2
    assert calm["storage"]["database"] > 0
    assert calm["storage"]["log"] is None

    for worker in workers:
        worker.send(signal.SIGSTOP)
    before = int(time.time() * 1000)
    rest = records[len(records) // 2 :]
    plant.company.log.append(rest)
    time.sleep(1.2)
    behind = leaver_json("status", data=plant.data)
    assert behind["log"]["lag"] == len(rest)
    assert abs(behind["log"]["oldest_waiting_at"] - before) < 1000
    shown = leaver("status", data=plant.data).stdout
    assert f"log           kafka, {len(rest)} records wait, the oldest for" in shown
    for worker in workers:
        worker.send(signal.SIGCONT)
    until("all is stored", lambda: plant.lag() == 0)
    after = leaver_json("status", data=plant.data)
    stored = sum(record.count for record in records if record.kind == "events")
    assert after["events_stored"] == stored
    assert [row["name"] for row in after["workers"]] == ["one", "two"]
    for worker in workers:
        assert worker.end() == 0


@pytest.mark.parametrize("address", ["0.0.0.0:9471", "worker.example:9471", "127.0.0.1"])
def test_a_listener_that_others_could_hear_is_refused(plant: Plant, address: str) -> None:
    done = leaver("worker", "--listen", address, data=plant.data)
    assert done.returncode == 2
    assert "--listen" in done.stderr
