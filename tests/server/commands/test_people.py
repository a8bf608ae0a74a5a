"""`leaver people`: what was understood, what was refused and why; exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import insert, select

from server.commands.people import people
from server.people.directory import people_version
from server.people.hr_import import import_people
from server.store.database import Database
from server.store.tables import audit, subject_agents

GOOD = "工号,姓名,账号,最后工作日\n1001,王小明,wangxm,2026年11月28日\n1002,李雷,lilei,\n"


def _run(data: Path, *arguments: str) -> Result:
    return CliRunner().invoke(people, [*arguments, "--data", str(data)])


def _import(data: Path, *arguments: str) -> Result:
    return _run(data, "import", "--yes", *arguments)


def _file(tmp_path: Path, content: bytes) -> str:
    path = tmp_path / "people.csv"
    path.write_bytes(content)
    return str(path)


def _version(database: Database) -> int:
    with database.read() as connection:
        return people_version(connection)


def test_import_says_what_it_understood_and_exits_with_zero(database: Database, tmp_path: Path) -> None:
    result = _import(tmp_path, _file(tmp_path, GOOD.encode("gbk")))
    assert result.exit_code == 0, result.output
    assert "people.csv: GBK/GB18030, separated by comma, 2 rows" in result.stdout
    assert "added 2 · changed 0 · unchanged 0 · refused 0" in result.stdout
    assert _version(database) == 1


def test_the_sample_file_is_taken_whole_from_standard_input(database: Database, tmp_path: Path) -> None:
    sample = (Path(__file__).parents[3] / "deploy" / "people.csv").read_bytes()
    arguments = ["import", "--yes", "-", "--data", str(tmp_path)]
    result = CliRunner().invoke(people, arguments, input=sample)
    assert result.exit_code == 0, result.output
    assert "added 4 · changed 0 · unchanged 0 · refused 0" in result.stdout


def test_one_bad_row_stops_all_and_exits_with_three_and_can_be_left_out(
    database: Database, tmp_path: Path
) -> None:
    content = GOOD + "1003,韩梅梅,hanmm,2026年2月30日\n"
    result = _import(tmp_path, _file(tmp_path, content.encode()))
    assert result.exit_code == 3
    assert "there is no day 2026-02-30" in result.stdout
    assert "Nothing was changed: 1 of its rows are bad" in result.stdout
    assert _version(database) == 0
    file = _file(tmp_path, content.encode())
    done = _import(tmp_path, "--skip-bad-rows", "--json", file)
    assert done.exit_code == 3
    report = json.loads(done.stdout)
    assert (report["applied"], report["added"], report["refused"]) == (True, 2, 1)
    assert (report["problems"][0]["line"], report["problems"][0]["column"]) == (4, "last_working_day")
    assert _version(database) == 1


def test_without_a_terminal_it_is_told_to_go_on_or_does_nothing(database: Database, tmp_path: Path) -> None:
    result = _run(tmp_path, "import", _file(tmp_path, GOOD.encode()))
    assert (result.exit_code, "say --yes" in result.stderr) == (2, True)
    assert _version(database) == 0


def test_at_a_terminal_it_shows_what_it_would_do_and_asks(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = _file(tmp_path, GOOD.encode())
    monkeypatch.setattr("server.commands.people_import.stands_at_a_terminal", lambda: True)
    arguments = ["import", file, "--data", str(tmp_path)]
    no = CliRunner().invoke(people, arguments, input="n\n")
    assert (no.exit_code, "would be added 2" in no.stdout) == (1, True)
    assert "1001  new, leaving: " in no.stdout
    assert _version(database) == 0
    yes = CliRunner().invoke(people, arguments, input="y\n")
    assert (yes.exit_code, "Taken over: import 1." in yes.stdout) == (0, True)
    assert _version(database) == 1


@pytest.mark.parametrize("other", ["1001,Sales\n", "9,\n"])
def test_what_was_not_shown_is_not_taken_over_where_people_changed_meanwhile(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other: str
) -> None:
    monkeypatch.setattr("server.commands.people_import.stands_at_a_terminal", lambda: True)
    asked = 0

    def change_then_agree(_question: str, *, abort: bool) -> bool:
        nonlocal asked
        asked += 1
        if asked == 1:
            with database.begin() as connection:
                import_people(connection, f"id,department\n{other}".encode(), actor="x", at=1)
        return abort

    monkeypatch.setattr("server.commands.people_import.click.confirm", change_then_agree)
    result = _run(tmp_path, "import", _file(tmp_path, GOOD.encode()))
    assert result.exit_code == 0, result.output
    # Who is somebody else's matter changes nothing of what was shown but how many stay.
    assert asked == 2
    assert "People were changed meanwhile" in result.stdout
    assert ("would be added 1 · would be changed 1" in result.stdout) == other.startswith("1001")
    assert "Taken over: import 2." in result.stdout


def test_what_is_stopped_after_it_was_agreed_to_is_not_said_to_be_taken_over(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.commands.people_import.stands_at_a_terminal", lambda: True)

    def change_then_agree(_question: str, *, abort: bool) -> bool:
        with database.begin() as connection:
            import_people(connection, b"id,account\n7,wangxm\n", actor="x", at=1)
        return abort

    monkeypatch.setattr("server.commands.people_import.click.confirm", change_then_agree)
    result = _run(tmp_path, "import", _file(tmp_path, GOOD.encode()))
    assert result.exit_code == 3
    assert "Taken over" not in result.stdout
    assert "belongs to 7" in result.stdout
    assert _version(database) == 1


def test_another_person_under_a_known_id_is_taken_over_only_where_that_is_said(
    database: Database, tmp_path: Path
) -> None:
    assert _import(tmp_path, _file(tmp_path, b"id,name,accounts\n1,May Li,may\n")).exit_code == 0
    file = _file(tmp_path, b"id,name,accounts\n1,Bo Hart,bo\n")
    stopped = _import(tmp_path, file)
    assert (stopped.exit_code, "--same-people says that they are the same" in stopped.stdout) == (3, True)
    assert "others    1 known id with another name" in stopped.stdout
    assert "May" not in stopped.stdout
    assert _import(tmp_path, file, "--same-people").exit_code == 0


def test_dry_run_changes_nothing(database: Database, tmp_path: Path) -> None:
    result = _run(tmp_path, "import", "--dry-run", _file(tmp_path, GOOD.encode()))
    assert result.exit_code == 0
    assert "would be added 2" in result.stdout
    assert _version(database) == 0


def test_unreadable_file_exits_with_one_and_says_why(database: Database, tmp_path: Path) -> None:
    missing = _import(tmp_path, str(tmp_path / "none.csv"))
    assert (missing.exit_code, "No such file" in missing.stderr) == (1, True)
    wrong = _import(tmp_path, _file(tmp_path, "id,name\n1,Müller\n".encode("latin-1")))
    assert (wrong.exit_code, "line 2 is not UTF-8" in wrong.stderr) == (1, True)
    named = _import(
        tmp_path, "--encoding", "latin-1", _file(tmp_path, "id,name\n1,Müller\n".encode("latin-1"))
    )
    assert named.exit_code == 0
    assert _version(database) == 1


def test_unknown_time_zone_is_wrong_usage(database: Database, tmp_path: Path) -> None:
    result = _import(tmp_path, "--time-zone", "Mars/Olympus", _file(tmp_path, GOOD.encode()))
    assert result.exit_code == 2
    assert _version(database) == 0


def test_list_shows_dates_and_no_names_and_leavers_first(database: Database, tmp_path: Path) -> None:
    _import(tmp_path, _file(tmp_path, GOOD.encode()))
    text = _run(tmp_path, "list").stdout
    assert text.index("1001") < text.index("1002")
    assert "2026-11-28" in text
    assert "王小明" not in text
    leaving = json.loads(_run(tmp_path, "list", "--leaving", "--json").stdout)
    assert [(person["id"], person["last_working_day"]) for person in leaving] == [("1001", "2026-11-28")]
    assert _version(database) == 1


def test_empty_list_says_what_to_do(database: Database, tmp_path: Path) -> None:
    assert _run(tmp_path, "list").stdout == "No people yet: leaver people import FILE\n"
    assert _run(tmp_path, "list", "--leaving").stdout == "No one is marked as leaving.\n"
    assert _version(database) == 0


def test_data_that_cannot_be_read_exits_with_four(tmp_path: Path) -> None:
    assert _run(tmp_path / "nowhere", "list").exit_code == 4


def test_a_flag_is_shown_stands_and_is_taken_back_on_the_record(database: Database, tmp_path: Path) -> None:
    _import(tmp_path, _file(tmp_path, GOOD.encode()))
    done = _run(
        tmp_path, "flag", "1002", "--last-day", "2026-12-24", "--last-hour", "17:30", "--type", "dismissed"
    )
    assert (done.exit_code, done.stdout) == (0, "1002: last day 2026-12-24 17:30, UTC; dismissed\n")
    again = _run(
        tmp_path, "flag", "1002", "--last-day", "2026-12-24", "--last-hour", "17:30", "--type", "dismissed"
    )
    assert again.stdout == "1002 is flagged so already: last day 2026-12-24 17:30\n"
    assert _run(tmp_path, "flag", "1002", "--last-day", "2026-12-24").stdout == again.stdout
    moved = _run(tmp_path, "flag", "1002", "--last-day", "2026-12-23")
    assert moved.stdout == "1002: last day 2026-12-23, UTC; dismissed\n"
    assert "The last hour, 17:30, was that of the other day" in moved.stderr
    _run(tmp_path, "flag", "1002", "--last-day", "2026-12-24", "--last-hour", "17:30")
    assert "dismissed, by hand" in _run(tmp_path, "list", "--leaving").stdout
    (shown,) = [each for each in json.loads(_run(tmp_path, "list", "--json").stdout) if each["id"] == "1002"]
    assert (shown["last_working_day"], shown["last_hour"], shown["flagged"]) == ("2026-12-24", "17:30", True)
    assert _run(tmp_path, "unflag", "1002").stdout == "1002: the flag is gone; no last day\n"
    assert _run(tmp_path, "unflag", "1002").stderr == "leaver: nobody flagged this person\n"
    assert "import a corrected row" in _run(tmp_path, "unflag", "1001").stderr
    assert "nobody has the id 7" in _run(tmp_path, "flag", "7", "--last-day", "2026-12-24").stderr
    for arguments in (["--last-day", "soon"], ["--last-day", "2026-12-24", "--last-hour", "25:00"]):
        assert _run(tmp_path, "flag", "1002", *arguments).exit_code == 2
    with database.read() as connection:
        rows = connection.execute(select(audit.c.action, audit.c.object).order_by(audit.c.seq)).all()
    assert [row.action for row in rows] == ["people.import", *["people.flag"] * 3, "people.unflag"]
    assert "1002" not in str(rows)


def test_imports_are_listed_and_undone(database: Database, tmp_path: Path) -> None:
    assert _run(tmp_path, "imports", "list").stdout == "No imports yet: leaver people import FILE\n"
    _import(tmp_path, _file(tmp_path, GOOD.encode()))
    _import(tmp_path, _file(tmp_path, b"id,priority\n1,1\n1,2\n"))
    first, second = json.loads(_run(tmp_path, "imports", "list", "--json").stdout)
    assert (first["id"], first["refused"], second["id"], second["added"]) == (2, 1, 1, 2)
    assert "stopped: 1 of its rows are bad" in " ".join(_run(tmp_path, "imports", "list").stdout.split())
    assert "nobody is there to be asked" in _run(tmp_path, "imports", "undo", "1").stderr
    assert "nothing of import 2 was taken over" in _run(tmp_path, "imports", "undo", "2", "--yes").stderr
    done = _run(tmp_path, "imports", "undo", "1", "--yes")
    assert (done.exit_code, done.stdout) == (0, "Undone: 0 people are as before, 2 are gone again.\n")
    assert _run(tmp_path, "list").stdout == "No people yet: leaver people import FILE\n"
    assert "undone" in _run(tmp_path, "imports", "list").stdout


def test_accounts_are_entities_with_owner_knowers_and_rotation(database: Database, tmp_path: Path) -> None:
    _import(tmp_path, _file(tmp_path, GOOD.encode()))
    declared = ["--system", "Shipping", "--kind", "shared", "--owner", "1001", "--knows", "1002"]
    assert _run(tmp_path, "account", "KeFu", *declared, "--rotated", "2026-11-01").exit_code == 0
    assert _run(tmp_path, "account", "svc-backup", "--kind", "service").exit_code == 0
    with database.begin() as connection:
        seen = {"subject": "account:visitor@desk-4", "agent": "desk-4", "first_time": 5}
        connection.execute(insert(subject_agents).values(seen))
    accounts = {each["account"]: each for each in json.loads(_run(tmp_path, "accounts", "--json").stdout)}
    assert set(accounts) == {"wangxm", "lilei", "kefu", "svc-backup", "visitor"}
    kefu = accounts["kefu"]
    assert (kefu["system"], kefu["kind"], kefu["owner"], kefu["known_to"]) == (
        "shipping",
        "shared",
        "1001",
        ["1002"],
    )
    assert kefu["rotated_at_dt"].startswith("2026-11-01T00:00:00")
    unowned = _run(tmp_path, "accounts", "--unowned").stdout
    assert [line.split()[0] for line in unowned.splitlines()[1:]] == ["svc-backup", "visitor"]
    # Handed over, and forgotten by one who knew it.
    _run(tmp_path, "account", "kefu", "--system", "shipping", "--owner", "1002", "--forgets", "1002")
    (kefu,) = [e for e in json.loads(_run(tmp_path, "accounts", "--json").stdout) if e["account"] == "kefu"]
    assert (kefu["owner"], kefu["known_to"]) == ("1002", [])
    assert "nobody has the id 9" in _run(tmp_path, "account", "kefu", "--owner", "9").stderr
    assert _run(tmp_path, "account", "x", "--owner", "1", "--no-owner").exit_code == 2
