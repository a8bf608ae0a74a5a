"""`leaver agents settings`: set, shown, refused with the place."""

from __future__ import annotations

import json
from pathlib import Path

from tests.server.up.up_process import leaver

SETTINGS = "# quieter\n[collectors.removable_storage]\nsettle_s = 2.0\n"


def test_settings_are_set_from_a_file_shown_and_taken_back(tmp_path: Path) -> None:
    data, file = tmp_path / "data", tmp_path / "agents.toml"
    assert leaver("init", data=data).returncode == 0
    file.write_text(SETTINGS)
    none = leaver("agents", "settings", "show", data=data)
    assert (none.returncode, none.stdout) == (0, "")
    done = leaver("agents", "settings", "set", str(file), "--reason", "too many halves", data=data)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("version 1: replaces the whole version before")
    assert "leaver status show who refused" in done.stdout
    assert leaver("agents", "settings", "show", data=data).stdout == SETTINGS
    file.write_text("")
    assert leaver("agents", "settings", "set", str(file), "--reason", "back", data=data).returncode == 0
    found = json.loads(leaver("agents", "settings", "history", "--json", data=data).stdout)
    assert [(one["version"], one["reason"], one["settings"]) for one in found] == [
        (2, "back", ""),
        (1, "too many halves", SETTINGS),
    ]
    assert "too many halves" in leaver("agents", "settings", "history", data=data).stdout


def test_what_is_wrong_with_a_file_is_said_with_its_name(tmp_path: Path) -> None:
    data, file = tmp_path / "data", tmp_path / "agents.toml"
    assert leaver("init", data=data).returncode == 0
    for content, why in (
        (b"[collectors", "Expected"),
        (b"# \xff", "not UTF-8 at byte 2"),
        (b"#" * (1 << 21), "over 1048576 bytes"),
        (b"[spool]\nmax_bytes = 1", "each endpoint's own"),
    ):
        file.write_bytes(content)
        done = leaver("agents", "settings", "set", str(file), "--reason", "x", data=data)
        assert done.returncode == 1
        assert f"{file}: " in done.stderr
        assert why in done.stderr
    assert json.loads(leaver("agents", "settings", "history", "--json", data=data).stdout) == []
