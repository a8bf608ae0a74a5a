"""The log on Kafka while the broker is killed, frozen, restarted or not there at all."""

from __future__ import annotations

import gc
import itertools
import logging
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.log.contract import LogUnavailable
from server.log.kafka import KafkaLog
from tests.kafka_broker.broker import KafkaBroker
from tests.server.log.log_contract import read_all, record, sequence_by_agent
from tests.server.log.test_kafka import new_topic

pytestmark = [pytest.mark.kafka, pytest.mark.long]


@pytest.fixture
def log(kafka_broker: KafkaBroker) -> Iterator[KafkaLog]:
    topic = new_topic(kafka_broker)
    quick = {"bootstrap_timeout_ms": 1500}
    log = KafkaLog(kafka_broker.bootstrap, topic, acknowledged_within=3.0, further_settings=quick)
    yield log
    log.close()


class Appender(threading.Thread):
    """Appends numbered records, two agents in turn, each again until the log has it."""

    def __init__(self, log: KafkaLog) -> None:
        super().__init__()
        self._log = log
        self._stop_after: int | None = None
        self.appended = 0
        self.refused = 0

    def run(self) -> None:
        for number in itertools.count():
            while True:
                try:
                    self._log.append([record("a", number), record("b", number)])
                    break
                except LogUnavailable:
                    self.refused += 1
                    time.sleep(0.1)
            self.appended = number + 1
            if self._stop_after is not None and number >= self._stop_after:
                return

    def wait_for(self, more: int, seconds: float = 60.0) -> None:
        goal, deadline = self.appended + more, time.monotonic() + seconds
        while self.appended < goal:
            assert time.monotonic() < deadline, f"only {self.appended} of {goal} appended"
            time.sleep(0.02)

    def finish(self) -> None:
        self._stop_after = self.appended
        self.join(60)
        assert not self.is_alive()


def without_copies(numbers: list[int]) -> list[int]:
    return list(dict.fromkeys(numbers))


def check_nothing_lost(log: KafkaLog, appender: Appender) -> None:
    found = read_all(log, sum(log.end_offsets().values()) - sum(log.first_offsets().values()))
    by_agent = sequence_by_agent(found)
    for agent in ("a", "b"):
        assert without_copies(by_agent[agent]) == list(range(appender.appended))


def test_a_broker_killed_in_mid_append_loses_nothing(kafka_broker: KafkaBroker, log: KafkaLog) -> None:
    appender = Appender(log)
    appender.start()
    appender.wait_for(50)
    for _ in range(2):
        kafka_broker.kill()
        time.sleep(0.5)
        kafka_broker.restart()
        appender.wait_for(50)
    appender.finish()
    check_nothing_lost(log, appender)


def test_an_outage_longer_than_the_patience_ends_in_a_refusal_and_a_new_producer(
    kafka_broker: KafkaBroker, log: KafkaLog
) -> None:
    appender = Appender(log)
    appender.start()
    appender.wait_for(50)
    kafka_broker.pause()
    try:
        time.sleep(10)
    finally:
        kafka_broker.resume()
    assert appender.refused >= 1
    appender.wait_for(50)
    appender.finish()
    check_nothing_lost(log, appender)


@pytest.mark.parametrize("frozen", [False, True], ids=["killed", "frozen"])
def test_reading_says_that_the_broker_is_away_and_goes_on_when_it_is_back(
    kafka_broker: KafkaBroker, log: KafkaLog, frozen: bool
) -> None:
    log.append([record("a", number) for number in range(5)])
    found = read_all(log, 5)
    positions = dict(log.end_offsets())
    if frozen:
        kafka_broker.pause()
    else:
        kafka_broker.kill()
    try:
        started = time.monotonic()
        with pytest.raises(LogUnavailable, match="does not answer"):
            while time.monotonic() - started < 30:
                assert log.read(positions, max_records=10, timeout=0.5) == []
        assert time.monotonic() - started < 15
        with pytest.raises(LogUnavailable):
            log.end_offsets()
    finally:
        if frozen:
            kafka_broker.resume()
        else:
            kafka_broker.restart()
    deadline = time.monotonic() + 30
    while True:
        try:
            log.append([record("a", 5)])
            last = read_all(log, 1, positions=positions)
            break
        except LogUnavailable:
            assert time.monotonic() < deadline
    assert sequence_by_agent(found + last)["a"][:6] == [0, 1, 2, 3, 4, 5]


def test_closing_does_not_wait_for_an_append_that_gets_no_answer(kafka_broker: KafkaBroker) -> None:
    log = KafkaLog(kafka_broker.bootstrap, new_topic(kafka_broker), acknowledged_within=60.0)
    log.append([record("a", 0)])
    refusals: list[LogUnavailable] = []

    def append() -> None:
        try:
            log.append([record("a", 1)])
        except LogUnavailable as refusal:
            refusals.append(refusal)

    kafka_broker.pause()
    try:
        thread = threading.Thread(target=append)
        thread.start()
        time.sleep(0.5)
        started = time.monotonic()
        log.close()
        assert time.monotonic() - started < 10
        thread.join(10)
        assert not thread.is_alive()
        assert len(refusals) == 1
    finally:
        kafka_broker.resume()


def test_without_a_broker_every_call_fails_in_bounded_time_and_leaks_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Captured log lines would keep the client's exceptions, and with them its sockets.
    monkeypatch.setattr(logging.getLogger("kafka"), "propagate", False)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
        log = KafkaLog(address, "nowhere", further_settings={"bootstrap_timeout_ms": 1000})
        counts = []
        for _ in range(3):
            started = time.monotonic()
            with pytest.raises(LogUnavailable, match="does not take records"):
                log.append([record("a", 0)])
            with pytest.raises(LogUnavailable, match="does not answer"):
                log.read({0: 0}, max_records=1, timeout=0.1)
            assert time.monotonic() - started < 8
            gc.collect()
            counts.append((threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))))
        log.close()
    threads, files = zip(*counts, strict=True)
    assert threads[2] <= threads[0]
    assert files[2] <= files[0]
