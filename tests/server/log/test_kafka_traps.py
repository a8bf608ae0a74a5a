"""What kafka-python does by itself, on a real broker, and that Leaver does not fall into it.

Each trap is shown on the bare client first: when a newer one no longer has it, its test says so.
docs/decisions/0016-kafka-security.md lists the tests of the other traps.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, overload

import pytest
from kafka import (  # type: ignore[import-untyped]
    ConsumerRebalanceListener,
    KafkaAdminClient,
    KafkaConsumer,
    KafkaProducer,
)
from kafka.admin import ConfigResource, ConfigResourceType  # type: ignore[import-untyped]

from event_schema.kafka_delivery import IN_FLIGHT_BYTES_MAX, PRODUCER_SETTINGS
from event_schema.wire import WireRecord
from server.log.contract import LogUnavailable
from server.log.kafka import CONSUMER_SETTINGS, KafkaLog
from tests.kafka_broker.broker import KafkaBroker
from tests.kafka_broker.secured import SecuredBroker
from tests.server.log.log_contract import read_all, record, sequence_by_agent
from tests.server.log.test_kafka import new_topic
from tests.server.log.test_kafka_outages import Appender, check_nothing_lost
from tests.server.log.test_kafka_secured import as_admin
from tests.server.log.test_kafka_secured import new_topic as new_secured_topic

pytestmark = [pytest.mark.kafka, pytest.mark.long]

MEGABYTE = 1_000_000


class _Again(Sequence[WireRecord]):
    """One record, many times over: it takes memory once."""

    def __init__(self, one: WireRecord, times: int) -> None:
        self._one, self._times = one, times

    @overload
    def __getitem__(self, index: int) -> WireRecord: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[WireRecord]: ...
    def __getitem__(self, index: int | slice) -> WireRecord | Sequence[WireRecord]:
        raise NotImplementedError

    def __len__(self) -> int:
        return self._times

    def __iter__(self) -> Iterator[WireRecord]:
        for _ in range(self._times):
            yield self._one


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def test_send_takes_everything_while_the_broker_hangs_and_append_takes_a_bounded_part(
    kafka_broker: KafkaBroker,
) -> None:
    topic = new_topic(kafka_broker, partitions=1)
    heavy = record("a", 0, size=MEGABYTE)
    log = KafkaLog(kafka_broker.bootstrap, topic, acknowledged_within=2.0)
    log.append([heavy])
    bare = KafkaProducer(**{**PRODUCER_SETTINGS, "bootstrap_servers": kafka_broker.bootstrap})
    bare.send(topic, b"x").get(20)
    kafka_broker.pause()
    try:
        before = resident_bytes()
        for _ in range(100):
            bare.send(topic, heavy.value)
        taken = resident_bytes() - before
        assert taken > 50 * MEGABYTE, "the bare client is bounded now: the bound of ours may be taken out"
        bare._sender.force_close()
        bare.close(timeout=5)

        before, peak, done = resident_bytes(), 0, threading.Event()

        def watch() -> None:
            nonlocal peak
            while not done.wait(0.01):
                peak = max(peak, resident_bytes())

        watching = threading.Thread(target=watch)
        watching.start()
        with pytest.raises(LogUnavailable):
            log.append(_Again(heavy, 1000))
        done.set()
        watching.join()
        assert peak - before < 4 * IN_FLIGHT_BYTES_MAX
    finally:
        kafka_broker.resume()
    log.close()


def test_flush_hides_a_refused_record_and_append_tells_it(kafka_broker: KafkaBroker) -> None:
    topic = new_topic(kafka_broker, partitions=1)
    admin = KafkaAdminClient(bootstrap_servers=kafka_broker.bootstrap)
    small = {"max.message.bytes": "10000"}
    admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, small)])
    admin.close()
    time.sleep(0.5)
    bare = KafkaProducer(**{**PRODUCER_SETTINGS, "bootstrap_servers": kafka_broker.bootstrap})
    future = bare.send(topic, bytes(50_000))
    bare.flush(20)
    assert future.failed(), "flush() came back as if all were well"
    bare.close()
    log = KafkaLog(kafka_broker.bootstrap, topic)
    with pytest.raises(LogUnavailable, match=r"TooLarge|TOO_LARGE"):
        log.append([record("a", 0, size=50_000)])
    log.append([record("a", 1)])
    assert sequence_by_agent(read_all(log, 1)) == {"a": [1]}
    log.close()


class _Failing(ConsumerRebalanceListener):  # type: ignore[misc]
    """Was to place the consumer at 3, as our positions say."""

    def on_partitions_revoked(self, revoked: Any) -> None:
        pass

    def on_partitions_assigned(self, assigned: Any) -> None:
        raise ConnectionError("the database is away")


def test_a_failing_rebalance_listener_is_passed_over_so_the_log_has_none(kafka_broker: KafkaBroker) -> None:
    topic = new_topic(kafka_broker, partitions=1)
    log = KafkaLog(kafka_broker.bootstrap, topic)
    log.append([record("a", number) for number in range(5)])
    bare = KafkaConsumer(
        bootstrap_servers=kafka_broker.bootstrap,
        group_id=f"group-of-{topic}",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    bare.subscribe([topic], listener=_Failing())
    delivered: list[int] = []
    deadline = time.monotonic() + 30
    while not delivered:
        assert time.monotonic() < deadline
        try:
            delivered = [m.offset for found in bare.poll(timeout_ms=500).values() for m in found]
        except Exception as error:  # noqa: BLE001 - whatever the client makes of the listener's error
            assert "the database is away" in f"{error} {error.__cause__}"
    bare.close(autocommit=False)
    assert delivered[0] == 0, "records came although nobody said from where"
    # The log has no group and no listener: its caller says with each read where to go on.
    assert CONSUMER_SETTINGS["group_id"] is None
    assert [logged.offset for logged in log.read({0: 3}, max_records=9, timeout=20)] == [3, 4]
    log.close()


def test_over_tls_a_frozen_broker_ends_in_a_refusal_and_nothing_is_lost(secured_kafka: SecuredBroker) -> None:
    address, credentials = as_admin(secured_kafka, "scram")
    topic = new_secured_topic(secured_kafka)
    log = KafkaLog(address, topic, credentials=lambda: credentials, acknowledged_within=2.0)
    appender = Appender(log)
    appender.start()
    appender.wait_for(50)
    secured_kafka.pause()
    try:
        deadline = time.monotonic() + 30
        while not appender.refused:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    finally:
        secured_kafka.resume()
    appender.wait_for(50)
    appender.finish()
    check_nothing_lost(log, appender)
    log.close()
