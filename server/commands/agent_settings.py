"""`leaver agents settings`: what all endpoints are to collect, handed to them signed."""

from __future__ import annotations

from pathlib import Path

import click
from rich.table import Table

from server.agents.settings import (
    SettingsRefused,
    current_settings,
    set_settings,
    settings_history,
)
from server.commands.opening import (
    checked_reason,
    data_option,
    echo_json,
    fail,
    json_option,
    open_installation,
    system_actor,
    system_clock,
)
from server.commands.tables import age, echo_table
from server.pki.authority import PkiError

REASON_CHARACTERS_MAX = 1000
FILE_BYTES_MAX = 1 << 20


@click.group("settings")
def settings() -> None:
    """What all endpoints are to collect. Their own files can only narrow it."""


@settings.command("set")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True))
@click.option("--reason", required=True, help="Why; kept in the audit trail.")
@data_option
def set_from_file(file: Path, reason: str, data: Path | None) -> None:
    """Hand FILE ("-": standard input) to all agents: tables [collectors.…], [labels] and [destinations] as
    in deploy/agent.toml.

    FILE replaces the whole earlier version; an empty one takes all settings back. Agents fetch it within
    five minutes and check the keys and values; who refused: leaver agents list, leaver status.
    """
    reason = checked_reason(reason, REASON_CHARACTERS_MAX)
    with open_installation(data) as installation:
        text = _read(file)
        try:
            authority = installation.pki.open_authority()
            with installation.database.begin() as connection:
                version = set_settings(
                    connection,
                    text,
                    authority=authority,
                    now=system_clock(),
                    actor=system_actor(),
                    reason=reason,
                )
        except SettingsRefused as error:
            fail(f"{file}: {error}")
        except PkiError as error:
            fail(str(error))
    click.echo(f"version {version}: replaces the whole version before; agents fetch it within five minutes")
    click.echo("Agents check the keys and values: leaver agents list and leaver status show who refused.")


@settings.command("show")
@data_option
@json_option
def show(data: Path | None, as_json: bool) -> None:
    """The settings that hold, as they were set."""
    with open_installation(data) as installation, installation.database.read() as connection:
        found = current_settings(connection)
    if as_json:
        echo_json(found)
    elif found is None:
        click.echo("No settings: each endpoint goes by its own file and the defaults.", err=True)
    else:
        click.echo(f"# version {found.version}", err=True)
        click.echo(found.settings, nl=not found.settings.endswith("\n"))


@settings.command("history")
@data_option
@json_option
def history(data: Path | None, as_json: bool) -> None:
    """Who set which version, when and why, newest first."""
    with open_installation(data) as installation, installation.database.read() as connection:
        found = settings_history(connection)
    if as_json:
        echo_json(found)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("version", "set", "by"):
        table.add_column(column, no_wrap=True)
    table.add_column("reason", overflow="fold")
    now = system_clock()
    for version in found:
        table.add_row(str(version.version), age(version.issued_at, now), version.issued_by, version.reason)
    echo_table(table)


def _read(file: Path) -> str:
    try:
        with click.open_file(str(file), "rb") as stream:
            data = stream.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        fail(f"{file}: {error.strerror}")
    if len(data) > FILE_BYTES_MAX:
        fail(f"{file}: over {FILE_BYTES_MAX} bytes")
    try:
        return bytes(data).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        fail(f"{file}: not UTF-8 at byte {error.start}")
