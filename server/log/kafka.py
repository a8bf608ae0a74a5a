"""The log on Apache Kafka. Importing it fails clearly without the wheel's extra [kafka].

Positions live in the server's database: no consumer group, explicit partitions, and no automatic reset
(a lost position must be counted, not papered over). Reading is "uncommitted": a producer that leaves a
transaction open cannot hold the readers up; what proves a record is its signature.

poll() returns nothing both when there is nothing and when the broker is away. So after a while without
records the broker is asked for its end offsets: no answer means LogUnavailable, and records that are
there but do not come make a new consumer.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from event_schema.kafka_delivery import (
    CONNECT_MS,
    MESSAGE_BYTES_MAX,
    PRODUCER_SETTINGS,
    Delivery,
    DeliveryFailed,
    make_client,
)
from event_schema.kafka_headers import TOPIC, HeaderFault, from_kafka
from event_schema.kafka_security import PLAINTEXT, CredentialsUnusable, KafkaCredentials, client_settings
from event_schema.wire import WireRecord
from server.log.contract import LoggedRecord, LogUnavailable, PositionLost

try:
    # Without the C version of crc32c the client is fifty times slower: better no start than that.
    import crc32c  # noqa: F401 - kafka-python uses it when it is there
    from kafka import (  # type: ignore[import-untyped]
        KafkaAdminClient,
        KafkaConsumer,
        KafkaProducer,
        TopicPartition,
    )
    from kafka.errors import KafkaError, LogTruncationError, OffsetOutOfRangeError  # type: ignore[import-untyped]
    from kafka.net.compat import KafkaNetClient  # type: ignore[import-untyped]

    from server.log import kafka_batches
except ImportError as error:
    wheel = "leaver-….whl[server,kafka] (docs/install.md)"
    raise ImportError(f"a log on Kafka needs {wheel}: {error}") from error

ANSWER_MS = 10_000
ACKNOWLEDGED_WITHIN_SECONDS = 30.0
FETCH_BYTES_MAX = 32 << 20
PROBE_MS = 3_000
# So long one wait holds the consumer's lock; other threads' questions get in between.
SLICE_SECONDS = 0.25
SILENCE_SECONDS = 2.0
STALLED_SECONDS = 15.0
LOG_APPEND_TIME = 1

ADMIN_SETTINGS: Mapping[str, Any] = {"bootstrap_timeout_ms": CONNECT_MS, "request_timeout_ms": ANSWER_MS}
CONSUMER_SETTINGS: Mapping[str, Any] = {
    "group_id": None,
    "enable_auto_commit": False,
    "auto_offset_reset": "none",
    "isolation_level": "read_uncommitted",
    "check_crcs": True,
    "allow_auto_create_topics": False,
    "fetch_max_bytes": FETCH_BYTES_MAX,
    "max_partition_fetch_bytes": MESSAGE_BYTES_MAX,
    "receive_message_max_bytes": 2 * FETCH_BYTES_MAX,
    "request_timeout_ms": ANSWER_MS,
    "bootstrap_timeout_ms": CONNECT_MS,
    "reconnect_backoff_max_ms": 1_000,
    "metrics_enabled": False,
}


class KafkaLog:
    """An EventLog on a topic that ensure_topic made. Connects when first used, and again after trouble."""

    def __init__(
        self,
        bootstrap: str,
        topic: str = TOPIC,
        *,
        credentials: Callable[[], KafkaCredentials] = lambda: PLAINTEXT,
        further_settings: Mapping[str, Any] | None = None,
        acknowledged_within: float = ACKNOWLEDGED_WITHIN_SECONDS,
    ) -> None:
        """`credentials` is asked at every connect, so that renewed ones are used."""
        kafka_batches.install()
        self._topic = topic
        self._name = f"topic {topic} on {bootstrap}"
        self._credentials = credentials
        self._further = {**(further_settings or {}), "bootstrap_servers": bootstrap.split(",")}
        self._closed = False
        self._consumer: Any = None
        self._consumer_lock = threading.Lock()
        self._next: dict[int, int] = {}
        self._heard = 0.0
        self._behind_since: float | None = None
        self._delivery = Delivery(
            lambda: self._connect(KafkaProducer, PRODUCER_SETTINGS),
            (KafkaError, CredentialsUnusable),
            topic,
            acknowledged_within=acknowledged_within,
        )
        self._delivery_lock = threading.Lock()

    def partitions(self) -> Sequence[int]:
        with self._connected() as consumer:
            return [tp.partition for tp in self._all_partitions(consumer)]

    def first_offsets(self) -> Mapping[int, int]:
        with self._connected() as consumer:
            found = consumer.beginning_offsets(self._all_partitions(consumer), timeout_ms=ANSWER_MS)
            return {tp.partition: int(offset) for tp, offset in found.items()}

    def end_offsets(self) -> Mapping[int, int]:
        with self._connected() as consumer:
            found = consumer.end_offsets(self._all_partitions(consumer), timeout_ms=ANSWER_MS)
            return {tp.partition: int(offset) for tp, offset in found.items()}

    def append(self, records: Sequence[WireRecord]) -> None:
        self._check_open()
        if not records:
            return
        with self._delivery_lock:
            self._check_open()
            try:
                self._delivery.deliver(records)
            except DeliveryFailed as error:
                raise LogUnavailable(f"{self._name} does not take records: {error}") from error

    def read(self, positions: Mapping[int, int], *, max_records: int, timeout: float) -> list[LoggedRecord]:
        self._check_open()
        if not positions or max_records <= 0:
            return []
        deadline = time.monotonic() + timeout
        while True:
            left = max(0.0, deadline - time.monotonic())
            with self._connected() as consumer:
                self._place(consumer, positions)
                found = self._poll(consumer, positions, max_records, min(left, SLICE_SECONDS))
                if not found and time.monotonic() - self._heard > SILENCE_SECONDS:
                    self._probe(consumer, positions)
            if found or left <= 0:
                return found

    def oldest_from(self, positions: Mapping[int, int]) -> int | None:
        first, end = self.first_offsets(), self.end_offsets()
        starts = {number: max(first[number], positions.get(number, 0)) for number in end}
        waiting = {TopicPartition(self._topic, n): at for n, at in starts.items() if at < end[n]}
        if not waiting:
            return None
        # A consumer of its own: moving the reader's would throw away what it fetched ahead.
        try:
            consumer = self._connect(KafkaConsumer, CONSUMER_SETTINGS)
            try:
                return _oldest(consumer, waiting)
            finally:
                consumer.close(autocommit=False, timeout_ms=1000)
        except (KafkaError, CredentialsUnusable, OSError) as error:
            raise LogUnavailable(f"{self._name} does not answer: {error}") from error

    def trim(self, before: Mapping[int, int]) -> None:
        self._check_open()
        first, end = self.first_offsets(), self.end_offsets()
        targets = {
            TopicPartition(self._topic, partition): min(offset, end[partition])
            for partition, offset in before.items()
            if offset > first[partition]
        }
        if not targets:
            return
        try:
            admin = self._connect(KafkaAdminClient, ADMIN_SETTINGS)
            try:
                admin.delete_records(targets, timeout_ms=ANSWER_MS)
            finally:
                admin.close()
        except (KafkaError, CredentialsUnusable, OSError) as error:
            raise LogUnavailable(f"{self._name} cannot be trimmed: {error}") from error

    def close(self) -> None:
        self._closed = True
        with self._consumer_lock:
            self._drop_consumer()
        self._delivery.interrupt()
        with self._delivery_lock:
            try:
                self._delivery.close()
            except DeliveryFailed as error:
                raise LogUnavailable(f"{self._name}: {error}") from error

    def _connect(self, kind: Callable[..., Any], settings: Mapping[str, Any]) -> Any:
        further = {**client_settings(self._credentials()), **self._further}
        return make_client(kind, KafkaNetClient, {**settings, **further})

    def _check_open(self) -> None:
        if self._closed:
            raise LogUnavailable(f"{self._name} is closed")

    @contextmanager
    def _connected(self) -> Iterator[Any]:
        """The one consumer, for one thread at a time; thrown away when it fails."""
        with self._consumer_lock:
            self._check_open()
            try:
                if self._consumer is None:
                    self._consumer = self._connect(KafkaConsumer, CONSUMER_SETTINGS)
                    self._next = {}
                    self._heard, self._behind_since = time.monotonic(), None
                yield self._consumer
            except LogUnavailable:
                self._drop_consumer()
                raise
            except (KafkaError, CredentialsUnusable, OSError) as error:
                self._drop_consumer()
                raise LogUnavailable(f"{self._name} does not answer: {error}") from error

    def _drop_consumer(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            consumer.close(autocommit=False, timeout_ms=1000)

    def _all_partitions(self, consumer: Any) -> list[Any]:
        numbers = consumer.partitions_for_topic(self._topic)
        if not numbers:
            raise LogUnavailable(f"{self._name} does not exist; `ensure_topic` creates it")
        return [TopicPartition(self._topic, number) for number in sorted(numbers)]

    def _place(self, consumer: Any, positions: Mapping[int, int]) -> None:
        """Makes the consumer go on at exactly these positions; moves only what is elsewhere, since
        moving throws away what was fetched ahead."""
        if positions.keys() != self._next.keys():
            consumer.assign([TopicPartition(self._topic, partition) for partition in positions])
            self._next = dict.fromkeys(positions, -1)
        for partition, offset in positions.items():
            if self._next[partition] != offset:
                consumer.seek(TopicPartition(self._topic, partition), offset)
                self._next[partition] = offset

    def _poll(
        self, consumer: Any, positions: Mapping[int, int], max_records: int, seconds: float
    ) -> list[LoggedRecord]:
        try:
            polled = consumer.poll(timeout_ms=int(seconds * 1000), max_records=max_records)
        except (OffsetOutOfRangeError, LogTruncationError) as error:
            self._next = {}
            raise self._lost(consumer, positions) from error
        found = [self._logged(message) for messages in polled.values() for message in messages]
        for logged in found:
            self._next[logged.partition] = logged.offset + 1
        if found:
            self._heard, self._behind_since = time.monotonic(), None
        return found

    def _lost(self, consumer: Any, positions: Mapping[int, int]) -> PositionLost | LogUnavailable:
        asked = [TopicPartition(self._topic, partition) for partition in positions]
        first = consumer.beginning_offsets(asked, timeout_ms=ANSWER_MS)
        end = consumer.end_offsets(asked, timeout_ms=ANSWER_MS)
        for tp in sorted(asked):
            if not first[tp] <= positions[tp.partition] <= end[tp]:
                return PositionLost(tp.partition, positions[tp.partition], first[tp])
        return LogUnavailable(f"{self._name} was cut back while it was read")

    def _probe(self, consumer: Any, positions: Mapping[int, int]) -> None:
        """Nothing came for a while: is the broker there, and is there really nothing?"""
        asked = [TopicPartition(self._topic, partition) for partition in positions]
        end = consumer.end_offsets(asked, timeout_ms=PROBE_MS)
        now = time.monotonic()
        self._heard = now
        if all(end[tp] <= positions[tp.partition] for tp in asked):
            self._behind_since = None
        elif self._behind_since is None:
            self._behind_since = now
        elif now - self._behind_since > STALLED_SECONDS:
            raise LogUnavailable(f"{self._name} has records that do not come; connecting anew")

    def _logged(self, message: Any) -> LoggedRecord:
        if message.timestamp_type != LOG_APPEND_TIME:
            raise LogUnavailable(f"{self._name} lacks LogAppendTime; `ensure_topic` sets it right")
        record: WireRecord | None = None
        fault: str | None = None
        if isinstance(message.value, kafka_batches.RefusedBatch):
            fault = message.value.reason
        else:
            try:
                record = from_kafka(message.key, message.headers, message.value)
            except HeaderFault as error:
                fault = str(error)
        raw = bytes(message.value or b"")
        return LoggedRecord(message.partition, message.offset, message.timestamp, record, raw, fault)


def _oldest(consumer: Any, waiting: dict[Any, int]) -> int | None:
    """The lowest time of the first records at these positions, as far as they come within PROBE_MS."""
    consumer.assign(list(waiting))
    for partition, offset in waiting.items():
        consumer.seek(partition, offset)
    found: dict[Any, int] = {}
    deadline = time.monotonic() + PROBE_MS / 1000
    while len(found) < len(waiting) and time.monotonic() < deadline:
        for partition, messages in consumer.poll(timeout_ms=100, max_records=len(waiting)).items():
            if messages:
                found.setdefault(partition, int(messages[0].timestamp))
                consumer.pause(partition)
    return min(found.values(), default=None)
