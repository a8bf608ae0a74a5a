"""`leaver evidence`: a pack is made, verified, changed by one byte, and the verifier says where."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from server.cases.changing import open_or_join_case
from server.command_line import main
from server.store.database import Database
from tests.server.alerts.recorded_leak import NOW, record_leak


def _leaver(*arguments: object, data: Path | None = None) -> Result:
    more = ("--data", str(data)) if data else ()
    return CliRunner().invoke(main, [*map(str, arguments), *more])


@pytest.fixture
def leak(database: Database, tmp_path: Path) -> Path:
    """A data directory with an alert and a case of it."""
    record_leak(database)
    with database.begin() as connection:
        open_or_join_case(connection, [1], actor="user:omar", at=NOW, title="one")
    return tmp_path


def test_a_pack_is_made_verified_changed_by_one_byte_and_told_where(leak: Path) -> None:
    pack = leak / "case.zip"
    made = _leaver("evidence", "pack", 1, "-o", pack, "--json", data=leak)
    assert made.exit_code == 0, made.output
    told = json.loads(made.output)
    assert (told["alerts"], told["events"], told["unmasked"]) == (1, 30, False)
    shown = _leaver("evidence", "key", data=leak)
    assert shown.output.strip() == f"sha256:{told['key']}"
    good = _leaver("evidence", "verify", pack, "--key", shown.output.strip())
    assert (good.exit_code, good.output.splitlines()[0][:29]) == (0, "This pack is as it was made: ")
    data = bytearray(pack.read_bytes())
    place = data.find(b"evidence.jsonl") + 200
    data[place] ^= 1
    pack.write_bytes(data)
    bad = _leaver("evidence", "verify", pack)
    assert bad.exit_code == 3
    # What a changed bit makes of what was packed is another thing each time: a line, or all from one on.
    assert re.match(r"changed     evidence\.jsonl was changed: (from )?lines? \d+", bad.output), bad.output
    assert "This pack is NOT as it was made." in bad.output
    found = json.loads(_leaver("evidence", "verify", pack, "--json").output)
    [finding] = found["findings"]
    assert finding["first_byte"] <= place <= finding["last_byte"]


def test_one_alert_with_names_needs_a_reason(leak: Path) -> None:
    pack = leak / "alert.zip"
    assert _leaver("evidence", "pack", "--alert", 1, "-o", pack, "--unmask", data=leak).exit_code == 2
    assert not pack.exists()
    assert _leaver("evidence", "pack", "--alert", 1, "-o", pack, "--records", data=leak).exit_code == 2
    options = ("--unmask", "--records", "--reason", "for the court", "--language", "zh")
    made = _leaver("evidence", "pack", "--alert", 1, "-o", pack, *options, data=leak)
    assert made.exit_code == 0, made.output
    said = _leaver("evidence", "verify", pack)
    assert said.exit_code == 0
    assert "All 3 records of agents are signed by them." in said.output
    actions = [row["action"] for row in json.loads(_leaver("audit", "list", "--json", data=leak).output)]
    assert actions[:3] == ["pack.records", "pseudonym.unmask", "pack.make"]


def test_what_cannot_be_made_or_read_is_said(leak: Path) -> None:
    pack = leak / "x.zip"
    for arguments, code, words in (
        (("pack", "-o", pack), 2, "say which"),
        (("pack", 1, "--alert", 1, "-o", pack), 2, "say which"),
        (("pack", 7, "-o", pack), 1, "there is no case 7"),
        (("pack", "--alert", 7, "-o", pack), 1, "there is no alert 7"),
        (("pack", 1, "-o", leak / "nowhere" / "x.zip"), 1, "No such file"),
    ):
        done = _leaver("evidence", *arguments, data=leak)
        assert (done.exit_code, words in done.output) == (code, True), done.output
    pack.write_bytes(b"mine")
    assert "is there already" in _leaver("evidence", "pack", 1, "-o", pack, data=leak).output
    assert pack.read_bytes() == b"mine"
    assert _leaver("evidence", "verify", pack).exit_code == 1
    assert _leaver("evidence", "verify", leak / "nothing").exit_code == 1
    assert _leaver("evidence", "verify", pack, "--key", "abc").exit_code == 2
