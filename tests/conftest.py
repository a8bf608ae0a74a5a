"""Fixtures that several folders of tests share."""

from __future__ import annotations

import gc
import logging
from collections.abc import Generator, Iterator

import pytest

from tests.kafka_broker.broker import KafkaBroker
from tests.kafka_broker.secured import SecuredBroker
from tests.postgres_server.server import PostgresServer

_PROGRAMS_LOGGERS = ("agent", "collectors", "event_schema", "kafka", "leaver")

_GARBAGE_EVERY = (20_000, 20, 20)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is collected stays, thousands of tests and all that they import: to look through it for garbage
    again and again took a quarter of the tests' CPU time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(*_GARBAGE_EVERY)
        gc.enable()


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """Programs that run inside the test's process set their log up for themselves."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    levels = {name: logging.getLogger(name).level for name in _PROGRAMS_LOGGERS}
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)


@pytest.fixture(autouse=True)
def _as_wide_as_it_likes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables are laid out for a pipe, whatever the width of the terminal that the tests are run in."""
    monkeypatch.delenv("COLUMNS", raising=False)


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
