"""The agent's own log: ours at the level asked for, libraries only where they matter."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from agent.json_log import start_log
from agent.spool_files import lock_folder
from event_schema.printable import printable_name
from event_schema.request_signing import key_id


@pytest.fixture
def log_as_before() -> Iterator[None]:
    root, kafka = logging.getLogger(), logging.getLogger("kafka")
    before = root.handlers[:], root.level, kafka.level
    yield
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    kafka.setLevel(before[2])
    for name in ("agent", "collectors", "event_schema"):
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


@pytest.mark.usefixtures("log_as_before")
def test_an_exception_is_logged_by_the_place_in_our_code_and_without_its_text(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    start_log("info")
    try:
        lock_folder(tmp_path / "alice" / "missing")
    except OSError:
        logging.getLogger("agent.spool").error("ours", exc_info=True)
    try:
        key_id(cast(Ed25519PublicKey, "alice"))
    except AttributeError:
        logging.getLogger("agent.spool").error("ours again", exc_info=True)
    try:
        printable_name(cast(str, 7))
    except TypeError:
        logging.getLogger("agent.spool").error("a library's, called by us", exc_info=True)
    said = capsys.readouterr().err
    assert "alice" not in said
    errors = [json.loads(line)["error"] for line in said.splitlines()]
    assert re.fullmatch(r"FileNotFoundError ENOENT at agent\.spool_files:\d+", errors[0])
    assert re.fullmatch(r"AttributeError at event_schema\.request_signing:\d+", errors[1])
    assert re.fullmatch(r"TypeError at event_schema\.printable:\d+ in os:\d+", errors[2])
