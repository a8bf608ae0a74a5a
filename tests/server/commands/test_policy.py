"""`leaver policy`: list, show, check, test, save, switch, history, rollback, except, as people call them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from server.command_line import main
from server.commands.opening import open_installation
from server.people.pseudonyms import person_subject, pseudonym
from tests.server.policies.rule_texts import BUILD_SERVER, COPIED, EXCEPTION, RULE

UPLOADS = "ec2514ad-ffed-4be4-aef3-3ceac81f571b"
SOON = str((datetime.now(UTC) + timedelta(days=30)).date())


class Commands:
    def __init__(self, data: Path) -> None:
        self.data = data

    def __call__(self, *arguments: str, code: int = 0) -> str:
        done = CliRunner().invoke(main, ["policy", *arguments, "--data", str(self.data)])
        assert done.exit_code == code, (done.output, done.exception)
        return done.output

    def json(self, *arguments: str, code: int = 0) -> Any:
        return json.loads(self(*arguments, "--json", code=code))

    def file(self, text: str, name: str = "mine.yml") -> str:
        path = self.data.parent / name
        path.write_text(text, encoding="utf-8")
        return str(path)


@pytest.fixture
def policy(tmp_path: Path) -> Commands:
    data = tmp_path / "data"
    assert CliRunner().invoke(main, ["init", "--data", str(data)]).exit_code == 0
    return Commands(data)


def test_before_the_first_start_the_shipped_rules_are_listed(policy: Commands) -> None:
    listed = policy.json("list")
    assert {row["version"] for row in listed["rules"]} == {0}
    assert {row["state"] for row in listed["rules"]} == {"on"}
    assert UPLOADS[:8] in policy("list")
    assert "1. Look at what was sent" in policy("show", "leaver_uploads_files")


def test_which_rules_alert_whatever_the_budget_is_told(policy: Commands) -> None:
    rows = {row["title"]: row for row in policy.json("list")["rules"]}
    outside = {row["title"] for row in rows.values() if row["outside_budget"]}
    about_leavers = {row["title"] for row in rows.values() if row["family"] == "former_employee_access"}
    critical = {row["title"] for row in rows.values() if row["level"] == "critical"}
    assert about_leavers and outside == about_leavers | critical
    told = " ".join(policy("list").split())
    assert "informational – on" in told and "high within on" in told and "high outside on" in told
    logs_in = policy("show", "former_employee_logs_in")
    assert "level critical, family former_employee_access, always alerts, outside of the budget" in logs_in
    assert policy.json("show", "former_employee_logs_in")["outside_budget"] is True
    # Not critical: its file says it.
    assert "level high, family former_employee_access, always alerts" in policy(
        "show", "former_partner_on_new_place"
    )
    assert "level medium, family removable_storage_copy, alerts within the budget" in _shown(policy, COPIED)
    loud = COPIED.replace("leaver:\n", "leaver:\n  outside_budget: true\n")
    assert "level medium, family removable_storage_copy, always alerts" in _shown(policy, loud)
    # A part that correlations count alerts never.
    assert "budget" not in policy("show", "block_file_deleted").split("What to do")[0].split("\n\n")[0]


def _shown(policy: Commands, text: str) -> str:
    policy("save", policy.file(text), "--reason", "a try")
    return policy("show", RULE)


def test_a_rule_is_saved_switched_and_brought_back_each_with_its_reason(policy: Commands) -> None:
    file = policy.file(COPIED)
    assert "version 1" in policy("save", file, "--reason", "first")
    policy.file(COPIED.replace("level: medium", "level: high"))
    policy("save", file, "--reason", "it matters")
    policy("disable", RULE[:8], "--reason", "too loud")
    assert "out of use already" in policy("disable", RULE[:8], "--reason", "again", code=1)
    policy("rollback", RULE, "1", "--reason", "as before")
    told = policy.json("history", "A spreadsheet to removable storage")
    assert [(row["number"], row["reason"], row["enabled"]) for row in told] == [
        (4, "as before", True),
        (3, "too loud", False),
        (2, "it matters", True),
        (1, "first", True),
    ]
    assert "-level: medium" in told[2]["diff"]
    assert "+level: high" in told[2]["diff"]
    assert told[1]["diff"] == ["out of use"]
    assert "level: high" in policy("show", RULE, "--version", "2")
    (row,) = (row for row in policy.json("list")["rules"] if row["id"] == RULE)
    assert (row["state"], row["level"], row["version"], row["origin"]) == ("on", "medium", 4, "saved")


def test_all_faults_of_a_folder_are_told_at_once_with_their_lines(policy: Commands, tmp_path: Path) -> None:
    folder = tmp_path / "rules"
    folder.mkdir()
    (folder / "a.yml").write_text(COPIED.replace("file.ext: xlsx", "file.extt: xlsx"))
    (folder / "b.yml").write_text("title: [")
    (folder / "x.yml").write_text(BUILD_SERVER)
    found = policy.json("check", str(folder), code=3)["faults"]
    assert [(Path(each["file"]).name, each["line"]) for each in found] == [
        ("a.yml", 11),
        ("b.yml", 2),
        ("x.yml", 6),
    ]
    assert "did you mean file.ext" in found[0]["message"]
    (folder / "b.yml").unlink()
    (folder / "a.yml").write_text(COPIED)
    assert policy("check", str(folder)) == "2 files are good\n"
    assert policy.json("save", str(folder / "a.yml"), "--reason", "x")["number"] == 1


def test_examples_that_do_not_do_as_they_should_are_named(policy: Commands) -> None:
    assert "all do" in policy("test")
    broken = policy.file(COPIED.replace("{file.ext: XLSX}", "{file.ext: docx}"))
    said = policy("test", broken, code=3)
    assert f"{broken}:19: A spreadsheet to removable storage: example 'a spreadsheet' does not fire" in said
    assert "1 rule, 1 example that must fire, 1 that must stay silent: 1 do not" in said


def test_a_bad_rule_is_not_saved_and_what_was_meant_is_suggested(policy: Commands) -> None:
    bad = policy.file(COPIED.replace("level: medium", "level: loud"))
    assert "mine.yml:13: level loud is none of" in policy("save", bad, "--reason", "x", code=3)
    assert "did you mean leaver_uploads_files" in policy("show", "leaver_upload_files", code=1)
    assert "no version 9" in policy("show", UPLOADS, "--version", "9", code=1)


def test_an_exception_is_made_without_yaml_counted_and_listed(policy: Commands) -> None:
    made = policy.json(
        "except", "leaver_uploads_files", "--destination", "partner.example",
        "--until", SOON, "--reason", "contract 17", "--owner", "lin", "--yes",
    )  # fmt: skip
    assert made["preview"]["hits"] == 0
    (row,) = policy.json("list")["exceptions"]
    assert (row["id"], row["owner"], row["reason"], row["rules"]) == (
        made["id"],
        "lin",
        "contract 17",
        [UPLOADS],
    )
    assert (row["state"], row["hidden"], row["until_dt"][:10]) == (
        "on",
        0,
        str((datetime.fromisoformat(SOON) + timedelta(days=1)).date()),
    )
    (rule,) = (each for each in policy.json("list")["rules"] if each["id"] == UPLOADS)
    assert rule["exceptions"] == [made["id"]]
    policy("disable", made["id"], "--reason", "ended early")
    assert policy.json("list")["exceptions"][0]["state"] == "off"


def test_an_exception_needs_something_to_leave_out_and_an_end_within_a_year(policy: Commands) -> None:
    common = ("except", UPLOADS, "--reason", "x", "--yes")
    assert "say what is left out" in policy(*common, "--until", SOON, code=2)
    assert "366 days" in policy(*common, "--until", "2199-01-01", "--host", "h", code=2)
    assert "write a day" in policy(*common, "--until", "soon", "--host", "h", code=2)
    said = policy(*common, "--until", SOON, "--where", "file.nam=x", code=3)
    assert "did you mean file.name" in said
    assert policy.json("list")["exceptions"] == []


def test_an_exception_from_a_file_that_ends_after_more_than_a_year_is_a_fault_with_its_line(
    policy: Commands,
) -> None:
    policy("save", policy.file(COPIED), "--reason", "x")
    far = policy.file(BUILD_SERVER.replace("until: 2026-12-31", "until: 2199-01-01"), "x.yml")
    (fault,) = policy.json("check", policy.file(COPIED), far, code=3)["faults"]
    assert fault["file"] == far
    assert fault["line"] == 1 + BUILD_SERVER.splitlines().index("  until: 2026-12-31")
    assert "more than a year ahead" in fault["message"]
    assert "more than a year ahead" in policy("save", far, "--reason", "x", code=3)
    assert policy.json("list")["exceptions"] == []


def test_one_that_has_run_out_is_a_finding_until_it_is_out_of_use(policy: Commands) -> None:
    policy("save", policy.file(COPIED), "--reason", "x")
    ended = BUILD_SERVER.replace("until: 2026-12-31", "until: 2025-01-31")
    policy("save", policy.file(ended, "x.yml"), "--reason", "x")
    listed = policy("list", code=3)
    assert "2025-01-31 ENDED" in listed
    assert "ran out on 2025-01-31 and hides nothing that came after" in listed
    policy("disable", EXCEPTION, "--reason", "over")
    assert "2025-01-31 off" in policy("list")


def test_names_in_exceptions_show_only_to_those_who_say_why(policy: Commands, tmp_path: Path) -> None:
    people = tmp_path / "people.csv"
    people.write_text("id,name,account\nE1002,Wang Mei,mei.w\n")
    imported = CliRunner().invoke(
        main, ["people", "import", str(people), "--yes", "--data", str(policy.data)]
    )
    assert imported.exit_code == 0, imported.output
    made = policy(
        "except", UPLOADS, "--person", "E1002", "--until", SOON, "--reason", "asked by Wang Mei", "--yes"
    )
    (row,) = policy.json("list")["exceptions"]
    assert "E1002" in made, "as it was given"
    shown = [policy("list"), policy("show", row["id"]), policy("history", row["id"], "--diff")]
    assert not any(word in text for text in shown for word in ("E1002", "Wang", "Mei"))
    assert "E1002" in policy("show", row["id"], "--unmask", "--reason", "case 17")
    audited = CliRunner().invoke(main, ["audit", "list", "--data", str(policy.data)]).output
    assert "policy.unmask" in audited
    assert "case 17" in audited
    assert "asked by" in audited
    assert not any(word in audited for word in ("E1002", "Wang", "Mei"))
    unmasked = CliRunner().invoke(
        main, ["audit", "list", "--unmask", "--reason", "case 18", "--data", str(policy.data)]
    )
    assert "asked by Wang Mei" in unmasked.output
    again = CliRunner().invoke(main, ["audit", "list", "--data", str(policy.data)]).output
    assert "case 18" in again, "whoever looked is on the record"


def _import(policy: Commands, rows: str) -> None:
    people = policy.file(rows, "people.csv")
    done = CliRunner().invoke(main, ["people", "import", people, "--yes", "--data", str(policy.data)])
    assert done.exit_code == 0, done.output


def test_nobody_is_unmasked_by_an_exception_that_is_only_looked_at(policy: Commands) -> None:
    _import(policy, "id,name,account\nE1002,Wang Mei,mei.w\n")
    common = ("except", UPLOADS, "--until", SOON, "--reason", "case 17 of Wang Mei", "--dry-run")
    with open_installation(policy.data) as installation, installation.database.begin() as connection:
        label = pseudonym(connection, person_subject("E1002"))
    for given in (("--person", "E1002"), ("--account", "mei.w"), ("--where", "actor.user.name=mei.w")):
        looked = policy(*common, *given)
        assert given[1].rpartition("=")[2] in looked
        assert label not in looked
        assert "In the last" not in looked
        assert policy.json(*common, *given)["preview"] is None
    by_label = policy(*common, "--person", label)
    assert label in by_label
    assert "E1002" not in by_label
    assert "In the last 30 days" in by_label
    trail = ["audit", "list", "--data", str(policy.data)]
    assert "policy.unmask" not in CliRunner().invoke(main, trail).output
    assert "In the last 30 days" in policy(*common, "--person", "E1002", "--unmask")
    audited = CliRunner().invoke(main, trail).output
    assert "policy.unmask" in audited
    assert "case 17" in audited


def test_names_anywhere_in_a_rule_are_masked(policy: Commands) -> None:
    _import(policy, "id,name,account\nE1002,Wang Mei,mei.w\n")
    text = COPIED.replace("title: A spreadsheet", "title: Wang Mei's spreadsheet")
    text = text.replace("For tests.", "Since Wang Mei asked.").replace("Look at it.", "Ask Wang Mei.")
    policy("save", policy.file(text), "--reason", "as mei.w asked")
    rule = policy.json("show", RULE)
    assert rule["policy"]["rule_id"] == RULE
    shown = [policy("list"), policy("show", RULE), json.dumps(policy.json("list")), json.dumps(rule)]
    assert not any(word in said for said in shown for word in ("Wang", "mei.w"))


def test_a_folder_of_yaml_files_is_read_and_one_without_rules_is_told(policy: Commands) -> None:
    folder = policy.data.parent / "rules"
    folder.mkdir()
    assert "no file here ends in .yml or .yaml" in policy("check", str(folder), code=3)
    (folder / "mine.yaml").write_text(COPIED.replace("level: medium", "level: loud"), encoding="utf-8")
    assert "mine.yaml:13: level loud" in policy("check", str(folder), code=3)
    (folder / "mine.yaml").write_text(COPIED, encoding="utf-8")
    assert "1 file is good" in policy("check", str(folder))
