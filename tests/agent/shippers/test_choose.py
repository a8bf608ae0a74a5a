"""Which way records take: the enrolment decides, local settings can only narrow it to HTTPS."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.config import ConfigError, ShipperSection
from agent.identity import AgentFacts, HttpsLog, Identity, KafkaLog, LogAddress
from agent.shippers.choose import make_shipper

BROKERS = KafkaLog(("broker-1:9092", "broker-2:9092"), "leaver.events")


def identity(log: LogAddress) -> Identity:
    facts = AgentFacts("host-1", "https://siem.example:8443", log, 0, 1)
    return Identity(facts, Ed25519PrivateKey.generate(), "", "")


@pytest.mark.parametrize(
    ("log", "kind", "words"),
    [
        (HttpsLog(), "enrolled", "https to https://siem.example:8443"),
        (HttpsLog(), "https", "https to https://siem.example:8443"),
        (BROKERS, "https", "https to https://siem.example:8443"),
        (BROKERS, "enrolled", "kafka to broker-1:9092,broker-2:9092, topic leaver.events"),
        (BROKERS, "kafka", "kafka to broker-1:9092,broker-2:9092, topic leaver.events"),
    ],
)
def test_the_enrolment_decides_and_settings_narrow_it(log: LogAddress, kind: str, words: str) -> None:
    shipper = make_shipper(identity(log), ShipperSection(kind=kind))  # type: ignore[arg-type]
    assert shipper.describe() == words
    shipper.close()


def test_settings_cannot_send_records_to_a_broker_that_the_enrolment_does_not_name() -> None:
    with pytest.raises(ConfigError, match="enrolled for https"):
        make_shipper(identity(HttpsLog()), ShipperSection(kind="kafka"))
