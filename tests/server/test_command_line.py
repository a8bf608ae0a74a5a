"""Every command of `leaver` loads, explains itself, and takes --data and --json where it should."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from server.command_line import main
from server.commands.lazy_commands import LazyCommands
from server.commands.policy import policy
from server.data_directory import DATA_VARIABLE


def _leaves(
    group: click.Group, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None, name
        if isinstance(command, click.Group):
            yield from _leaves(command, (*path, name))
        else:
            yield (*path, name), command


COMMANDS = dict(_leaves(main))


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_each_command_explains_itself_and_all_of_its_options(path: tuple[str, ...]) -> None:
    command = COMMANDS[path]
    assert command.help
    options = [p for p in command.params if isinstance(p, click.Option)]
    assert [option.name for option in options if not option.help] == []
    alone = {("policy", "match"), ("policy", "record"), ("evidence", "verify")}
    needs_no_data = path in alone or path[0] == "eval"
    assert needs_no_data or "data" in {option.name for option in options}
    shown = CliRunner().invoke(main, [*path, "--help"])
    assert shown.exit_code == 0


def test_listing_commands_have_json() -> None:
    listing = [path for path in COMMANDS if path[-1] in {"list", "show", "status"}]
    assert len(listing) >= 6
    for path in listing:
        assert "as_json" in {parameter.name for parameter in COMMANDS[path].params}, path


def test_an_unknown_command_is_wrong_usage() -> None:
    assert CliRunner().invoke(main, ["upp"]).exit_code == 2


def test_a_secret_is_never_an_option_or_argument() -> None:
    for path, command in COMMANDS.items():
        names = {parameter.name or "" for parameter in command.params}
        names = {name for name in names if not name.endswith("_file")}
        assert not {name for name in names if "token" in name or "password" in name}, path


@pytest.mark.parametrize("asked", [["--version"], ["--help"], ["policy", "--help"]], ids=" ".join)
def test_help_loads_neither_the_database_nor_scikit_learn(asked: list[str]) -> None:
    program = (
        "import sys\nfrom click.testing import CliRunner\nfrom server.command_line import main\n"
        f"assert CliRunner().invoke(main, {asked}).exit_code == 0\n"
        "print([m for m in ('sqlalchemy', 'sklearn', 'starlette') if m in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("group", [main, policy], ids=["leaver", "policy"])
def test_help_of_a_group_says_of_each_command_what_the_command_says(group: LazyCommands) -> None:
    for name, lazy in group.lazily.items():
        assert lazy.words == lazy.load().get_short_help_str(300), name
        assert lazy.load().name == name


@pytest.mark.parametrize(
    ("commands", "heavy"),
    [
        ("status alerts agents", "sklearn scipy alembic"),
        # Neither models nor rules take part in what these show.
        ("leavers people audit users tokens", "sklearn scipy alembic numpy sigma"),
    ],
)
def test_short_commands_load_nothing_big_that_they_do_not_use(commands: str, heavy: str) -> None:
    program = (
        "import importlib, sys\n"
        f"for each in {commands.split()}: importlib.import_module('server.commands.' + each)\n"
        f"print([each for each in {heavy.split()} if each in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_environment_names_the_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    assert CliRunner().invoke(main, ["init"]).exit_code == 0
    assert (tmp_path / "pki" / "ca.pem").exists()
