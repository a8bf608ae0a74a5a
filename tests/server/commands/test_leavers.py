"""`leaver leavers` and what closes an item: readable, exit codes, and nothing that a role may not see."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import select

from server.command_line import main
from server.people.pseudonyms import known_pseudonyms
from server.store.database import Database
from server.store.tables import audit
from tests.server.leavers.company import NAMES, NOW, USED_AT, alert, make_company, use

pytestmark = pytest.mark.databases("sqlite")


def _run(data: Path, *arguments: str, columns: int = 80) -> Result:
    done = CliRunner().invoke(
        main, [*arguments, "--data", str(data)], env={"COLUMNS": str(columns), "NO_COLOR": "1"}
    )
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


@pytest.fixture
def data(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for module in ("leavers", "people_holdings", "people_accounts"):
        monkeypatch.setattr(f"server.commands.{module}.system_clock", lambda: NOW)
    make_company(database)
    use(database, "account:yanzm", USED_AT, person_id="E1001")
    alert(database, "person:E1001")
    return tmp_path


@pytest.mark.parametrize("columns", [80, 120])
def test_the_list_fits_the_terminal_and_begins_with_the_most_urgent(data: Path, columns: int) -> None:
    done = _run(data, "leavers", "--as", "administrator", columns=columns)
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= columns
    assert "…" not in done.stdout
    assert [line.split()[0] for line in lines if line.startswith("E100")] == [
        "E1001",
        "E1002",
        "E1003",
        "E1004",
        "E1005",
    ]
    assert lines[1] == "Left, and still in use (1)"
    words = " ".join(done.stdout.split())
    assert "2026-11-13 17:30 9 d ago" in words
    assert "used 2026-11-21 21:14" in words
    assert "in 2 d" in words
    assert words.endswith("2 more left longer ago, or are done: --all, --days.")


def test_by_default_it_is_the_analysts_and_names_nobody(data: Path) -> None:
    for arguments in (("leavers", "--all"), ("leavers", "--all", "--json")):
        text = _run(data, *arguments).output.casefold()
        assert [name for name in NAMES if name in text] == []
        assert "p-" in text
    assert "1 open alert" in _run(data, "leavers").stdout


def test_hr_sees_ids_and_nothing_of_what_anybody_did(data: Path) -> None:
    text = _run(data, "leavers", "--as", "hr").stdout
    assert "E1001" in text
    assert "used" not in text
    assert "alert" not in text
    page = json.loads(_run(data, "leavers", "show", "E1001", "--as", "hr", "--json").stdout)
    assert (page["used_at"], page["open_alerts"]) == (None, None)


def test_one_leaver_is_shown_with_every_item_and_every_sign_off(data: Path) -> None:
    text = _run(data, "leavers", "show", "E1001", "--as", "administrator").stdout
    assert "E1001 · sales · left" in text
    assert "corp\\yanzm (personal): open" in text
    assert "yanzm (personal): open · used 2026-11-21 21:14" in text
    assert "yanzm-laptop: not returned" in text
    assert "kefu (shared, shipping): still known; last changed 2026-06-03 09:00" in text
    done = _run(data, "leavers", "show", "E1008", "--as", "administrator").stdout
    assert "accounts by IT on 2026-11-22 10:00 +08:00 (cli:root)" in done
    assert "4,000 files" not in done


def test_the_list_empties_as_the_work_is_done(data: Path, database: Database) -> None:
    for arguments in (
        ("people", "close-account", "yanzm"),
        ("people", "close-account", "CORP\\yanzm", "--at", "2026-11-21 18:00"),
        ("people", "close-account", "y@corp.example"),
        ("people", "return-device", "E1001", "yanzm-laptop", "--at", "2026-11-20"),
        ("people", "account", "kefu", "--system", "shipping", "--rotated", "now"),
    ):
        done = _run(data, *arguments)
        assert (done.exit_code, done.stderr) == (0, "")
    row = json.loads(_run(data, "leavers", "show", "E1001", "--as", "hr", "--json").stdout)
    assert {each["state"] for each in row["accounts"]} == {"closed"}
    listed = json.loads(_run(data, "people", "accounts", "--json").stdout)
    closed = {each["account"]: each["closed_at_dt"] for each in listed if each["closed_at"]}
    assert closed["corp\\yanzm"] == "2026-11-21T18:00:00.000Z"
    assert "personal, closed" in _run(data, "people", "accounts").stdout
    assert [each["state"] for each in row["machines"]] == ["ended"]
    assert [each["state"] for each in row["secrets"]] == ["rotated"]
    for item, role in (
        ("dates", "hr"),
        ("accounts", "administrator"),
        ("devices", "hr"),
        ("secrets", "administrator"),
    ):
        done = _run(data, "leavers", "sign-off", "E1001", item, "--as", role)
        assert (done.exit_code, done.stdout) == (0, f"E1001: {item} signed off\n")
    with database.read() as connection:
        pseudonym = known_pseudonyms(connection, ["person:E1001"])["person:E1001"]
    activity = ("leavers", "sign-off", pseudonym, "activity", "--as", "analyst")
    unsigned = _run(data, *activity)
    assert (unsigned.exit_code, "1 alert is open: close what was looked at" in unsigned.stderr) == (1, True)
    signed = _run(data, *activity, "--note", "looked")
    assert signed.stdout == f"{pseudonym}: activity signed off\n"
    assert "E1001" not in _run(data, "leavers", "--as", "hr").stdout
    assert "5/5" in _run(data, "leavers", "--as", "hr", "--all").stdout
    back = _run(data, "leavers", "sign-off", "E1001", "devices", "--as", "hr", "--take-back")
    assert back.stdout == "E1001: devices no longer signed off\n"
    assert "E1001" in _run(data, "leavers", "--as", "hr").stdout
    reopened = _run(data, "people", "close-account", "yanzm", "--reopen")
    assert reopened.stdout == "yanzm: works again\n"
    assert _run(data, "people", "close-account", "yanzm", "--reopen").stdout == "yanzm: was not closed\n"


def test_an_account_that_is_closed_stays_closed_since_then_unless_another_time_is_said(data: Path) -> None:
    first = _run(data, "people", "close-account", "yanzm", "--at", "2026-11-13 18:00")
    assert first.stdout == "yanzm: closed since 2026-11-13 18:00 UTC\n"
    again = _run(data, "people", "close-account", "yanzm")
    assert (again.exit_code, again.stdout) == (
        0,
        "yanzm: closed already since 2026-11-13 18:00 UTC; --at says another time\n",
    )
    shown = _run(data, "leavers", "show", "E1001", "--as", "administrator").stdout
    assert "yanzm (personal): closed 2026-11-14 02:00 +08:00" in shown
    moved = _run(data, "people", "close-account", "yanzm", "--at", "2026-11-13 17:45")
    assert moved.stdout == "yanzm: closed since 2026-11-13 17:45 UTC\n"


def test_what_a_slip_of_the_pen_made_is_said_and_can_be_taken_away(data: Path) -> None:
    slip = _run(data, "people", "account", "kefu", "--knows", "E1001")
    assert slip.stdout == (
        "kefu: noted; a new account, valid everywhere; there is one of shipping too."
        " If that was not meant: --remove\n"
    )
    ledger = ("leavers", "show", "E1001", "--as", "hr", "--json")
    assert [each["system"] for each in json.loads(_run(data, *ledger).stdout)["secrets"]] == ["", "shipping"]
    assert _run(data, "people", "account", "kefu", "--remove").stdout == "kefu: removed\n"
    assert [each["system"] for each in json.loads(_run(data, *ledger).stdout)["secrets"]] == ["shipping"]
    known = _run(data, "people", "account", "kefu", "--system", "shipping", "--forgets", "E1001")
    assert known.stdout == "kefu: noted\n"
    owned = _run(data, "people", "account", "spare", "--owner", "E1002")
    assert "a new account, valid everywhere. If" in owned.stdout
    _run(data, "people", "account", "spare", "--remove")
    accounts = json.loads(_run(data, "people", "accounts", "--json").stdout)
    assert "spare" not in {each["account"] for each in accounts}
    done = _run(data, "people", "reissue", "tablet-9", "E1007", "--new")
    assert done.stdout == "tablet-9: of E1007 since 2026-11-22 02:00 UTC\n"


def test_a_machine_goes_to_somebody_else(data: Path) -> None:
    done = _run(data, "people", "reissue", "yanzm-laptop", "E1007")
    assert done.stdout == "yanzm-laptop: of E1007 since 2026-11-22 02:00 UTC, no longer of E1001\n"
    row = json.loads(_run(data, "leavers", "show", "E1001", "--as", "hr", "--json").stdout)
    assert [each["state"] for each in row["machines"]] == ["handed_over"]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (
            ("leavers", "sign-off", "E1001", "accounts", "--as", "administrator"),
            1,
            "3 of the accounts are open",
        ),
        (("leavers", "sign-off", "E1001", "accounts", "--as", "hr"), 2, "that is for IT or security"),
        (("leavers", "sign-off", "E1007", "dates", "--as", "hr"), 1, "E1007 is not leaving"),
        (("leavers", "sign-off", "E9", "dates", "--as", "hr"), 1, "nobody has the id E9"),
        (("leavers", "sign-off", "E1001", "activity", "--as", "analyst"), 1, "--as hr and --as admin"),
        (("leavers", "show", "E1001"), 1, "E1001 is no pseudonym: here people go by theirs, such as P-"),
        (("leavers", "show", "P-2222222"), 1, "nobody has the pseudonym P-2222222"),
        (("leavers", "sign-off", "E1001", "dates", "--as", "hr", "--note", " "), 2, "--note needs"),
        (("leavers", "sign-off", "E1001", "dates", "--as", "hr", "--take-back"), 1, "did not sign off"),
        (("leavers", "show", "E1007", "--as", "hr"), 1, "nobody is leaving by this name"),
        (("leavers", "--unmask"), 2, "--unmask needs --reason"),
        (("leavers", "--reason", "x"), 2, "--reason goes with --unmask"),
        (("leavers", "--as", "hr", "--unmask", "--reason", "x"), 2, "HR may not unmask"),
        (("leavers", "--days", "-1"), 2, "--days"),
        (("leavers", "--as", "hr", "show", "E1001"), 2, "options go behind show"),
        (("people", "close-account", "nobodys"), 1, "no account of this name is declared"),
        (("people", "close-account", "kefu"), 1, "but there is one of shipping"),
        (("people", "close-account", "yanzm", "--at", "2026-11-23"), 1, "yet to come"),
        (("people", "close-account", "yanzm", "--at", "2026-02-30"), 2, "there is no day 2026-02-30"),
        (("people", "close-account", "yanzm", "--at", "2026-11-20 25:00"), 2, "there is no time 25:00"),
        (
            ("people", "return-device", "E1001", "tablet"),
            1,
            "E1001 has no host:tablet; has host:yanzm-laptop",
        ),
        (("people", "return-device", "E9", "tablet"), 1, "nobody has the id E9"),
        (("people", "reissue", "yanzm-laptop", "E1001"), 1, "E1001 has left by then"),
        (("people", "reissue", "laptop-999", "E1007"), 1, "nobody ever had host:laptop-999"),
        (("people", "account", "kefu", "--system", "shipping"), 2, "nothing to note"),
        (("people", "account", "kefu", "--remove", "--knows", "E1001"), 2, "--remove goes alone"),
        (("people", "account", "yanzm", "--remove"), 1, "HR's file or an identity provider has"),
        (("people", "account", "kefu", "--remove"), 1, "but there is one of shipping"),
        (
            ("people", "account", "kefu", "--system", "shipping", "--forgets", "E1007"),
            1,
            "nobody said that E1007 knows",
        ),
        (("people", "reissue", "yanzm-laptop", "E9"), 1, "nobody has the id E9"),
        (("people", "account", "kefu", "--system", "shipping", "--rotated", "2027-01-01"), 1, "yet to come"),
    ],
)
def test_what_cannot_be_is_said_and_changes_nothing(
    data: Path, database: Database, arguments: tuple[str, ...], code: int, said: str
) -> None:
    before = _trail(database)
    done = _run(data, *arguments)
    assert (done.exit_code, said in done.output) == (code, True), done.output
    assert _trail(database) == before


def _trail(database: Database) -> int:
    with database.read() as connection:
        return len(connection.execute(select(audit.c.seq)).all())


def test_unmasking_shows_names_and_is_on_the_record(data: Path, database: Database) -> None:
    done = _run(data, "leavers", "--unmask", "--reason", "case 9", columns=120)
    assert "E1001 Yan Zhuming" in done.stdout
    with database.read() as connection:
        rows = connection.execute(select(audit).where(audit.c.action == "pseudonym.unmask")).all()
    assert {row.reason for row in rows} == {"case 9"}
    assert len(rows) == 5


def test_where_nobody_leaves_it_says_so(database: Database, tmp_path: Path) -> None:
    done = _run(tmp_path, "leavers")
    assert (done.exit_code, done.stdout) == (0, "No one is leaving.\n")
    assert _trail(database) == 0


def test_data_that_cannot_be_read_exits_with_four(tmp_path: Path) -> None:
    assert _run(tmp_path / "nowhere", "leavers").exit_code == 4
    assert _run(tmp_path / "nowhere", "leavers", "show", "E1", "--as", "hr").exit_code == 4


def test_only_postgresql_has_a_role_for_hr(database: Database, tmp_path: Path) -> None:
    done = _run(tmp_path, "store", "hr-role")
    assert (done.exit_code, "SQLite has no roles" in done.stderr) == (1, True)
    assert _trail(database) == 0


@pytest.mark.databases("postgresql")
def test_the_role_for_hr_is_told_as_sql(database: Database, tmp_path: Path) -> None:
    done = _run(tmp_path, "store", "hr-role")
    assert done.exit_code == 0
    assert 'GRANT leaver_hr TO "leaver";' in done.stdout
    assert "alerts" not in done.stdout
    assert _trail(database) == 0
