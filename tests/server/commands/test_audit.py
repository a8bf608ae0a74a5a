"""`leaver audit`: it can be read, and a trail that somebody changed is a finding that names the row."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import delete, update

from server import audit
from server.command_line import main
from server.people.pseudonyms import shown_names
from server.store.database import Database
from server.store.tables import audit as audit_table


def _verify(data: Path, *options: str) -> Result:
    return CliRunner().invoke(main, ["audit", "verify", "--data", str(data), *options])


@pytest.fixture
def trail(database: Database) -> Database:
    with database.begin() as connection:
        for number in range(4):
            audit.append(
                connection, at=1000, actor="cli:root", action="alert.close", object=f"alert:{number}"
            )
    return database


def _list(data: Path, *options: str) -> Result:
    return CliRunner().invoke(main, ["audit", "list", "--data", str(data), *options])


def test_the_trail_is_listed_newest_first_with_who_what_why_and_when_in_utc(
    trail: Database, tmp_path: Path
) -> None:
    day = 86_400_000
    with trail.begin() as connection:
        audit.append(
            connection,
            at=20_000 * day + 1000,
            actor="cli:anna as leaver",
            action="alert.unmask",
            object="alert:7",
            reason="case\x1b[31m 17",
            detail={"score": 87, "people": ["E1", "E2"], "until": 1_790_000_000_000},
        )
    shown = _list(tmp_path)
    assert shown.exit_code == 0, shown.output
    lines = shown.stdout.splitlines()
    assert lines[0] == "    5  2024-10-04 00:00:01Z  anna as leaver (command line)  alert.unmask  alert 7"
    assert lines[1].startswith("       case")
    assert lines[2] == "       people: E1, E2; score: 87; until: 2026-09-21 14:13 UTC"
    assert "\x1b" not in shown.stdout
    assert [line.split()[0] for line in lines[3:]] == ["4", "3", "2", "1"]
    found = json.loads(_list(tmp_path, "--json", "--since", "2024-10-04").stdout)
    assert [(each["seq"], each["at_dt"], each["reason"]) for each in found] == [
        (5, "2024-10-04T00:00:01.000Z", "case\x1b[31m 17")
    ]
    assert (found[0]["actor"], found[0]["object"]) == ("cli:anna as leaver", "alert:7")
    assert found[0]["detail"]["score"] == 87
    assert _list(tmp_path, "--since", "2024-10-05").stdout == "Nothing on record.\n"
    cut = _list(tmp_path, "--limit", "2").stdout
    assert ("alert 3" in cut, "alert 2" in cut, "(--limit)" in cut) == (True, False, True)
    assert _list(tmp_path, "--limit", "5").stdout == shown.stdout


@pytest.mark.parametrize("day", ["yesterday", "03/04/2026", ""])
def test_a_day_that_is_none_is_wrong_usage(tmp_path: Path, day: str) -> None:
    assert _list(tmp_path, "--since", day).exit_code == 2


def test_untouched_trail_is_good_and_tells_its_last_hash(trail: Database, tmp_path: Path) -> None:
    with trail.read() as connection:
        head = audit.head(connection)
    assert head is not None
    result = _verify(tmp_path)
    assert result.exit_code == 0, result.output
    assert "4 rows" in result.stdout
    assert head[1] in result.stdout
    found = json.loads(_verify(tmp_path, "--json").stdout)
    assert found == {"good": True, "rows": 4, "last_hash": head[1], "broken_at": None}


def test_a_row_that_was_kept_is_told_again_and_one_that_was_cut_off_is_a_finding(
    trail: Database, tmp_path: Path
) -> None:
    key, _ = shown_names(trail, ())
    with trail.read() as connection:
        kept = audit.hash_of(connection, 3)
    assert kept is not None
    found = json.loads(_verify(tmp_path, "--row", "3", "--json").stdout)
    assert found["row"] == {"seq": 3, "hash": kept, "fingerprint": audit.fingerprint(key, 3, kept)}
    told = _verify(tmp_path, "--row", "3")
    assert (told.exit_code, f"Row 3: hash {kept}, fingerprint" in told.stdout) == (0, True)
    with trail.begin() as connection:
        connection.execute(delete(audit_table).where(audit_table.c.seq >= 3))
    assert _verify(tmp_path).exit_code == 0
    cut = _verify(tmp_path, "--row", "3")
    assert (cut.exit_code, "There is no row 3." in cut.stdout) == (3, True)


def test_changed_row_is_a_finding_that_names_it(trail: Database, tmp_path: Path) -> None:
    with trail.begin() as connection:
        connection.execute(update(audit_table).where(audit_table.c.seq == 3).values(actor="cli:nobody"))
    result = _verify(tmp_path)
    assert result.exit_code == 3
    assert "broken at row 3" in result.stdout
    found = _verify(tmp_path, "--json")
    assert (found.exit_code, json.loads(found.stdout)["broken_at"]) == (3, 3)


def test_row_taken_out_is_a_finding(trail: Database, tmp_path: Path) -> None:
    with trail.begin() as connection:
        connection.execute(delete(audit_table).where(audit_table.c.seq == 2))
    assert _verify(tmp_path).exit_code == 3


def test_an_installation_without_acts_has_an_empty_good_trail(database: Database, tmp_path: Path) -> None:
    result = _verify(tmp_path)
    assert (result.exit_code, result.stdout) == (0, "The audit trail is empty.\n")


def test_without_a_data_directory_the_trail_cannot_be_reached(tmp_path: Path) -> None:
    assert _verify(tmp_path / "nothing").exit_code == 4
