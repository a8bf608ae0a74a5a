"""What a collector that reads a server's log asks of its host before it begins."""

from __future__ import annotations

from importlib.util import find_spec

from collectors.contract import Unsupported
from collectors.database_config import AccountUnusable, read_account
from collectors.install_command import pip_command
from collectors.log_series import LogSeries
from event_schema.printable import printable_name


def need_package(name: str) -> None:
    """Raises Unsupported where the Python package is missing."""
    if find_spec(name) is None:
        raise Unsupported(
            f"the Python package {name} is missing, which reading databases' logs needs (docs/databases.md)",
            pip_command("databases"),
        )


def need_log(path: str, setting: str) -> None:
    """Raises Unsupported where no file of that name can be read."""
    if not path:
        raise Unsupported(f"say where the server's log is: {setting}")
    shown = printable_name(path)
    try:
        series = LogSeries(path, None, line_bytes_max=1)
        is_there = bool(series.position())
        series.close()
    except OSError as error:
        raise Unsupported(f"{shown}: {error.strerror}") from error
    if not is_there:
        raise Unsupported(f"{shown}: there is no such file; the server has not been told to write it")


def need_account(path: str) -> None:
    """Raises Unsupported where the account's file cannot be used."""
    try:
        read_account(path)
    except AccountUnusable as error:
        raise Unsupported(str(error)) from error
