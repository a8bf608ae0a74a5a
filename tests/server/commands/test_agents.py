"""`leaver agents`: what an administrator types and gets. And who typed it, for the audit trail."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.collectors.drives import needs_root
from tests.server.up.up_process import leaver

ACTOR = "from server.commands.opening import system_actor; print(system_actor())"


def test_a_machines_name_knows_no_case_and_only_the_line_is_on_standard_output(tmp_path: Path) -> None:
    assert leaver("init", data=tmp_path / "data").returncode == 0
    made = leaver("agents", "enrol", "LAPTOP-7", data=tmp_path / "data")
    assert made.returncode == 0, made.stderr
    assert made.stdout.startswith("leaver-enrol-1 https://")
    assert len(made.stdout.splitlines()) == 1
    assert "On laptop-7 run `leaver-agent enrol`" in made.stderr
    revoked = leaver("agents", "revoke", "Laptop-7", "--reason", "it was lost", data=tmp_path / "data")
    assert revoked.returncode == 0, revoked.stderr
    listed = json.loads(leaver("agents", "list", "--json", data=tmp_path / "data").stdout)
    assert [(agent["name"], agent["state"]) for agent in listed] == [("laptop-7", "revoked")]


@pytest.mark.root
@needs_root
def test_the_environment_does_not_say_who_acts() -> None:
    told = subprocess.run(
        ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", sys.executable, "-c", ACTOR],
        env=os.environ | {"SUDO_USER": "alice", "USER": "alice", "LOGNAME": "alice"},
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "alice" not in told
    assert told.strip() in {"cli:nobody", "cli:root as nobody"}
