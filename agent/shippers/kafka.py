"""Ships records straight to a Kafka topic. Importing it fails clearly without the wheel's extra [kafka]."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

from agent.shippers.contract import ShipRefused, ShipRetry
from event_schema.kafka_delivery import PRODUCER_SETTINGS, Delivery, DeliveryFailed, make_client
from event_schema.kafka_headers import TOPIC
from event_schema.kafka_security import PLAINTEXT, KafkaCredentials, client_settings
from event_schema.wire import RECORDS_PER_REQUEST_MAX, WireRecord

try:
    # Without the C version of crc32c the client is fifty times slower: better no start than that.
    import crc32c  # noqa: F401 - kafka-python uses it when it is there
    from kafka import KafkaProducer  # type: ignore[import-untyped]
    from kafka import errors as kafka_errors
    from kafka.net.compat import KafkaNetClient  # type: ignore[import-untyped]
except ImportError as error:
    wheel = "leaver_agent-….whl[kafka] (docs/install.md)"
    raise ImportError(f"shipping to Kafka needs {wheel}: {error}") from error

_log = logging.getLogger(__name__)

ACKNOWLEDGED_WITHIN_SECONDS = 30.0
RETRY_SECONDS = 2.0
IN_FLIGHT_BYTES = 1 << 20
"""What a quota is exceeded by in one go at most: the pause that brokers then ask for stays far below the time
within which records must be acknowledged."""
_UNAUTHORISED = (kafka_errors.AuthorizationError, kafka_errors.SaslAuthenticationFailedError)
# Who may write nowhere is refused when the producer starts, with an error that has no class of its own.
_WRITES_NOWHERE = "ClusterAuthorizationFailedError"
_TOO_LARGE = (kafka_errors.MessageSizeTooLargeError, kafka_errors.RecordListTooLargeError)


class KafkaShipper:
    """A Shipper for the brokers in `bootstrap` ("host:port,host:port")."""

    def __init__(
        self,
        bootstrap: str,
        topic: str = TOPIC,
        *,
        credentials: KafkaCredentials = PLAINTEXT,
        further_settings: Mapping[str, Any] | None = None,
        acknowledged_within: float = ACKNOWLEDGED_WITHIN_SECONDS,
    ) -> None:
        """Raises CredentialsUnusable."""
        self._bootstrap = bootstrap
        self._topic = topic
        self._settings = {
            **PRODUCER_SETTINGS,
            **client_settings(credentials),
            **(further_settings or {}),
            "bootstrap_servers": bootstrap.split(","),
        }
        self._security = "" if credentials.security == "plaintext" else f" ({credentials.security})"
        self._closed = False
        self._throttled_until = 0.0
        self._delivery = Delivery(
            self._connect,
            (kafka_errors.KafkaError,),
            topic,
            acknowledged_within=acknowledged_within,
            in_flight_bytes=IN_FLIGHT_BYTES,
        )

    def _connect(self) -> Any:
        return make_client(KafkaProducer, KafkaNetClient, self._settings, throttled=self._note_throttle)

    def _note_throttle(self, seconds: float) -> None:
        # From the client's thread; a float is set at once.
        self._throttled_until = max(self._throttled_until, time.monotonic() + seconds)

    def ship(self, records: Sequence[WireRecord]) -> None:
        if self._closed:
            raise ShipRetry("the Kafka shipper is closed")
        if len(records) > RECORDS_PER_REQUEST_MAX:
            raise ValueError(f"{len(records)} records in one call, more than {RECORDS_PER_REQUEST_MAX}")
        if not records:
            return
        try:
            self._delivery.deliver(records)
        except DeliveryFailed as failure:
            raise self._verdict(failure) from failure

    def _verdict(self, failure: DeliveryFailed) -> ShipRefused | ShipRetry:
        reason = f"{self.describe()}: {failure}"
        if isinstance(failure.__cause__, _UNAUTHORISED) or _WRITES_NOWHERE in reason:
            return ShipRefused(reason, code="unauthorised")
        if isinstance(failure.__cause__, _TOO_LARGE):
            return ShipRefused(reason, code="too_large")
        return ShipRetry(reason, not_before=RETRY_SECONDS)

    def asked_to_wait(self) -> float:
        return max(0.0, self._throttled_until - time.monotonic())

    def describe(self) -> str:
        return f"kafka to {self._bootstrap}{self._security}, topic {self._topic}"

    def close(self) -> None:
        self._closed = True
        try:
            self._delivery.close()
        except DeliveryFailed as failure:
            _log.warning("%s: %s", self.describe(), failure)
