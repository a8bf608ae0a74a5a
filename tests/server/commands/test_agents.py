"""`leaver agents`: what an administrator types and gets. And who typed it, for the audit trail."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from server.addresses import address_doubt
from server.config import ListenConfig, ServerConfig
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


@pytest.mark.parametrize(
    ("listen", "warning"),
    [
        ("", "only this machine can reach this"),
        ('address = "127.0.0.1:0"\nnames = ["leaver.example"]', "only this machine can reach this"),
        ('address = "0.0.0.0:8443"\nnames = ["localhost"]', "only this machine can reach this"),
        ('address = "0.0.0.0:8443"\nnames = ["leaver.example"]', None),
        ('address = "192.0.2.7:8443"', None),
    ],
)
def test_an_address_that_no_endpoint_can_reach_is_not_handed_out_without_a_word(
    tmp_path: Path, listen: str, warning: str | None
) -> None:
    tmp_path.joinpath("server.toml").write_text(f"[listen]\n{listen}\n", encoding="ascii")
    assert leaver("init", data=tmp_path).returncode == 0
    made = leaver("agents", "enrol", "a", data=tmp_path)
    assert (made.returncode, len(made.stdout.splitlines())) == (0, 1)
    told = json.loads(leaver("agents", "enrol", "a", "--json", data=tmp_path).stdout)["warning"]
    if warning is None:
        assert (told, "server.toml" in made.stderr) == (None, False)
    else:
        assert f"leaver: {warning}: set [listen] address and names in server.toml" in made.stderr
        assert told in made.stderr


def test_a_bare_host_name_is_doubted_unless_it_was_set() -> None:
    everywhere = ServerConfig(listen=ListenConfig(address="0.0.0.0:8443"))
    doubt = address_doubt(everywhere, "https://srv-1:8443")
    assert doubt is not None
    assert doubt.startswith("srv-1 is this machine's bare name")
    named = ServerConfig(listen=ListenConfig(address="0.0.0.0:8443", names=("srv-1",)))
    assert address_doubt(named, "https://srv-1:8443") is None


def test_of_an_agent_that_was_never_heard_no_clock_is_told(tmp_path: Path) -> None:
    assert leaver("init", data=tmp_path).returncode == 0
    leaver("agents", "enrol", "a", data=tmp_path)
    (agent,) = json.loads(leaver("agents", "list", "--json", data=tmp_path).stdout)
    assert (agent["state"], agent["heartbeat_at"], agent["clock_offset"]) == ("invited", None, None)
    row = leaver("agents", "list", data=tmp_path).stdout.splitlines()[1]
    assert row.split() == ["a", "invited", "never", "-", "-", "0", "-", "-"]


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
