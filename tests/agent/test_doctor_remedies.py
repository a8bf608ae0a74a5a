"""What `leaver-agent doctor` says to do: commands and lines that can be pasted."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from agent.command_line import main
from agent.config import enabled_collectors, parse_config
from collectors.install_command import install_command
from event_schema.channels import CHANNELS

ROOT = Path(__file__).parents[2]


def test_doctor_says_what_brings_what_is_missing_and_what_switches_on_what_is_off(tmp_path: Path) -> None:
    path = tmp_path / "agent.toml"
    path.write_text(f'[agent]\nstate_dir = "{tmp_path}/state"\n', encoding="utf-8")
    told = CliRunner().invoke(main, ["doctor", "--json", "--config", str(path)])
    found = {finding["check"]: finding for finding in json.loads(told.stdout)}
    assert "leaver-agent enrol" in found["enrolment"]["remedy"]
    off = [finding for finding in found.values() if finding["state"] == "off"]
    assert {finding["check"].removeprefix("collector ") for finding in off} == {
        *("access_log", "export_folders", "mail", "mariadb", "postgresql", "printing")
    }
    # What is printed can be pasted.
    pasted = "\n".join(finding["remedy"] for finding in off)
    settings = parse_config(pasted.encode(), "as it was told")
    assert {kind.name for kind, _ in enabled_collectors(settings)} == CHANNELS
    lines = CliRunner().invoke(main, ["doctor", "--config", str(path)]).output.splitlines()
    assert {f"  {line}" for line in pasted.splitlines()} <= set(lines)


@pytest.mark.parametrize(
    ("channel", "package", "settings"),
    [
        ("postgresql", "sqlglot", 'log = "{log}"'),
        ("postgresql", "psycopg", 'log = "{log}"\naccount_file = "{log}"'),
        ("mariadb", "pymysql", 'audit_log = "{log}"\naccount_file = "{log}"'),
    ],
)
def test_doctor_names_the_command_where_a_databases_package_is_missing(
    channel: str, package: str, settings: str, tmp_path: Path
) -> None:
    path, log = tmp_path / "agent.toml", tmp_path / "log.json"
    log.touch()
    path.write_text(f"[collectors.{channel}]\nenabled = true\n{settings.format(log=log)}\n", encoding="utf-8")
    program = f"import sys; sys.modules['{package}'] = None; from agent.command_line import main; main()"
    command = [sys.executable, "-c", program, "doctor", "--json", "--config", str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False, text=True, timeout=60)
    found = {finding["check"]: finding for finding in json.loads(done.stdout)}
    told = found[f"collector {channel}"]
    assert f"{package} is missing" in told["detail"]
    assert told["remedy"].startswith(f"{sys.executable} -m pip install ")
    assert package in told["remedy"]
    assert "leaver" not in told["remedy"].partition(" ")[2]


@pytest.mark.parametrize(
    ("there", "command"),
    [("apt-get", "apt-get install -y chrony"), ("dnf", "dnf install -y chrony-red"), ("none", "apt-get")],
)
def test_the_command_is_that_of_the_hosts_package_manager(
    there: str, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / there
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert install_command("chrony", "chrony-red").startswith(command)
