"""What every command shares: --data, --json, the installation it opens, and what its exit code means.

Exit codes: 0 fine, 1 failed, 2 wrong usage or settings, 3 findings, 4 the data cannot be reached.
"""

from __future__ import annotations

import os
import pwd
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click
import msgspec

from server.config import ConfigError
from server.data_directory import DATA_VARIABLE, DataDirectoryError, data_directory_from
from server.installation import Installation, opened_installation
from server.json_times import with_datetimes
from server.store.column_types import is_storable, storable
from server.store.database import StoreUnavailable

FAILED, USAGE, FINDINGS, UNREACHABLE = 1, 2, 3, 4

_NO_LOGIN = 4_294_967_295
"""The kernel's login uid of what no login started."""

Command = TypeVar("Command", bound=Callable[..., Any])


def data_option(command: Command) -> Command:
    """--data DIR, given to the command as `data: Path | None`."""
    option = click.option(
        "--data",
        type=click.Path(path_type=Path, file_okay=False),
        help=f"Data directory (else ${DATA_VARIABLE}, else /var/lib/leaver).",
    )
    return option(command)


def json_option(command: Command) -> Command:
    """--json, given to the command as `as_json: bool`."""
    return click.option("--json", "as_json", is_flag=True, help="For programs: one JSON document.")(command)


def fail(message: str, code: int = FAILED) -> NoReturn:
    """Says why on standard error, and exits."""
    click.echo(f"leaver: {message}", err=True)
    raise SystemExit(code)


def system_clock() -> int:
    """Milliseconds UTC."""
    return time.time_ns() // 1_000_000


def system_actor() -> str:
    """Who runs this command, for the audit trail: "cli:NAME", or "cli:NAME as USER" for somebody who logged
    in as NAME and runs it as USER. By what the kernel knows, never by the environment."""
    user = _user_name(os.getuid())
    try:
        login_uid = int(Path("/proc/self/loginuid").read_text())
    except (OSError, ValueError):
        login_uid = _NO_LOGIN
    login = user if login_uid == _NO_LOGIN else _user_name(login_uid)
    return storable((f"cli:{login}" if login == user else f"cli:{login} as {user}")[:256])


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def checked_reason(reason: str, longest: int) -> str:
    """What was given as --reason, trimmed; else wrong usage."""
    reason = reason.strip()
    if not 1 <= len(reason) <= longest or not is_storable(reason):
        raise click.UsageError(f"--reason needs 1 to {longest} characters of plain text")
    return reason


@contextmanager
def open_installation(data: Path | None) -> Iterator[Installation]:
    """The installation that a command works on; exits with 4 where it cannot be reached."""
    directory = data_directory_from(data)
    try:
        with opened_installation(directory, directory.load_config(), clock=system_clock) as opened:
            yield opened
    except (DataDirectoryError, StoreUnavailable) as error:
        fail(str(error), UNREACHABLE)
    except ConfigError as error:
        fail(str(error), USAGE)


def echo_json(content: object) -> None:
    """One document; times in it as server/json_times.py says."""
    click.echo(msgspec.json.format(msgspec.json.encode(with_datetimes(content)), indent=2).decode())
