"""`leaver policy backtest`, as people call it: what it says, in which words, with which exit code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from server.alerts.queries import Verdict
from server.command_line import main
from server.people.pseudonyms import known_pseudonyms
from tests.server.backtest.test_what_would_differ import LARGE, _copy, _larger
from tests.server.backtest.trials import close, saved
from tests.server.pipeline.conftest import NOW, Server, new_server, server
from tests.server.pipeline.endpoint import Endpoint
from tests.server.policies.rule_texts import BUILD_SERVER, EXCEPTION, RULE

__all__ = ["new_server", "server"]
pytestmark = pytest.mark.databases("sqlite")


class BackTest:
    def __init__(self, server: Server, folder: Path) -> None:
        self.server = server
        self.folder = folder

    def __call__(self, *arguments: str, code: int = 0) -> str:
        command = ["policy", "backtest", *arguments, "--data", str(self.server.folder)]
        done = CliRunner().invoke(main, command)
        assert done.exit_code == code, (done.output, done.exception)
        return done.output

    def json(self, *arguments: str, code: int = 0) -> Any:
        return json.loads(self(*arguments, "--json", code=code))

    def file(self, text: str, name: str = "mine.yml") -> str:
        (self.folder / name).write_text(text, encoding="utf-8")
        return str(self.folder / name)


@pytest.fixture
def backtest(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BackTest:
    """Two people who copied: Alice, whose alert was closed as confirmed, and Bob."""
    monkeypatch.setattr("server.commands.policy_backtest.system_clock", lambda: NOW)
    saved(server, LARGE)
    server.employ("p1", "alice")
    server.employ("p2", "bob")
    endpoint = Endpoint()
    endpoint.enrol(server.database)
    server.take(endpoint.record([_copy(6, 1_500)]))
    close(server, 1, Verdict.CONFIRMED)
    server.take(endpoint.record([_copy(4, 9_000, "bob"), _copy(3, 1_200, "bob")]))
    folder = tmp_path / "tried"
    folder.mkdir()
    return BackTest(server, folder)


def test_a_leak_that_would_be_missed_is_a_finding(backtest: BackTest) -> None:
    said = backtest(backtest.file(_larger(2_000)), code=3)
    assert "A large file to removable storage  changed            3      1" in said
    assert "Leaks (closed as confirmed): 1 of 1 would be missed (alert 1)" in said
    assert "1 alert would not have been\n" in said
    assert "1 alert would weigh less\n" in said
    with backtest.server.database.read() as connection:
        names = known_pseudonyms(connection, ["person:p1", "person:p2"])
    assert all(name in said for name in names.values())
    assert not any(name in said for name in ("p1", "alice", "bob"))


def test_programs_read_it_with_days_as_days(backtest: BackTest) -> None:
    told = backtest.json(backtest.file(_larger(2_000)), code=3)
    assert (told["since"], told["until"]) == ("2026-10-20", "2026-11-18")
    assert (told["alerts"], told["alert_days"], told["leaks"]["now_missing"]) == ([2, 1], [3, 1], 1)
    (rule,) = told["rules"]
    assert (rule["id"], rule["hits"]) == (RULE, [3, 1])
    assert rule["days"][0] == {"day": "2026-11-12", "before": 1, "after": 0}
    assert [each["change"] for each in told["examples"]] == ["gone", "less"]


def test_a_folder_holds_rules_and_exceptions(backtest: BackTest) -> None:
    backtest.file(LARGE)
    backtest.file(BUILD_SERVER.replace("build-1", "laptop-1"), "x.yml")
    told = backtest.json(str(backtest.folder), code=3)
    (exception,) = told["exceptions"]
    assert (exception["id"], exception["hidden"], exception["people"]) == (EXCEPTION, [0, 3], [0, 2])
    assert told["alerts"] == [2, 0]
    assert "The build server keeps its own copies  new" in backtest(str(backtest.folder), code=3)


def test_what_runs_already_changes_nothing(backtest: BackTest) -> None:
    said = backtest(backtest.file(LARGE))
    assert "No rule differs: nothing would have changed." in said
    assert backtest.json(backtest.file(LARGE))["differs"] is False
    everything = backtest("--every-rule")
    assert "as it is" in everything
    assert "1, none would be missed" in everything


def test_a_rule_is_tried_without_and_against_another(backtest: BackTest) -> None:
    told = backtest.json("--without", "A large file to removable storage", code=3)
    assert told["rules"][0]["change"] == "gone"
    assert "no rule or exception has the id" in backtest("--without", "nonsense", code=1)
    stricter, strictest = backtest.file(_larger(2_000)), backtest.file(_larger(10_000), "other.yml")
    assert backtest.json(strictest, "--against", stricter)["alerts"] == [1, 0]


def test_faults_are_told_with_their_lines_and_wrong_usage_is_wrong_usage(backtest: BackTest) -> None:
    bad = backtest.file(LARGE.replace("file.size|gte", "file.sise|gte"))
    assert f"{bad}:10: " in backtest(bad, code=3)
    assert "give a rule" in backtest(code=2)
    assert "neither current nor a file" in backtest(bad, "--against", "yesterday", code=2)
    (backtest.folder / "mine.yml").unlink()
    assert "no file here ends in .yml" in backtest(str(backtest.folder), code=3)
