"""`leaver alerts`: nobody's name without unmasking, on the record; exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result
from sqlalchemy import delete, select, update

from event_schema.ocsf_events import FileSystemActivity
from server import audit
from server.commands.alert_words import label_words
from server.commands.alerts import alerts
from server.commands.explanation_text import sure_words
from server.store.database import Database
from server.store.tables import alerts as alerts_table
from server.store.tables import audit as audit_table
from server.store.tables import event_blocks, pseudonyms, unmaskings
from tests.server.alerts.recorded_leak import (
    NOW,
    SECRETS,
    copied_file,
    enrolled_agent,
    known_of,
    open_alert,
    pack,
    record_leak,
    store_block,
)
from tests.server.alerts.test_explained import FOUND


def _run(data: Path, *arguments: str) -> Result:
    return CliRunner().invoke(alerts, [*arguments, "--data", str(data)])


def _json(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def _secrets_in(text: str) -> list[str]:
    return [secret for secret in SECRETS if secret.casefold() in text.casefold()]


@pytest.mark.parametrize("as_json", [True, False])
def test_no_name_account_host_or_home_is_in_the_output(
    database: Database, tmp_path: Path, as_json: bool
) -> None:
    record_leak(database)
    options = ("--json",) if as_json else ()
    shown = _run(tmp_path, "show", "1", "--evidence", "1000", *options)
    listed = _run(tmp_path, "list", "--status", "all", *options)
    assert (shown.exit_code, listed.exit_code) == (0, 0)
    assert _secrets_in(shown.output + listed.output) == []
    assert "customers-029.xlsx" in shown.stdout


def test_forged_block_is_shown_without_naming_its_agent(database: Database, tmp_path: Path) -> None:
    record_leak(database)
    with database.begin() as connection:
        connection.execute(update(event_blocks).values(signature=bytes(64)))
    for options in (("--json",), ()):
        result = _run(tmp_path, "show", "1", *options)
        assert result.exit_code == 0
        assert _secrets_in(result.output) == []
    assert "30 events without a good signature" in result.stdout
    assert "no key of its agent signed events 0 to 9" in result.stdout


def test_unmasking_shows_names_and_leaves_a_row_for_each_person(database: Database, tmp_path: Path) -> None:
    record_leak(database)
    who = _json(_run(tmp_path, "show", "1", "--json"))["alert"]["who"]["pseudonym"]
    result = _run(tmp_path, "show", "1", "--unmask", who, "--reason", "case 42", "--json")
    detail = _json(result)
    assert detail["alert"]["who"]["name"] == "Alice Wang"
    assert "alice" in detail["alert"]["who"]["accounts"]
    # The name is one thing, what machines and devices are called another.
    assert detail["evidence"]["largest"][0]["event"]["device"]["hostname"].startswith("H-")
    assert not {"1501", "4C530001"} & set(_secrets_in(result.stdout))
    with database.read() as connection:
        rows = connection.execute(select(audit_table).where(audit_table.c.action == "pseudonym.unmask")).all()
        assert audit.verify(connection) is None
    assert [(row.object, row.reason) for row in rows] == [(detail["alert"]["who"]["pseudonym"], "case 42")]
    assert rows[0].actor.startswith("cli:")
    # For 60 minutes without asking again, unless it is hidden before.
    (listed,) = _json(_run(tmp_path, "list", "--json"))
    assert listed["who"]["name"] == "Alice Wang"
    assert _run(tmp_path, "hide", who).stdout == f"{who} is hidden again.\n"
    assert _run(tmp_path, "hide", who).stdout == f"{who} was hidden already.\n"
    assert _secrets_in(_run(tmp_path, "show", "1").output) == []
    assert "Alice Wang" in _run(tmp_path, "show", "1", "--unmask", who, "--reason", "again").output
    with database.begin() as connection:
        connection.execute(update(unmaskings).values(until=unmaskings.c.at + 1))
    assert _secrets_in(_run(tmp_path, "show", "1").output) == []
    unknown = _run(tmp_path, "show", "1", "--unmask", "P-00000", "--reason", "case 42")
    assert (unknown.exit_code, "nobody has the pseudonym" in unknown.output) == (1, True)


def test_one_persons_name_shows_and_everybody_elses_stays_hidden(database: Database, tmp_path: Path) -> None:
    record_leak(database)
    open_alert(database, events=1, subject="person:E2", alert_id=2)
    with database.begin() as connection:
        connection.execute(
            update(alerts_table)
            .where(alerts_table.c.id == 2)
            .values(account_owner="E1007", suspected_actor="E2")
        )
    shown = _json(_run(tmp_path, "show", "2", "--json"))["alert"]
    owner = shown["account_owner"]["pseudonym"]
    assert owner != shown["who"]["pseudonym"]
    named = _json(_run(tmp_path, "show", "2", "--unmask", owner, "--reason", "r", "--json"))["alert"]
    assert named["account_owner"]["name"] == "Alice Wang"
    assert (named["who"].get("name"), named["who"].get("id")) == (None, None)


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    "arguments",
    [
        ("show", "1", "--unmask"),
        ("show", "1", "--unmask", "P-22222"),
        ("show", "1", "--reason", "because"),
        ("list", "--unmask", "P-22222", "--reason", "   "),
        ("show", "x"),
        ("list", "--limit", "0"),
        ("close", "1", "--verdict", "maybe", "--reason", "r"),
        ("close", "1", "--verdict", "false", "--reason", " "),
        ("close", "1", "--verdict", "false", "--reason", "half \udc80"),
        ("close", "1", "--verdict", "false"),
    ],
)
def test_wrong_usage_exits_with_two_and_unmasks_nobody(
    database: Database, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    record_leak(database, files=1)
    result = _run(tmp_path, *arguments)
    assert result.exit_code == 2
    assert _secrets_in(result.output) == []
    with database.read() as connection:
        actions = set(connection.execute(select(audit_table.c.action)).scalars())
    assert actions == {"people.import"}


def test_text_shows_a_score_that_its_parts_add_up_to_and_the_proof(
    database: Database, tmp_path: Path
) -> None:
    record_leak(database)
    text = _run(tmp_path, "show", "1", "--evidence", "2").stdout
    assert "Alert 1 · score 87 · open · removable_storage_copy" in text
    assert "on notice, 6 days before the last day" in text
    assert "… and 28 more files, 406 MB: leaver alerts show 1 --evidence 30" in text
    assert "30 events, 3 signed blocks, all signatures good" in text
    assert "Copies to removable storage in the notice period" in text
    lines = {line.split()[0]: line.rstrip() for line in text.splitlines() if line.strip()}
    assert lines["together"].endswith("87")
    assert lines["Unusual"].endswith("57")
    assert lines["together"].count("█") == pytest.approx(87 * 40 / 100, abs=1)
    assert max(map(len, text.splitlines())) <= 100


def test_what_the_files_hold_is_said_once_and_json_counts_what_is_not_shown(
    database: Database, tmp_path: Path
) -> None:
    record_leak(database)
    evidence = _json(_run(tmp_path, "show", "1", "--evidence", "2", "--json"))["evidence"]
    assert (len(evidence["largest"]), evidence["not_shown"], evidence["labels"]) == (2, 28, {})
    assert "holds" not in _run(tmp_path, "show", "1").stdout
    labels = {"resident_id": 400, "mark_secret": 1, "source_code": 2, "our\x1b_list": 1}
    words = label_words(labels)
    assert words.startswith("400 resident ids, 1 secret mark, 2 source code files, 1 our")
    assert "\x1b" not in words


def test_what_stands_out_is_on_the_page_and_by_language_in_json(database: Database, tmp_path: Path) -> None:
    record_leak(database)
    assert "Stands out" not in _run(tmp_path, "show", "1").stdout
    with database.begin() as connection:
        facts = {"explanation": msgspec.to_builtins(FOUND)}
        shares = [
            {"source": "anomaly", "points": 60, "share": 0.7},
            {"source": "slow_anomaly", "points": 27, "share": 0.3},
        ]
        connection.execute(update(alerts_table).values(facts=facts, shares=shares))
    text = _run(tmp_path, "show", "1").stdout
    assert "Stands out  the day 81 of 100, the rise 55 of 100" in text
    assert "strange  4.1 GB sent by messenger, 40 × usual, above all peers' days" in text
    assert "rising   40 pages printed a day over 14 days, none one to three months ago" in text
    assert "check    with these at their usual 90 % of the surprise goes away" in text
    assert "Not seen  nobody watched that day: mail" in text
    assert "Rising for weeks against the months before" in text
    detail = _json(_run(tmp_path, "show", "1", "--json"))
    assert detail["explanation"]["zh"]["stands_out"] == [
        "4.1 GB 通过即时通讯发送，平常的 40 倍，高于同组所有日子"
    ]
    assert [share["words"]["zh"] for share in detail["shares"]] == [
        "与本人平常及同组人员相比异常",
        "与此前数月相比，数周以来持续上升",
    ]
    assert detail["evidence"]["fidelity"] == {"exact": 30}


def test_how_sure_is_said_where_not_all_is_exact() -> None:
    assert sure_words({"exact": 28, "likely": 1, "possible": 1}) == "28 events exact, 1 likely, 1 possible"
    assert sure_words({"likely": 1}) == "1 event likely"
    assert sure_words({"exact": 30}) == sure_words({}) == ""


def test_times_name_their_zone_in_text_and_are_rfc_3339_beside_milliseconds_in_json(
    database: Database, tmp_path: Path
) -> None:
    record_leak(database)
    text = _run(tmp_path, "show", "1").stdout
    assert "Sun 2026-11-22 08:00:00 to 08:00:30 Asia/Shanghai (UTC+08:00)" in text
    assert "30 files written; times in Asia/Shanghai" in text
    (listed,) = _json(_run(tmp_path, "list", "--json"))
    detail = _json(_run(tmp_path, "show", "1", "--json"))
    for alert in (listed, detail["alert"]):
        assert (alert["first_time"], alert["first_time_dt"]) == (NOW, "2026-11-22T00:00:00.000Z")
        assert alert["closed_at_dt"] is None
    (latest, *_) = detail["evidence"]["largest"]
    assert latest["time_dt"].startswith("2026-11-22T00:00:")
    assert "time_dt" not in latest["event"]


def test_an_alert_ends_with_the_next_steps_that_can_still_be_taken(
    database: Database, tmp_path: Path
) -> None:
    record_leak(database)
    who = _json(_run(tmp_path, "show", "1", "--json"))["alert"]["who"]["pseudonym"]
    unmask = f'leaver alerts show 1 --unmask {who} --reason "…"'
    close = 'leaver alerts close 1 --verdict VERDICT --reason "…"'
    steps = _run(tmp_path, "show", "1").stdout.partition("Next  ")[2]
    assert [line.strip() for line in steps.splitlines()] == [
        unmask, close, "VERDICT: confirmed, expected, false, duplicate",
    ]  # fmt: skip
    named = _run(tmp_path, "show", "1", "--unmask", who, "--reason", "case 42").stdout
    assert (unmask in named, close in named) == (False, True)
    assert _run(tmp_path, "close", "1", "--verdict", "false", "--reason", "r").exit_code == 0
    _run(tmp_path, "hide", who)
    closed = _run(tmp_path, "show", "1").stdout
    assert (unmask in closed, close in closed) == (True, False)


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("columns", [80, 120])
def test_text_is_as_wide_as_columns_says(
    database: Database, tmp_path: Path, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    record_leak(database)
    monkeypatch.setenv("COLUMNS", str(columns))
    listed = _run(tmp_path, "list").stdout
    shown = _run(tmp_path, "show", "1").stdout
    assert max(map(len, listed.splitlines())) == columns
    assert max(map(len, shown.splitlines())) <= columns
    # Who it is, and since when, is never torn apart.
    assert "P-" in listed
    assert "· on notice, 6 days before the last day" in listed


def test_account_of_nobody_has_a_pseudonym_that_stays(database: Database, tmp_path: Path) -> None:
    open_alert(database, events=1, subject="account:printer")
    first = _json(_run(tmp_path, "list", "--json"))[0]["who"]
    assert first == _json(_run(tmp_path, "list", "--json"))[0]["who"]
    assert first["pseudonym"].startswith("A-")
    assert first["status"] == "unknown"
    with database.read() as connection:
        stored = dict(connection.execute(select(pseudonyms.c.subject, pseudonyms.c.pseudonym)).all())
    assert stored["account:printer"] == first["pseudonym"]


def test_closing_takes_the_alert_off_the_queue_and_cannot_be_done_twice(
    database: Database, tmp_path: Path
) -> None:
    record_leak(database)
    closed = _run(tmp_path, "close", "1", "--verdict", "confirmed", "--reason", "customer list on a stick")
    assert (closed.exit_code, closed.stdout) == (
        0,
        "Alert 1 is closed as confirmed: what comes later opens another.\n",
    )
    assert _run(tmp_path, "list").stdout == "No open alerts.\n"
    assert "closed as confirmed: customer list" in _run(tmp_path, "list", "--status", "closed").stdout
    again = _run(tmp_path, "close", "1", "--verdict", "false", "--reason", "r")
    assert again.exit_code == 1
    assert "closed before as confirmed" in again.stderr


@pytest.mark.usefixtures("database")
def test_unknown_alert_exits_with_one(tmp_path: Path) -> None:
    for arguments in (("show", "7"), ("close", "7", "--verdict", "false", "--reason", "r")):
        result = _run(tmp_path, *arguments)
        assert result.exit_code == 1
        assert "there is no alert 7" in result.stderr


def test_data_that_cannot_be_read_exits_with_four(tmp_path: Path) -> None:
    assert _run(tmp_path / "nowhere", "list").exit_code == 4
    (tmp_path / "empty").mkdir()
    assert _run(tmp_path / "empty", "list").exit_code == 4
    assert list((tmp_path / "empty").iterdir()) == []


def test_evidence_that_retention_dropped_is_said(database: Database, tmp_path: Path) -> None:
    record_leak(database)
    with database.begin() as connection:
        connection.execute(delete(event_blocks))
    result = _run(tmp_path, "show", "1")
    assert result.exit_code == 0
    assert "30 events no longer stored" in result.stdout


def test_hostile_file_name_cannot_steer_the_terminal(database: Database, tmp_path: Path) -> None:
    key = enrolled_agent(database)
    event = copied_file(0, size=5)
    assert isinstance(event, FileSystemActivity)
    hostile = msgspec.structs.replace(event.file, name="\x1b]0;owned\x07[bold]\u202exslx.exe")
    store_block(database, pack(key, 0, [msgspec.structs.replace(event, file=hostile)]), [(NOW, known_of(0))])
    open_alert(database, events=1)
    text = _run(tmp_path, "show", "1").stdout
    assert "\\x1b]0;owned\\x07[bold]\\u202exslx.exe" in text
    assert not {"\x1b", "\x07", "\u202e"} & set(text)
