"""Getting records onto a Kafka topic for certain: the same care for the agent and for the server.

What kafka-python's producer does by itself is not enough (measured, 3.0.12):
- with a finite delivery timeout it stays wedged for ever after an outage longer than that, so the
  timeout is the largest there is, and a record that is not acknowledged in time throws the producer away;
- close() first flushes: while records are stuck it raises and leaves a thread behind that sends them
  later, out of order; so the sender is told to give up before;
- flush() hides what became of single records, so each record's own answer is waited for;
- its buffer has no bound, so no more than IN_FLIGHT_BYTES_MAX are handed to it at a time;
- a constructor that finds no broker leaves a thread and ten file descriptors behind, and does not say
  what was wrong (make_client);
- an answer that comes together with the end of the connection is thrown away (_keep_last_answers).

This module does not import the client: who uses it gives a function that makes the producer.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from event_schema.kafka_headers import to_kafka
from event_schema.wire import VALUE_BYTES_MAX, WireRecord

IN_FLIGHT_BYTES_MAX = 8 << 20
# A record may be a little larger than its value: key, headers, framing.
MESSAGE_BYTES_MAX = 2 * VALUE_BYTES_MAX
CONNECT_MS = 5_000
CLOSE_SECONDS = 5.0
REASONS_MAX = 100
REFUSAL = 2

PRODUCER_SETTINGS: Mapping[str, Any] = {
    "acks": "all",
    "enable_idempotence": True,
    "delivery_timeout_ms": 2**31 - 1,
    "request_timeout_ms": 10_000,
    "max_block_ms": CONNECT_MS,
    "bootstrap_timeout_ms": CONNECT_MS,
    "reconnect_backoff_max_ms": 1_000,
    # Values are zstd frames already, and readers refuse compressed batches: they could be bombs.
    "compression_type": None,
    "batch_size": 256 << 10,
    "max_request_size": MESSAGE_BYTES_MAX,
    "allow_auto_create_topics": False,
    "metrics_enabled": False,
}


def make_client(
    kind: Callable[..., Any],
    network: Callable[..., Any],
    settings: Mapping[str, Any],
    *,
    throttled: Callable[[float], None] | None = None,
) -> Any:
    """A client of the class `kind`. `network` is the client's KafkaNetClient: when the constructor fails,
    its thread and sockets are given back, and the error says why no connection came about. The client
    itself only says that time was up, be it a wrong password or a certificate that does not fit.

    `throttled` is told, from the client's thread, when a broker asks for a pause of so many seconds."""
    networks: list[Any] = []
    reasons: list[Exception] = []

    def make_network(**configs: Any) -> Any:
        networks.append(network(**configs))
        _note_failures(networks[-1]._manager, reasons)
        _keep_last_answers(networks[-1]._manager)
        if throttled is not None:
            _tell_throttles(networks[-1]._manager, throttled)
        return networks[-1]

    try:
        return kind(**settings, kafka_client=make_network)
    except BaseException as error:
        for made in networks:
            made.close()
        if reasons and isinstance(error, Exception):
            raise max(reasons, key=_tells) from error
        raise


def _tells(reason: Exception) -> int:
    """How much a reason says: a refusal more than a lack of trust, and that more than silence."""
    if not getattr(reason, "retriable", True):
        return REFUSAL
    return 1 if "SSL" in str(reason) else 0


def _note_failures(manager: Any, reasons: list[Exception]) -> None:
    """Puts into `reasons` what ended a connection before it was ready. Nothing else of the client tells."""
    connect = manager.get_connection

    def note(reason: Exception) -> None:
        if len(reasons) < REASONS_MAX:
            reasons.append(reason)

    def get_connection(*arguments: Any, **options: Any) -> Any:
        if reasons and _tells(reasons[-1]) == REFUSAL and not manager.bootstrapped:
            # Asking again until time is up would not help, and brokers are slow to answer who was refused.
            raise reasons[-1]
        connection = connect(*arguments, **options)
        if not connection.init_future.is_done:
            connection.init_future.add_errback(note)
        return connection

    manager.get_connection = get_connection


def _tell_throttles(manager: Any, throttled: Callable[[float], None]) -> None:
    """The client obeys a quota by itself, and tells only its log."""
    connect = manager.get_connection

    def get_connection(*arguments: Any, **options: Any) -> Any:
        connection = connect(*arguments, **options)
        if "_maybe_throttle" not in vars(connection):
            obey = connection._maybe_throttle

            def tell(response: Any) -> None:
                obey(response)
                milliseconds = getattr(response, "throttle_time_ms", 0)
                if milliseconds:
                    throttled(milliseconds / 1000)

            connection._maybe_throttle = tell
        return connection

    manager.get_connection = get_connection


def _keep_last_answers(manager: Any) -> None:
    """What came together with the end of a connection is read, too: the client would throw away the answer
    that a password is wrong, and say "disconnected"."""
    build = manager._build_transport

    async def build_transport(*arguments: Any, **options: Any) -> Any:
        transport = await build(*arguments, **options)
        receive = transport._sock_recv

        def receive_all() -> tuple[bytes, Exception | None]:
            data, error = receive()
            # The end shows again at the next read.
            return data, None if data else error

        transport._sock_recv = receive_all
        return transport

    manager._build_transport = build_transport


class DeliveryFailed(Exception):
    """Not every record was acknowledged; none, some or all may have arrived. `__cause__` says why."""


class Delivery:
    """Sends records in order and returns when all in-sync replicas have each. One thread at a time.

    `connect` makes a KafkaProducer with PRODUCER_SETTINGS; `errors` are what it and the client raise
    when records cannot be sent now.
    After a failure the producer is thrown away; the next call makes another.
    """

    def __init__(
        self,
        connect: Callable[[], Any],
        errors: tuple[type[Exception], ...],
        topic: str,
        *,
        acknowledged_within: float,
        in_flight_bytes: int = IN_FLIGHT_BYTES_MAX,
    ) -> None:
        self._connect = connect
        self._errors: tuple[type[Exception], ...] = (*errors, OSError)
        self._topic = topic
        self._acknowledged_within = acknowledged_within
        self._in_flight_bytes = in_flight_bytes
        self._producer: Any = None

    def deliver(self, records: Sequence[WireRecord]) -> None:
        """Raises DeliveryFailed when a record is refused, or not acknowledged in time after it was sent."""
        unacknowledged: deque[tuple[Any, float, int]] = deque()
        in_flight = 0
        try:
            if self._producer is None:
                self._producer = self._connect()
            for record in records:
                key, headers, value = to_kafka(record)
                while unacknowledged and in_flight + len(value) > self._in_flight_bytes:
                    in_flight -= self._wait_for_oldest(unacknowledged)
                future = self._producer.send(self._topic, key=key, value=value, headers=headers)
                unacknowledged.append((future, time.monotonic() + self._acknowledged_within, len(value)))
                in_flight += len(value)
            while unacknowledged:
                self._wait_for_oldest(unacknowledged)
        except self._errors as error:
            self.close()
            raise DeliveryFailed(str(error)) from error

    def _wait_for_oldest(self, unacknowledged: deque[tuple[Any, float, int]]) -> int:
        future, deadline, size = unacknowledged.popleft()
        future.get(timeout=max(0.0, deadline - time.monotonic()))
        return size

    def interrupt(self) -> None:
        """From another thread: a deliver() that is waiting for acknowledgements fails now."""
        producer = self._producer
        if producer is not None:
            producer._sender.force_close()

    def close(self) -> None:
        """Gives up what is not acknowledged. May be called twice; deliver() connects again."""
        producer, self._producer = self._producer, None
        if producer is None:
            return
        # No public way makes the sender drop what it still holds.
        producer._sender.force_close()
        producer._sender.join(CLOSE_SECONDS)
        try:
            producer.close(timeout=CLOSE_SECONDS)
        except self._errors as error:
            raise DeliveryFailed(f"the Kafka producer does not end: {error}") from error
