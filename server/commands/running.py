"""`leaver up`, `leaver init`, `leaver config show`."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import click

from server.commands.opening import (
    UNREACHABLE,
    USAGE,
    Command,
    data_option,
    echo_json,
    fail,
    json_option,
    system_clock,
)
from server.config import ConfigError, show_config
from server.data_directory import AlreadyRunning, DataDirectoryError, data_directory_from
from server.installation import created_installation
from server.json_log import log_to_stderr
from server.log.contract import LogUnavailable
from server.pki.authority import PkiError
from server.store.database import StoreUnavailable


def config_option(command: Command) -> Command:
    """--config FILE, given to the command as `config_path: Path | None`."""
    option = click.option(
        "--config",
        "config_path",
        type=click.Path(path_type=Path, dir_okay=False),
        help="Settings file (else server.toml in the data directory).",
    )
    return option(command)


@click.command("up")
@data_option
@config_option
def up(data: Path | None, config_path: Path | None) -> None:
    """Run the server: HTTPS for agents, pipeline, housekeeping. Makes what is missing at first start."""
    directory = data_directory_from(data)
    try:
        config = directory.load_config(config_path)
        directory.create()
        with directory.locked(clock=system_clock):
            # What would refuse the start is said at once: loading all that runs takes seconds.
            pass
    except AlreadyRunning as error:
        fail(str(error))
    except DataDirectoryError as error:
        fail(str(error), UNREACHABLE)
    except ConfigError as error:
        fail(str(error), USAGE)

    from server.api.https_server import ListenError  # noqa: PLC0415
    from server.up import UpFailed, run_up  # noqa: PLC0415

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    log_to_stderr()
    try:
        run_up(directory, config, clock=system_clock, stop=stop, say=click.echo)
    except AlreadyRunning as error:
        fail(str(error))
    except (DataDirectoryError, StoreUnavailable) as error:
        fail(str(error), UNREACHABLE)
    except ConfigError as error:
        fail(str(error), USAGE)
    except (PkiError, ListenError, LogUnavailable, UpFailed) as error:
        fail(str(error))


@click.command("init")
@data_option
@config_option
def init(data: Path | None, config_path: Path | None) -> None:
    """Make the data directory, database and CA, without running anything."""
    directory = data_directory_from(data)
    try:
        config = directory.load_config(config_path)
        directory.create()
        with (
            directory.locked(clock=system_clock),
            created_installation(directory, config, clock=system_clock) as (_installation, authority),
        ):
            click.echo(f"{directory.root} is ready. CA sha256:{authority.fingerprint}")
    except AlreadyRunning as error:
        fail(str(error))
    except (DataDirectoryError, StoreUnavailable) as error:
        fail(str(error), UNREACHABLE)
    except ConfigError as error:
        fail(str(error), USAGE)
    except PkiError as error:
        fail(str(error))


@click.group("config")
def config_group() -> None:
    """The server's settings."""


@config_group.command("show")
@data_option
@config_option
@json_option
def show(data: Path | None, config_path: Path | None, as_json: bool) -> None:
    """The settings in use, with all defaults. Secrets are in other files and never show."""
    try:
        config = data_directory_from(data).load_config(config_path)
    except ConfigError as error:
        fail(str(error), USAGE)
    if as_json:
        echo_json(config)
    else:
        click.echo(show_config(config), nl=False)
