"""The Kafka shipper against a real Apache Kafka."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from kafka import KafkaAdminClient  # type: ignore[import-untyped]
from kafka.admin import ConfigResource, ConfigResourceType  # type: ignore[import-untyped]

from agent.backoff import Backoff
from agent.packing import Signer
from agent.shippers.contract import Shipper, ShipRefused, ShipRetry
from agent.shippers.kafka import KafkaShipper
from agent.shipping import Shipping, Way
from agent.spool import Spool
from agent.spool_segment import NewEntry
from event_schema.control_records import Loss, LossReason, decode_loss
from event_schema.wire import RecordKind, WireRecord, unpack_content
from server.log.kafka import KafkaLog
from server.log.kafka_topic import ensure_topic
from tests.agent.shippers.shipper_contract import (
    FarSide,
    ShipperContract,
    events_record,
    healthy,
    ship_until_taken,
)
from tests.kafka_broker.broker import KafkaBroker

pytestmark = pytest.mark.kafka

_numbers = itertools.count()


class KafkaFarSide(FarSide):
    def __init__(self, broker: KafkaBroker) -> None:
        self.broker = broker
        self.agent = "pc-7"
        self.key = Ed25519PrivateKey.generate()
        self.topic = f"shipper-test-{next(_numbers)}"
        ensure_topic(broker.bootstrap, self.topic, partitions=4)
        self._stopped = False

    def shipper(self) -> Shipper:
        quick = {"bootstrap_timeout_ms": 1500}
        return KafkaShipper(
            self.broker.bootstrap, self.topic, acknowledged_within=4.0, further_settings=quick
        )

    def log(self) -> KafkaLog:
        return KafkaLog(self.broker.bootstrap, self.topic)

    def arrived(self) -> list[WireRecord]:
        log = self.log()
        positions, ends = dict(log.first_offsets()), log.end_offsets()
        found: list[WireRecord] = []
        while any(positions[partition] < end for partition, end in ends.items()):
            for logged in log.read(positions, max_records=500, timeout=1.0):
                assert logged.record is not None, logged.fault
                positions[logged.partition] = logged.offset + 1
                found.append(logged.record)
        log.close()
        return [record for record in found if record.agent == self.agent]

    def take_no_more_than(self, message_bytes: int) -> None:
        admin = KafkaAdminClient(bootstrap_servers=self.broker.bootstrap)
        settings = {"max.message.bytes": str(message_bytes)}
        admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, self.topic, settings)])
        admin.close()
        time.sleep(0.5)

    def stop(self) -> None:
        self.broker.kill()
        self._stopped = True

    def start(self) -> None:
        self.broker.restart()
        self._stopped = False

    def close(self) -> None:
        if self._stopped:
            self.start()


@pytest.fixture
def side(kafka_broker: KafkaBroker) -> Iterator[KafkaFarSide]:
    side = KafkaFarSide(kafka_broker)
    yield side
    side.close()


class TestKafkaShipper(ShipperContract):
    @pytest.fixture
    def far_side(self, side: KafkaFarSide) -> Iterator[FarSide]:
        yield side


@pytest.mark.long
def test_an_outage_shorter_than_the_patience_is_ridden_out_without_copies(side: KafkaFarSide) -> None:
    shipper = KafkaShipper(side.broker.bootstrap, side.topic, acknowledged_within=60.0)
    records = [events_record(side, n) for n in range(200)]
    shipper.ship(records[:100])
    side.stop()
    shipping = threading.Thread(target=shipper.ship, args=(records[100:],))
    shipping.start()
    time.sleep(1.0)
    assert shipping.is_alive()
    side.start()
    shipping.join(60)
    assert not shipping.is_alive()
    shipper.close()
    assert side.arrived() == records


@pytest.mark.long
def test_records_given_up_on_in_a_frozen_broker_do_not_come_after_newer_ones(side: KafkaFarSide) -> None:
    shipper = KafkaShipper(side.broker.bootstrap, side.topic, acknowledged_within=2.0)
    shipper.ship([events_record(side, 0)])
    waiting = threading.active_count()
    side.broker.pause()
    try:
        with pytest.raises(ShipRetry):
            shipper.ship([events_record(side, n) for n in range(1, 50)])
        assert threading.active_count() < waiting, "the producer that was given up has no thread left"
    finally:
        side.broker.resume()
    ship_until_taken(shipper, [events_record(side, n) for n in range(1, 60)])
    shipper.ship([events_record(side, 60)])
    time.sleep(2.0)
    numbers = [record.first_seq for record in side.arrived()]
    assert list(dict.fromkeys(numbers)) == list(range(61))
    assert numbers[-1] == 60
    shipper.close()


def test_a_record_that_the_topic_does_not_take_is_refused_as_too_large(side: KafkaFarSide) -> None:
    side.take_no_more_than(10_000)
    shipper = side.shipper()
    with pytest.raises(ShipRefused) as refused:
        shipper.ship([events_record(side, 0, 4, size=30_000)])
    assert refused.value.code == "too_large"
    shipper.ship([events_record(side, 4)])
    assert [record.first_seq for record in side.arrived()] == [4]
    shipper.close()


def test_an_event_that_the_topic_never_takes_becomes_a_loss_and_the_queue_goes_on(
    side: KafkaFarSide, tmp_path: Path
) -> None:
    side.take_no_more_than(10_000)
    spool = Spool(tmp_path / "spool")
    texts = [Random(n).randbytes(30_000 if n == 7 else 50).hex() for n in range(20)]
    spool.append([NewEntry("s", n, f'{{"n":"{text}"}}'.encode()) for n, text in enumerate(texts)])
    shipping = Shipping(
        spool,
        Way(Signer(side.key, side.agent, spool.epoch), side.shipper()),
        lambda _stopping: healthy(spool.stats().next_seq),
        lambda way: way,
        clock=lambda: 1,
        refused=Backoff(0.02, 0.05),
    )
    shipping.start()
    deadline = time.monotonic() + 40
    while spool.acknowledged < 20:
        assert time.monotonic() < deadline, shipping.state()
        time.sleep(0.05)
    assert shipping.finish(10)
    assert spool.stats().lost_events == 1
    spool.close()
    records = [record for record in side.arrived() if record.kind != RecordKind.HEARTBEAT]
    [lost] = [record for record in records if record.kind == RecordKind.LOSS]
    assert decode_loss(unpack_content(lost)) == Loss(
        reason=LossReason.TOO_LARGE, first_seq=7, count=1, first_time=7, last_time=7
    )
    covered = {seq for r in records for seq in range(r.first_seq, r.first_seq + r.count)}
    assert covered == set(range(20))


def test_a_topic_that_does_not_exist_is_retried_later(side: KafkaFarSide) -> None:
    shipper = KafkaShipper(side.broker.bootstrap, "never-made", further_settings={"max_block_ms": 1500})
    began = time.monotonic()
    with pytest.raises(ShipRetry, match="never-made") as retry:
        shipper.ship([events_record(side, 0)])
    assert time.monotonic() - began < 15
    assert retry.value.not_before > 0
    shipper.close()


def test_the_server_and_the_agent_put_an_agents_records_into_the_same_partition(side: KafkaFarSide) -> None:
    shipper, log = side.shipper(), side.log()
    for n in range(0, 10, 2):
        shipper.ship([events_record(side, n)])
        log.append([events_record(side, n + 1)])
    assert [record.first_seq for record in side.arrived()] == list(range(10))
    log.close()
    shipper.close()
