"""The systemd units: they start again until what was away is back, and never over refused settings."""

from __future__ import annotations

from configparser import RawConfigParser
from pathlib import Path

import pytest

from server.commands.opening import USAGE

DEPLOY = Path(__file__).parents[2] / "deploy"
UNITS = ("leaver.service", "leaver-worker@.service")


def _unit(name: str) -> RawConfigParser:
    unit = RawConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string((DEPLOY / name).read_text(encoding="utf-8"))
    return unit


@pytest.mark.parametrize("name", UNITS)
def test_a_server_whose_database_is_away_at_boot_is_started_until_it_is_back(name: str) -> None:
    unit = _unit(name)
    assert unit["Unit"]["StartLimitIntervalSec"] == "0"
    assert unit["Service"]["Restart"] == "always"
    assert 5 <= int(unit["Service"]["RestartSec"]) <= 30
    assert unit["Service"]["RestartPreventExitStatus"] == str(USAGE)


@pytest.mark.parametrize("name", UNITS)
def test_systemd_waits_until_it_is_ready_and_watches_it(name: str) -> None:
    service = _unit(name)["Service"]
    assert service["Type"] == "notify"
    assert int(service["WatchdogSec"]) >= 60


def test_an_agent_goes_on_when_the_kernel_ends_a_process_that_parses_files() -> None:
    """systemd's default is to stop the whole unit then."""
    service = _unit("leaver-agent.service")["Service"]
    assert service["OOMPolicy"] == "continue"
