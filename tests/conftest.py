"""Fixtures that several folders of tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.kafka_broker.broker import KafkaBroker
from tests.kafka_broker.secured import SecuredBroker
from tests.postgres_server.server import PostgresServer


@pytest.fixture(scope="session")
def kafka_broker(request: pytest.FixtureRequest) -> Iterator[KafkaBroker]:
    """One real Apache Kafka for the whole run. A test that stops it must start it again; a test needs
    topics of its own. The first run ever fetches the jars, and says so."""
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        broker = KafkaBroker()
    yield broker
    broker.stop()


@pytest.fixture(scope="session")
def secured_kafka(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SecuredBroker]:
    """One Apache Kafka for the whole run that asks everybody who they are. A test needs topics, users and
    agents of its own, and leaves the broker running."""
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        broker = SecuredBroker(tmp_path_factory.mktemp("secured-kafka") / "pki")
    yield broker
    broker.stop()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """One real PostgreSQL for the whole run. A test that stops it must start it again; a test needs a
    database of its own."""
    server = PostgresServer()
    yield server
    server.stop()
