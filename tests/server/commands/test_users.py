"""`leaver users`: from the machine itself, the same rules as in the console."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from server.accounts.invitations import accept_invitation
from server.accounts.passwords import Passwords
from server.command_line import main
from server.store.database import Database
from tests.server.accounts.doors import PASSWORD, QUICK

pytestmark = pytest.mark.databases("sqlite")


def _users(data: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["users", *arguments, "--data", str(data)])


def test_a_user_is_added_invited_disabled_enabled_and_given_another_role(
    database: Database, tmp_path: Path
) -> None:
    assert "No users yet" in _users(tmp_path, "list").stdout
    added = _users(tmp_path, "add", "anna", "--role", "analyst")
    assert added.exit_code == 0, added.output
    link = added.stdout.strip()
    assert link.startswith("https://")
    _, _, token = link.partition("/invited#")
    now = 10**15
    with pytest.raises(Exception, match="used already"):
        accept_invitation(database, Passwords(QUICK), token, name="", password=PASSWORD, now=now)
    again = json.loads(_users(tmp_path, "reset", "anna", "--json").stdout)
    assert (again["name"], again["link"].endswith(again["token"])) == ("anna", True)
    assert _users(tmp_path, "disable", "anna", "--reason", "left").exit_code == 0
    assert json.loads(_users(tmp_path, "list", "--json").stdout)[0]["state"] == "disabled"
    assert _users(tmp_path, "reset", "anna").exit_code == 1
    assert _users(tmp_path, "enable", "anna").exit_code == 0
    shown = json.loads(_users(tmp_path, "role", "anna", "hr", "--json").stdout)
    assert (shown["role"], shown["state"]) == ("hr", "invited")
    assert "anna" in _users(tmp_path, "list").stdout


def test_what_cannot_be_done_says_why(database: Database, tmp_path: Path) -> None:
    refused = _users(tmp_path, "add", "Anna B", "--role", "hr")
    assert (refused.exit_code, "small letters" in refused.stderr) == (1, True)
    assert "there is no user" in _users(tmp_path, "role", "nobody", "hr").stderr
    assert _users(tmp_path, "add", "anna", "--role", "king").exit_code == 2
    assert _users(tmp_path, "disable", "anna").exit_code == 2
