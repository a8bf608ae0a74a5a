"""`leaver policy match` on files, as people run it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from server.command_line import main
from tests.policies.test_sigma_conformance import conformance_cases

LOGIN = """\
title: Login
id: 9cac060a-d874-4aa1-b2fd-a2be7771414d
name: login
logsource: {category: auth}
detection:
  selection: {EventType: login}
  condition: selection
"""
MANY = """\
title: Many logins
id: 8cac060a-d874-4aa1-b2fd-a2be7771414d
correlation:
  type: event_count
  rules: [login]
  group-by: [User]
  timespan: 60s
  condition: {gte: 3}
"""


def run(folder: Path, rules: str | dict[str, str], events: list[Any], *options: str) -> Result:
    (folder / "rules").mkdir()
    for name, text in (rules if isinstance(rules, dict) else {"a.yml": rules}).items():
        (folder / "rules" / name).write_text(text, encoding="utf-8")
    lines = [event if isinstance(event, str) else json.dumps(event) for event in events]
    (folder / "events.ndjson").write_text("\n".join(lines) + "\n", encoding="utf-8")
    arguments = [
        "policy",
        "match",
        "--rules",
        str(folder / "rules"),
        "--events",
        str(folder / "events.ndjson"),
    ]
    return CliRunner().invoke(main, [*arguments, *options])


def found(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_rules_and_correlations_are_one_json_line_a_match(tmp_path: Path) -> None:
    events = [{"ts": 1000 + at, "EventType": "login", "User": user} for at, user in enumerate("aabac")]
    result = run(tmp_path, {"a.yml": LOGIN, "b.yml": MANY}, events, "--time-field", "ts", "--json")
    assert result.exit_code == 0, result.output
    single = {"rule": "9cac060a-d874-4aa1-b2fd-a2be7771414d", "title": "Login"}
    assert found(result) == [
        *({"event": at, **single} for at in range(5)),
        {
            "event": 3,
            "rule": "8cac060a-d874-4aa1-b2fd-a2be7771414d",
            "title": "Many logins",
            "group": {"User": "a"},
            "value": 3.0,
        },
    ]


def test_the_order_of_lines_does_not_matter_to_correlations(tmp_path: Path) -> None:
    times = ["2026-01-01T00:01:00Z", "2026-01-01T00:00:30Z", "2026-01-01T00:00:00Z", "2026-01-01T00:02:01Z"]
    events = [{"time": time, "EventType": "login", "User": "a"} for time in times]
    result = run(tmp_path, LOGIN + "---\n" + MANY, events, "--json")
    assert [m["event"] for m in found(result) if "group" in m] == [0]


def test_a_group_stays_quiet_as_long_as_the_correlation_says(tmp_path: Path) -> None:
    events = [{"time": at * 10, "EventType": "login", "User": "a"} for at in range(12)]
    events += [{"time": 45, "EventType": "login", "User": "b"}] * 3
    rules = LOGIN + "---\n" + MANY + "leaver: {suppress: 30s}\n"
    result = run(tmp_path, rules, events, "--json")
    shown = [(m["event"], m["group"]["User"]) for m in found(result) if "group" in m]
    assert shown == [(2, "a"), (14, "b"), (5, "a"), (8, "a"), (11, "a")]
    assert "suppressed 6" in result.stderr


def test_people_read_a_line_a_match(tmp_path: Path) -> None:
    events = [{"time": at, "EventType": "login", "User": "a\x1b[2J"} for at in range(3)]
    result = run(tmp_path, LOGIN + "---\n" + MANY, events)
    assert result.stdout.splitlines()[0] == "       0  Login"
    assert result.stdout.splitlines()[-1] == "       2  Many logins  (User a\\x1b[2J: 3)"


def test_all_bad_rules_are_told_at_once_and_the_good_ones_run(tmp_path: Path) -> None:
    rules = {
        "bad.yml": LOGIN.replace("EventType: login", "EventType|contain: login"),
        "circle.yml": MANY.replace("title: Many", "name: round\ntitle: Round").replace("[login]", "[round]")
        .replace("8cac", "7cac"),
        "good.yml": LOGIN.replace("9cac", "1cac"),
        "lost.yml": MANY.replace("[login]", "[logn]"),
        "range.yml": MANY.replace("{gte: 3}", "{gte: 3, lte: 9}").replace("8cac", "2cac"),
        "not.yml": "a: [",
    }  # fmt: skip
    result = run(tmp_path, rules, [{"EventType": "login", "time": 1}], "--json")
    assert result.exit_code == 1
    assert [m["title"] for m in found(result)] == ["Login"]
    told = {Path(line.split(":")[0]).name: line.split(":", 1)[1] for line in result.stderr.splitlines()}
    assert told["bad.yml"] == "6: Unknown modifier 'contain'; did you mean contains?"
    assert told["circle.yml"].startswith("6: the correlation refers to itself")
    assert told["lost.yml"] == "5: no good rule has the id or name logn; did you mean login?"
    assert told["range.yml"].startswith("8: a range (gte and lte) is not possible")
    assert told["not.yml"].startswith("1: not YAML") or told["not.yml"].startswith("2: not YAML")


def test_lines_that_are_no_events_are_counted_and_the_others_read(tmp_path: Path) -> None:
    events = ["{", "[1]", {"EventType": "login"}, "x" * 5_000_000, {"EventType": "login"}]
    result = run(tmp_path, LOGIN, events, "--json")
    assert result.exit_code == 1
    assert [m["event"] for m in found(result)] == [2, 4]
    assert [line.split(":")[0] for line in result.stderr.splitlines()] == ["event 0", "event 1", "event 3"]


def test_events_without_a_time_are_told_where_correlations_need_one(tmp_path: Path) -> None:
    events = [{"EventType": "login", "User": "a"}] * 3
    result = run(tmp_path, LOGIN + "---\n" + MANY, events, "--json")
    assert result.exit_code == 0
    assert len(found(result)) == 3
    assert "3 events that rules fired on have no time" in result.stderr


def test_placeholders_come_from_a_file_of_lists(tmp_path: Path) -> None:
    lists = tmp_path / "lists.json"
    lists.write_text(json.dumps({"kinds": ["log*", "sign"]}), encoding="utf-8")
    rule = LOGIN.replace("EventType: login", "EventType|expand: '%kinds%'")
    events = [{"EventType": "log*"}, {"EventType": "login"}, {"EventType": "sign"}, {"EventType": "%kinds%"}]
    result = run(tmp_path, rule, events, "--json", "--placeholders", str(lists))
    assert [m["event"] for m in found(result)] == [0, 2]


def test_without_any_good_rule_it_fails(tmp_path: Path) -> None:
    assert run(tmp_path, "a: b\n", [{}]).exit_code == 1


@pytest.mark.parametrize("suite", ["core.jsonl", "correlation.jsonl"])
def test_conformance_cases_pass_through_the_command(tmp_path: Path, suite: str) -> None:
    """Every tenth; all of them are tests of the engine."""
    wrong = []
    for number, case in enumerate(conformance_cases(suite)[::10]):
        folder = tmp_path / str(number)
        folder.mkdir()
        steps = case.get("steps", [{"event": case.get("event"), "ts": 0}])
        events = [{**step["event"], "_at": step["ts"]} for step in steps]
        result = run(folder, yaml.safe_dump_all(case["docs"]), events, "--time-field", "_at", "--json")
        titles = [[m["title"] for m in found(result) if m["event"] == at] for at in range(len(steps))]
        if "steps" in case:
            expected = [step["detections"] + [a["title"] for a in step["alerts"]] for step in steps]
            right = [sorted(each) for each in titles] == [sorted(each) for each in expected]
        elif "match" in case:
            right = bool(titles[0]) == case["match"]
        else:
            right = sorted(titles[0]) == sorted(case["expect_titles"])
        if not right or result.exit_code != 0:
            wrong.append((case["id"], result.output))
    assert wrong == []
