"""`leaver up` on a real Kafka: it makes the topic, tells agents where it is, works off what lies there."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.kafka_broker.broker import KafkaBroker
from tests.server.pipeline.endpoint import copied_file
from tests.server.up.conftest import Start
from tests.server.up.enrolled_agent import EnrolledAgent
from tests.server.up.up_process import leaver, leaver_json

TOPIC = "leaver.events.up"


@pytest.mark.kafka
def test_events_go_over_the_broker_and_agents_are_told_where_it_is(
    tmp_path: Path, kafka_broker: KafkaBroker, start: Start
) -> None:
    (tmp_path / "server.toml").write_text(
        f'[listen]\naddress = "127.0.0.1:0"\n'
        f'[log]\nkind = "kafka"\nbootstrap = ["{kafka_broker.bootstrap}"]\n'
        f'topic = "{TOPIC}"\npartitions = 4\n'
    )
    up = start(tmp_path)
    assert up.said("log") == f"kafka, {TOPIC} at {kafka_broker.bootstrap}"
    with up.client() as client:
        assert client.get("/healthz").status_code == 200
        agent = EnrolledAgent(client, up.data, "desk-17")
        assert agent.log == {"kind": "kafka", "bootstrap": [kafka_broker.bootstrap], "topic": TOPIC}
        now = time.time_ns() // 1_000_000
        assert agent.send_events([copied_file(now)] * 20).status_code == 200
        deadline = time.monotonic() + 30
        while (status := leaver_json("status", data=up.data))["events_stored"] < 20:
            assert time.monotonic() < deadline, status
        assert (status["log"]["partitions"], status["log"]["lag"]) == (4, 0)
        assert status["dead_letters"] == {}
    code, seconds = up.terminate()
    assert (code, seconds < 5) == (0, True), (code, seconds)


def test_a_broker_that_is_away_at_the_start_is_said(tmp_path: Path) -> None:
    (tmp_path / "server.toml").write_text('[log]\nkind = "kafka"\nbootstrap = ["127.0.0.1:1"]\n')
    refused = leaver("up", data=tmp_path)
    assert refused.returncode == 1
    assert "127.0.0.1:1" in refused.stderr
