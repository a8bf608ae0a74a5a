"""The log on an Apache Kafka that asks everybody who they are, by certificate or by password."""

from __future__ import annotations

import itertools
import socket
import ssl
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import pytest
from kafka import KafkaProducer  # type: ignore[import-untyped]
from kafka.errors import KafkaTimeoutError  # type: ignore[import-untyped]

from event_schema.kafka_security import KafkaCredentials, client_settings
from server.log.contract import LogUnavailable
from server.log.kafka import KafkaLog
from server.log.kafka_topic import TopicPlan, check_topic, ensure_topic, topic_settings
from server.pki.authority import certificate_pem, create_authority, new_key, private_pem
from tests.kafka_broker.broker import KafkaBroker
from tests.kafka_broker.secured import SecuredBroker
from tests.server.log.log_contract import read_all, record, sequence_by_agent

pytestmark = [pytest.mark.kafka, pytest.mark.long]

QUICK = {"bootstrap_timeout_ms": 1500}
_numbers = itertools.count()


def as_admin(broker: SecuredBroker, security: str) -> tuple[str, KafkaCredentials]:
    """Address and credentials of somebody who may do everything."""
    if security == "mtls":
        return broker.mtls, broker.service_credentials("setup")
    return broker.scram, broker.admin_by_password()


def new_topic(broker: SecuredBroker) -> str:
    topic = f"secured-{next(_numbers)}"
    address, credentials = as_admin(broker, "mtls")
    assert ensure_topic(address, topic, partitions=2, credentials=credentials)
    return topic


@pytest.mark.parametrize("security", ["mtls", "scram"])
def test_records_are_appended_read_and_trimmed_by_who_may(
    secured_kafka: SecuredBroker, security: str
) -> None:
    address, credentials = as_admin(secured_kafka, security)
    log = KafkaLog(address, new_topic(secured_kafka), credentials=lambda: credentials)
    log.append([record("a", number) for number in range(300)])
    found = read_all(log, 300)
    assert sequence_by_agent(found) == {"a": list(range(300))}
    log.trim(log.end_offsets())
    assert log.first_offsets() == log.end_offsets()
    log.close()


def test_why_no_connection_came_about_is_told(secured_kafka: SecuredBroker) -> None:
    topic = new_topic(secured_kafka)
    good = secured_kafka.admin_by_password()
    stranger = create_authority("other", now=secured_kafka.now())
    by_name = secured_kafka.scram.replace("127.0.0.1", socket.gethostname())
    wrong = {
        "Authentication failed": (secured_kafka.scram, msgspec.structs.replace(good, secret="hunter2")),
        "self-signed certificate": (
            secured_kafka.scram,
            msgspec.structs.replace(good, ca_pem=stranger.certificate_pem.decode()),
        ),
        "Hostname mismatch": (by_name, good),
        "bad certificate": (secured_kafka.mtls, good),
        "CA's certificate for the Kafka broker": (
            secured_kafka.mtls,
            msgspec.structs.replace(good, ca_pem=""),
        ),
    }
    for words, (address, credentials) in wrong.items():
        log = KafkaLog(address, topic, credentials=lambda shown=credentials: shown, further_settings=QUICK)  # type: ignore[misc]
        with pytest.raises(LogUnavailable, match=words) as refused:
            log.end_offsets()
        assert "hunter2" not in str(refused.value)
        log.close()


def test_a_broker_that_speaks_in_the_clear_or_an_old_tls_gets_no_password(
    secured_kafka: SecuredBroker, kafka_broker: KafkaBroker
) -> None:
    credentials = secured_kafka.admin_by_password()
    with old_tls_server(secured_kafka) as (address, received):
        for place in (kafka_broker.bootstrap, address):
            log = KafkaLog(place, "any", credentials=lambda: credentials, further_settings=QUICK)
            with pytest.raises(LogUnavailable):
                log.end_offsets()
            log.close()
        assert set(received) == {"no handshake"}


@contextmanager
def old_tls_server(broker: SecuredBroker) -> Iterator[tuple[str, list[str]]]:
    """Has a certificate of the right CA, and speaks no newer TLS than 1.1."""
    key = new_key()
    certificate = broker.authority.sign_service(key.public_key(), "b", ["127.0.0.1"], now=broker.now())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with tempfile.NamedTemporaryFile() as pem:
        pem.write(certificate_pem(certificate) + private_pem(key))
        pem.flush()
        context.load_cert_chain(pem.name)
    received: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.settimeout(5)
                    try:
                        with context.wrap_socket(connection, server_side=True) as secured:
                            received.append(f"{secured.version()}: {secured.recv(1000)!r}")
                    except OSError:
                        received.append("no handshake")

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}", received
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(10)


def test_the_bare_client_only_says_that_time_was_up(secured_kafka: SecuredBroker) -> None:
    wrong = client_settings(msgspec.structs.replace(secured_kafka.admin_by_password(), secret="hunter2"))
    with pytest.raises(KafkaTimeoutError) as raised:
        KafkaProducer(bootstrap_servers=secured_kafka.scram, **wrong, **QUICK)
    assert "uthentication" not in str(raised.value)


def test_renewed_credentials_are_used_at_the_next_connection(secured_kafka: SecuredBroker) -> None:
    topic = new_topic(secured_kafka)
    address, good = as_admin(secured_kafka, "scram")
    shown = [msgspec.structs.replace(good, secret="old")]
    log = KafkaLog(address, topic, credentials=lambda: shown[-1], further_settings=QUICK)
    with pytest.raises(LogUnavailable, match="Authentication failed"):
        log.append([record("a", 0)])
    shown.append(good)
    assert log.end_offsets() == {0: 0, 1: 0}
    log.close()


def test_a_topic_that_is_not_as_it_must_be_is_told_and_left_alone(secured_kafka: SecuredBroker) -> None:
    topic = new_topic(secured_kafka)
    address, credentials = as_admin(secured_kafka, "mtls")
    plan = TopicPlan(topic, 2, 1, topic_settings(604_800_000))
    check_topic(address, plan, credentials)
    wrong = {**plan.settings, "retention.ms": "1000"}
    with pytest.raises(LogUnavailable, match=r"retention\.ms should be 1000; run `leaver kafka setup`"):
        check_topic(address, msgspec.structs.replace(plan, settings=wrong), credentials)
    with pytest.raises(LogUnavailable, match=f"{topic} has 2 partitions, not 48"):
        check_topic(address, msgspec.structs.replace(plan, partitions=48), credentials)
    missing = msgspec.structs.replace(plan, name="never-made")
    with pytest.raises(LogUnavailable, match=r"never-made .* run `leaver kafka setup`"):
        check_topic(address, missing, credentials)
    check_topic(address, plan, credentials)
