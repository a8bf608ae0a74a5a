"""Which shipper: what the enrolment says, unless the local settings narrow it to HTTPS."""

from __future__ import annotations

from importlib import import_module

from agent.config import ConfigError, ShipperSection
from agent.identity import HttpsLog, Identity, KafkaLog, private_pem
from agent.shippers.contract import Shipper
from agent.shippers.https import HttpsShipper
from event_schema.kafka_security import CredentialsUnusable, KafkaCredentials


class ShipperUnusable(Exception):
    """What the enrolment asks for does not work on this machine. The message says what is missing."""


def make_shipper(identity: Identity, settings: ShipperSection) -> Shipper:
    """Opens no connection. Raises ConfigError, ShipperUnusable, ImportError."""
    log = identity.facts.log
    if settings.kind == "kafka" and isinstance(log, HttpsLog):
        raise ConfigError("shipper.kind is kafka, but this agent was enrolled for https")
    if settings.kind == "https" or isinstance(log, HttpsLog):
        # That it is missing must show at the start, not at the first record.
        import_module("httpx")
        return HttpsShipper(identity, settings)
    return _kafka(identity, log)


def _kafka(identity: Identity, log: KafkaLog) -> Shipper:
    try:
        from agent.shippers.kafka import KafkaShipper  # noqa: PLC0415 - most agents have no Kafka client
    except ImportError as error:
        raise ShipperUnusable(f"this agent was enrolled for kafka: {error}") from error
    credentials = KafkaCredentials(
        log.security,
        ca_pem=log.ca_pem or identity.ca_pem,
        # Brokers know the agent by the certificate that it was enrolled with.
        certificate_pem=identity.certificate_pem,
        key_pem=private_pem(identity.key).decode(),
        user=log.user,
        secret=identity.kafka_secret,
    )
    try:
        return KafkaShipper(",".join(log.bootstrap), log.topic, credentials=credentials)
    except CredentialsUnusable as error:
        raise ShipperUnusable(f"this agent was enrolled for kafka: {error}") from error
