"""The agent's own log: ours at the level asked for, libraries only where they matter."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from agent.json_log import start_log


@pytest.fixture
def log_as_before() -> Iterator[None]:
    root, kafka = logging.getLogger(), logging.getLogger("kafka")
    before = root.handlers[:], root.level, kafka.level
    yield
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    kafka.setLevel(before[2])
    for name in ("leaver", "agent", "collectors"):
        logging.getLogger(name).setLevel(logging.NOTSET)


@pytest.mark.usefixtures("log_as_before")
def test_a_broker_that_is_away_is_told_by_us_and_not_by_every_try_of_the_client(
    capsys: pytest.CaptureFixture[str],
) -> None:
    start_log("info")
    logging.getLogger("kafka.net.connection").error("connection to broker 7 failed")
    logging.getLogger("urllib3").error("a library fails")
    logging.getLogger("agent.shipping").warning("shipping stands still")
    said = capsys.readouterr().err
    assert "broker 7" not in said
    assert "a library fails" in said
    assert "shipping stands still" in said
