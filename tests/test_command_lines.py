"""`leaver` and `leaver-agent`: every command explains itself, and exit codes mean what they say."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from agent.command_line import main as leaver_agent
from server.command_line import main as leaver

PROGRAMS = {"leaver": leaver, "leaver-agent": leaver_agent}
MAKES_OR_NEEDS_NO_DATA = {
    "leaver up",
    "leaver init",
    "leaver config show",
    "leaver policy match",
    "leaver eval cert",
    "leaver policy record",
    "leaver eval departures",
    "leaver eval simulate",
    "leaver evidence verify",
}
"""`up` and `init` make the data directory, `config show` shows the defaults, `policy match` and `evidence
verify` read files,
`eval` makes an installation of its own."""


def _walk(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from _walk(inner, (*path, name))


COMMANDS = {
    " ".join(path): command for name, program in PROGRAMS.items() for path, command in _walk(program, (name,))
}
LEAVES = [name for name, command in COMMANDS.items() if not isinstance(command, click.Group)]


def _call(name: str, *arguments: str) -> tuple[int, str]:
    """(exit code, what it said on both streams)."""
    program, *path = name.split(" ")
    done = CliRunner().invoke(PROGRAMS[program], [*path, *arguments], prog_name=program)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.output


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_and_all_its_options_are_explained(name: str) -> None:
    command = COMMANDS[name]
    assert len(command.help or "") > 20
    unexplained = [
        option.name for option in command.params if isinstance(option, click.Option) and not option.help
    ]
    assert unexplained == []
    code, said = _call(name, "--help")
    assert code == 0
    assert said.startswith(f"Usage: {name}")


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_program_says_what_its_exit_codes_mean(program: str) -> None:
    said = " ".join(_call(program, "--help")[1].split())
    _, _, codes = said.partition("Exit codes: ")
    for code in ("0 ", "1 ", "2 ", "3 ", "4 "):
        assert code in codes


@pytest.mark.parametrize("name", COMMANDS)
def test_wrong_usage_exits_with_two_and_says_how_to_get_help(name: str) -> None:
    code, said = _call(name, "--no-such-option")
    assert code == 2
    assert "No such option" in said
    assert f"{name} --help" in said


@pytest.mark.parametrize("name", [n for n in LEAVES if n not in MAKES_OR_NEEDS_NO_DATA and "agent " not in n])
def test_without_data_a_command_of_the_server_exits_with_four_and_names_the_place(
    name: str, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.write_text("id\n", encoding="ascii")
    arguments = []
    for parameter in COMMANDS[name].params:
        if parameter.required:
            value = str(file) if isinstance(parameter.type, click.Path) else "1"
            if isinstance(parameter.type, click.Choice):
                value = str(next(iter(parameter.type.choices)))
            arguments += [*parameter.opts[:1], value] if isinstance(parameter, click.Option) else [value]
    code, said = _call(name, *arguments, "--data", str(tmp_path / "nowhere"))
    assert (code, str(tmp_path / "nowhere") in said) == (4, True), said


@pytest.mark.parametrize("name", [n for n in LEAVES if n.startswith("leaver-agent ")])
def test_settings_that_cannot_be_used_exit_with_two_and_name_the_file(name: str, tmp_path: Path) -> None:
    settings = tmp_path / "agent.toml"
    settings.write_text("[agnt]\n", encoding="ascii")
    code, said = _call(name, "--config", str(settings))
    assert code == 2
    assert f"{settings}: unknown key agnt: did you mean agent?" in said
