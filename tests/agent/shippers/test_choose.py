"""Which way records take: the enrolment decides, local settings can only narrow it to HTTPS."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.config import ConfigError, ShipperSection
from agent.identity import AgentFacts, HttpsLog, Identity, KafkaLog, LogAddress, adopt_pending, pending_key
from agent.shippers.choose import ShipperUnusable, make_shipper
from server.pki.authority import certificate_pem, create_authority

REPOSITORY = Path(__file__).parents[3]
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


@pytest.mark.parametrize("security", ["mtls", "scram"])
def test_an_agent_speaks_to_brokers_as_it_was_enrolled_and_not_in_the_clear(security: str) -> None:
    now = time.time_ns() // 1_000_000
    authority, key = create_authority("test", now=now), Ed25519PrivateKey.generate()
    log = msgspec.structs.replace(BROKERS, security=security, user="leaver-agent.host-1")
    certificate = certificate_pem(authority.sign_agent(key.public_key(), "host-1", now=now)).decode()
    ca_pem = authority.certificate_pem.decode()
    facts = identity(log).facts
    whole = Identity(facts, key, certificate, ca_pem, "hunter2")
    shipper = make_shipper(whole, ShipperSection())
    assert shipper.describe() == f"kafka to broker-1:9092,broker-2:9092 ({security}), topic leaver.events"
    shipper.close()
    assert "hunter2" not in repr(whole)
    with pytest.raises(ShipperUnusable, match="the CA's certificate"):
        make_shipper(msgspec.structs.replace(whole, ca_pem=""), ShipperSection())
    lacking = {"mtls": {"certificate_pem": ""}, "scram": {"kafka_secret": ""}}[security]
    with pytest.raises(ShipperUnusable, match=r"certificate and key|user or password"):
        make_shipper(msgspec.structs.replace(whole, **lacking), ShipperSection())


@pytest.mark.parametrize("missing", ["crc32c", "kafka"])
def test_leaver_agent_run_does_not_start_with_an_incomplete_client(missing: str, tmp_path: Path) -> None:
    pending_key(tmp_path / "state")
    adopt_pending(tmp_path / "state", identity(BROKERS).facts, certificate_pem="", ca_pem="")
    config = tmp_path / "agent.toml"
    config.write_text(f'[agent]\nstate_dir = "{tmp_path / "state"}"\n')
    start = f"from agent.command_line import main; main(['run', '--config', {str(config)!r}])"
    code = f"import sys; sys.modules[{missing!r}] = None; {start}"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert "leaver-agent: this agent was enrolled for kafka: shipping to Kafka needs" in done.stderr
    assert missing in done.stderr
