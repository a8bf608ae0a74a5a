"""What every shipper must do, against its real far side. Subclass ShipperContract and give `far_side`."""

from __future__ import annotations

import hashlib
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.shippers.contract import Shipper, ShipRetry
from event_schema.control_records import Heartbeat, Loss, LossReason, encode_control
from event_schema.wire import (
    RECORDS_PER_REQUEST_MAX,
    REQUEST_BYTES_MAX,
    RecordKind,
    WireRecord,
    pack_control,
    pack_events,
    verify_signature,
)

EPOCH = "00112233445566aa"
GIVES_UP_WITHIN_SECONDS = 60.0


class FarSide(ABC):
    """A real server or broker, and an agent that it knows."""

    agent: str
    key: Ed25519PrivateKey

    @abstractmethod
    def shipper(self) -> Shipper:
        """A new one, with short time limits where it has any."""

    @abstractmethod
    def arrived(self) -> list[WireRecord]:
        """Everything durable of this agent, in the log's order."""

    @abstractmethod
    def stop(self) -> None:
        """The far side is away from now on."""

    @abstractmethod
    def start(self) -> None:
        """It is back, with what it had, under the same address."""


def events_record(far: FarSide, first_seq: int, count: int = 1, size: int = 60) -> WireRecord:
    """A signed record; its events are as long as asked for, and do not compress well."""
    events = [f'{{"n":{first_seq + i},"x":"{_noise(first_seq + i, size)}"}}'.encode() for i in range(count)]
    return pack_events(far.key, agent=far.agent, epoch=EPOCH, first_seq=first_seq, events=events)


def _noise(seed: int, size: int) -> str:
    return hashlib.shake_256(str(seed).encode()).hexdigest(size // 2)


def loss_record(far: FarSide, first_seq: int, count: int) -> WireRecord:
    content = encode_control(Loss(reason=LossReason.SPOOL_FULL, first_seq=first_seq, count=count))
    return pack_control(
        far.key,
        agent=far.agent,
        kind=RecordKind.LOSS,
        epoch=EPOCH,
        first_seq=first_seq,
        count=count,
        content=content,
    )


def healthy(next_seq: int) -> Heartbeat:
    return Heartbeat(
        sent_at=1_795_305_600_000,
        version="0",
        next_seq=next_seq,
        backlog_events=0,
        backlog_bytes=0,
        lost_events=0,
        collectors=(),
    )


def heartbeat_record(far: FarSide, next_seq: int) -> WireRecord:
    return pack_control(
        far.key,
        agent=far.agent,
        kind=RecordKind.HEARTBEAT,
        epoch=EPOCH,
        first_seq=next_seq,
        count=0,
        content=encode_control(healthy(next_seq)),
    )


class ShipperContract(ABC):
    """The suite."""

    @pytest.fixture
    @abstractmethod
    def far_side(self) -> Iterator[FarSide]:
        """A running far side of this test's own."""

    @pytest.fixture
    def shipper(self, far_side: FarSide) -> Iterator[Shipper]:
        made = far_side.shipper()
        yield made
        made.close()

    def test_what_ship_returned_for_lies_on_the_far_side_in_order(
        self, far_side: FarSide, shipper: Shipper
    ) -> None:
        first = [events_record(far_side, 0, 200), loss_record(far_side, 200, 50)]
        second = [events_record(far_side, 250, 3), heartbeat_record(far_side, 253)]
        shipper.ship(first)
        assert far_side.arrived() == first
        shipper.ship(second)
        assert far_side.arrived() == first + second
        for record in far_side.arrived():
            verify_signature(record, far_side.key.public_key())

    def test_nothing_to_ship_is_nothing_shipped(self, far_side: FarSide, shipper: Shipper) -> None:
        shipper.ship([])
        assert far_side.arrived() == []

    def test_as_many_records_as_one_call_may_hold_arrive(self, far_side: FarSide, shipper: Shipper) -> None:
        records = [events_record(far_side, n) for n in range(RECORDS_PER_REQUEST_MAX)]
        shipper.ship(records)
        assert far_side.arrived() == records
        with pytest.raises(ValueError, match="1001 records"):
            shipper.ship([*records, events_record(far_side, RECORDS_PER_REQUEST_MAX)])

    def test_records_that_exceed_one_request_in_bytes_arrive_all_the_same(
        self, far_side: FarSide, shipper: Shipper
    ) -> None:
        records = [events_record(far_side, n * 60, 60, size=30_000) for n in range(20)]
        assert sum(len(record.value) for record in records) > REQUEST_BYTES_MAX
        shipper.ship(records)
        assert far_side.arrived() == records

    def test_a_far_side_that_is_away_at_the_start_is_asked_again_later(self, far_side: FarSide) -> None:
        far_side.stop()
        shipper = far_side.shipper()
        record = events_record(far_side, 0)
        began = time.monotonic()
        with pytest.raises(ShipRetry):
            shipper.ship([record])
        assert time.monotonic() - began < GIVES_UP_WITHIN_SECONDS
        far_side.start()
        ship_until_taken(shipper, [record])
        assert record in far_side.arrived()
        shipper.close()

    def test_an_outage_in_between_loses_nothing_and_keeps_the_order(
        self, far_side: FarSide, shipper: Shipper
    ) -> None:
        before, after = events_record(far_side, 0), events_record(far_side, 1)
        shipper.ship([before])
        far_side.stop()
        with pytest.raises(ShipRetry):
            shipper.ship([after])
        far_side.start()
        ship_until_taken(shipper, [after])
        arrived = far_side.arrived()
        assert arrived[0] == before
        assert set(map(_place, arrived)) == {0, 1}
        assert sorted(map(_place, arrived)) == list(map(_place, arrived))

    def test_a_closed_shipper_takes_nothing_and_closes_twice(
        self, far_side: FarSide, shipper: Shipper
    ) -> None:
        shipper.close()
        shipper.close()
        with pytest.raises(ShipRetry):
            shipper.ship([events_record(far_side, 0)])
        assert far_side.arrived() == []

    def test_it_says_where_it_ships_to(self, shipper: Shipper) -> None:
        assert "127.0.0.1" in shipper.describe()


def ship_until_taken(shipper: Shipper, records: list[WireRecord], seconds: float = 60.0) -> None:
    """As the agent does it: again and again."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return shipper.ship(records)
        except ShipRetry:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def _place(record: WireRecord) -> int:
    return record.first_seq
