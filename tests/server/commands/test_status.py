"""What operators read in a terminal cannot steer it, whoever wrote it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import insert

from server.commands.status import dead_letters_group, status
from server.store.database import Database
from server.store.tables import agent_findings, dead_letters, log_positions

HOSTILE = "\x1b[2Jowned\x07\u202e"
SHOWN = "\\x1b[2Jowned\\x07\\u202e"


@pytest.fixture
def data(database: Database, tmp_path: Path) -> Path:
    letter = {"partition": 0, "offset": 0, "event_index": -1, "received_at": 0, "reason": "bad_content"}
    finding = {"kind": "unknown_agent", "first_at": 0, "last_at": 0, "count": 1}
    with database.begin() as connection:
        connection.execute(
            insert(dead_letters).values(**letter, agent=HOSTILE, message=HOSTILE, size=1, data=b"x")
        )
        connection.execute(insert(agent_findings).values(**finding, agent=HOSTILE, detail=HOSTILE))
    return tmp_path


@pytest.mark.databases("sqlite")
def test_after_init_and_before_the_first_start_only_the_missing_start_is_told(
    database: Database, tmp_path: Path
) -> None:
    told = CliRunner().invoke(status, ["--data", str(tmp_path), "--json"])
    assert told.exit_code == 3
    found = json.loads(told.stdout)
    assert [finding["kind"] for finding in found["findings"]] == ["not_running"]
    assert found["at_dt"].endswith("Z")
    assert (found["retention"]["events_days"], found["retention"]["alerts_days"]) == (90, 730)
    # A log that was there once is missed.
    with database.begin() as connection:
        connection.execute(insert(log_positions).values(partition=0, next_offset=7, fence=1))
    missed = json.loads(CliRunner().invoke(status, ["--data", str(tmp_path), "--json"]).stdout)
    assert [finding["kind"] for finding in missed["findings"]] == ["not_running", "log_unavailable"]


def test_dead_letters_and_status_escape_what_steers_a_terminal(data: Path) -> None:
    listed = CliRunner().invoke(dead_letters_group, ["list", "--data", str(data)])
    assert listed.exit_code == 0
    told = CliRunner().invoke(status, ["--data", str(data)])
    assert told.exit_code == 3
    for text, times in ((listed.output, 2), (told.output, 2)):
        assert text.count(SHOWN) == times
        assert not set(text) & set(HOSTILE) - set("[2Jowned")
