"""The log on Kafka read with confluent-kafka (librdkafka), to compare kafka-python with. Only for benchmarks:
none of the care of server/log/kafka.py for outages, lost positions and hostile batches.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from event_schema.kafka_headers import from_kafka
from event_schema.wire import WireRecord
from server.log.contract import LoggedRecord, LogUnavailable

ANSWER_SECONDS = 10.0
_FURTHER_SECONDS = 0.01
_ONLY_READS = "the benchmark's log is only read"


class LibrdkafkaLog:
    """An EventLog that only reads."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        # Imported here, so that the other benchmarks do without the package.
        from confluent_kafka import Consumer, TopicPartition  # type: ignore[import-not-found,import-untyped,unused-ignore]  # noqa: PLC0415

        self._place: Any = TopicPartition
        self._topic = topic
        self._consumer: Any = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": "benchmark",
                "enable.auto.commit": False,
                "auto.offset.reset": "error",
                "isolation.level": "read_uncommitted",
                "check.crcs": True,
            }
        )
        self._next: dict[int, int] = {}

    def partitions(self) -> Sequence[int]:
        found = self._consumer.list_topics(self._topic, timeout=ANSWER_SECONDS)
        return sorted(found.topics[self._topic].partitions)

    def first_offsets(self) -> Mapping[int, int]:
        return {number: self._watermarks(number)[0] for number in self.partitions()}

    def end_offsets(self) -> Mapping[int, int]:
        return {number: self._watermarks(number)[1] for number in self.partitions()}

    def read(self, positions: Mapping[int, int], *, max_records: int, timeout: float) -> list[LoggedRecord]:
        if self._next != positions:
            self._consumer.assign([self._place(self._topic, n, offset) for n, offset in positions.items()])
            self._next = dict(positions)
        # It waits until it has all that is asked for: the first one, then what is there beside it.
        messages = self._consumer.consume(1, timeout=max(timeout, _FURTHER_SECONDS))
        if messages and max_records > 1:
            messages += self._consumer.consume(max_records - 1, timeout=_FURTHER_SECONDS)
        found = [self._logged(message) for message in messages]
        for logged in found:
            self._next[logged.partition] = logged.offset + 1
        return found

    def append(self, records: Sequence[WireRecord]) -> None:
        raise LogUnavailable(_ONLY_READS)

    def oldest_from(self, positions: Mapping[int, int]) -> int | None:
        raise LogUnavailable(_ONLY_READS)

    def trim(self, before: Mapping[int, int]) -> None:
        raise LogUnavailable(_ONLY_READS)

    def close(self) -> None:
        self._consumer.close()

    def _watermarks(self, partition: int) -> tuple[int, int]:
        low, high = self._consumer.get_watermark_offsets(
            self._place(self._topic, partition), timeout=ANSWER_SECONDS
        )
        return int(low), int(high)

    def _logged(self, message: Any) -> LoggedRecord:
        if message.error() is not None:
            raise RuntimeError(str(message.error()))
        value = message.value()
        record = from_kafka(message.key(), message.headers(), value)
        at = message.timestamp()[1]
        return LoggedRecord(message.partition(), message.offset(), at, record, value)


def until_all_is_read(log: Any, *, max_records: int, each: Any) -> int:
    """Calls `each` with every batch; how many records there were."""
    positions, ends = dict(log.first_offsets()), log.end_offsets()
    done = 0
    deadline = time.monotonic() + 120
    while any(positions[partition] < end for partition, end in ends.items()):
        if time.monotonic() > deadline:
            raise RuntimeError("the log is not read to its end within two minutes")
        found = log.read(positions, max_records=max_records, timeout=1.0)
        for logged in found:
            positions[logged.partition] = logged.offset + 1
        each(found)
        done += len(found)
    return done
