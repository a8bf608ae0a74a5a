"""`leaver alerts` judging: each verb, its number to undo, and the history with names hidden."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from server.commands.alerts import alerts
from server.store.database import Database
from tests.server.alerts.recorded_leak import SECRETS, open_alert, record_leak

pytestmark = pytest.mark.databases("sqlite")


def run(data: Path, *arguments: str) -> Result:
    return CliRunner().invoke(alerts, [*arguments, "--data", str(data)])


def told(data: Path, *arguments: str) -> Any:
    result = run(data, *arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture
def data(database: Database, tmp_path: Path) -> Path:
    record_leak(database)
    open_alert(database, events=1, subject="person:p2", alert_id=2, score=60)
    return tmp_path


def test_verbs_are_done_told_and_undone(data: Path) -> None:
    assigned = run(data, "assign", "1", "2", "9", "--to", "omar")
    assert assigned.exit_code == 0
    assert "There is no alert 9." in assigned.stderr
    assert "leaver alerts undo 1" in assigned.stdout
    assert told(data, "undo", "1")["done"] == [1, 2]
    assert run(data, "undo", "1").exit_code == 1
    for verb, *more in (
        ["merge", "--into", "1"],
        ["unmerge"],
        ["snooze", "--until", "2100-01-01"],
        ["note", "--text", "x"],
    ):
        result = run(data, verb, "2", *more)
        assert result.exit_code == (2 if verb == "snooze" else 0), result.output


def test_an_alert_with_parts_is_closed_whole_and_reopened(data: Path) -> None:
    told(data, "merge", "2", "--into", "1")
    part = run(data, "close", "2", "--verdict", "false", "--reason", "a test")
    assert (part.exit_code, "merged into alert 1" in part.stderr) == (1, True)
    assert told(data, "close", "1", "--verdict", "false", "--reason", "a test")["status"] == "closed"
    assert {each["status"] for each in told(data, "list", "--status", "all")} == {"closed"}
    assert told(data, "reopen", "1")["changed"] == [1, 2]
    assert run(data, "reopen", "1").exit_code == 1


def test_the_list_says_whose_they_are_and_what_is_merged(data: Path) -> None:
    told(data, "assign", "1", "--to", "omar")
    told(data, "merge", "2", "--into", "1")
    shown = run(data, "list").stdout
    assert "omar's" in shown
    assert "merged into alert 1" in shown


def test_history_tells_who_did_what_and_names_nobody(data: Path) -> None:
    assert "Nobody changed anything" in run(data, "history", "1").stdout
    told(data, "note", "1", "--text", "asked Berta Braun")
    told(data, "close", "1", "--verdict", "false", "--reason", "alice told me")
    rows = told(data, "history", "1")
    assert [row["verb"] for row in rows] == ["close", "note"]
    assert rows[0]["changed"]["status"] == ["open", "closed"]
    shown = run(data, "history", "1").stdout
    assert "status: open → closed" in shown.replace("\n", " ")
    for text in (shown, json.dumps(rows)):
        assert not [word for word in SECRETS if word.casefold() in text.casefold()]
    assert run(data, "history", "99").exit_code == 1
