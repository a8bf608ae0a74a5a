"""Which shipper: what the enrolment says, unless the local settings narrow it to HTTPS."""

from __future__ import annotations

from importlib import import_module

from agent.config import ConfigError, ShipperSection
from agent.identity import HttpsLog, Identity, KafkaLog
from agent.shippers.contract import Shipper
from agent.shippers.https import HttpsShipper


def make_shipper(identity: Identity, settings: ShipperSection) -> Shipper:
    """Opens no connection. Raises ConfigError, ImportError."""
    log = identity.facts.log
    if settings.kind == "kafka" and isinstance(log, HttpsLog):
        raise ConfigError("shipper.kind is kafka, but this agent was enrolled for https")
    if settings.kind == "https" or isinstance(log, HttpsLog):
        # That it is missing must show at the start, not at the first record.
        import_module("httpx")
        return HttpsShipper(identity, settings)
    return _kafka(log)


def _kafka(log: KafkaLog) -> Shipper:
    try:
        from agent.shippers.kafka import KafkaShipper  # noqa: PLC0415 - most agents have no Kafka client
    except ImportError as error:
        raise ConfigError(f"this agent was enrolled for kafka: {error}") from error
    return KafkaShipper(",".join(log.bootstrap), log.topic)
