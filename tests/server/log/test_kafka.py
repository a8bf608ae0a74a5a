"""The log on a real Apache Kafka: the contract, and the traps of client and broker."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from kafka import KafkaProducer  # type: ignore[import-untyped]

from event_schema.kafka_headers import to_kafka
from server.log.contract import EventLog
from server.log.kafka import KafkaLog
from server.log.kafka_topic import ensure_topic
from tests.kafka_broker.broker import KafkaBroker
from tests.server.log.log_contract import LogContract, LogHarness, record

pytestmark = pytest.mark.kafka

REPOSITORY = Path(__file__).parents[3]
_topic_numbers = itertools.count()


def new_topic(broker: KafkaBroker, partitions: int = 4) -> str:
    topic = f"log-test-{next(_topic_numbers)}"
    assert ensure_topic(broker.bootstrap, topic, partitions=partitions)
    return topic


class KafkaHarness:
    def __init__(self, broker: KafkaBroker) -> None:
        self.broker = broker
        self.topic = new_topic(broker)
        self._opened: list[KafkaLog] = []

    def open(self) -> EventLog:
        self._opened.append(KafkaLog(self.broker.bootstrap, self.topic))
        return self._opened[-1]

    def put_garbage(self) -> Sequence[str]:
        key, headers, value = to_kafka(record("a", 7))
        bad_utf8 = [("signature", b"x"), ("kind", b"\xff\xfe"), *headers[:1], *headers[2:5]]
        garbage = [
            (None, [], b"no headers at all", "header schema is missing"),
            (key, headers[:-1], value, "header signature is missing"),
            (key, [*headers, ("count", b"1")], value, "header count is there twice"),
            (
                key,
                [(n, b"-1" if n == "first_seq" else v) for n, v in headers],
                value,
                "header first_seq is no",
            ),
            (key, bad_utf8, value, "header kind is not ASCII"),
            ("ключ".encode(), headers, value, "key is not ASCII"),
            (None, headers, value, "key is empty"),
            (key, headers, b"x" * 1_500_000, "value is 1500000 bytes, more than 1048576"),
            (key, headers, None, "there is no value"),
        ]
        producer = KafkaProducer(bootstrap_servers=self.broker.bootstrap, max_request_size=2_000_000)
        for key_bytes, headers_, value_bytes, _ in garbage:
            producer.send(self.topic, key=key_bytes, headers=headers_, value=value_bytes).get(20)
        producer.close()
        return [pattern for *_, pattern in garbage]

    def restart(self) -> None:
        self.broker.kill()
        self.broker.restart()

    def close(self) -> None:
        for log in self._opened:
            log.close()


class TestKafkaLogContract(LogContract):
    @pytest.fixture
    def harness(self, kafka_broker: KafkaBroker) -> Iterator[LogHarness]:
        harness = KafkaHarness(kafka_broker)
        yield harness
        harness.close()
