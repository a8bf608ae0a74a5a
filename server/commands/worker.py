"""`leaver worker`: a further process for the pipeline."""

from __future__ import annotations

import ipaddress
import re
import signal
import socket
import threading
from pathlib import Path

import click

from server.commands.opening import UNREACHABLE, USAGE, data_option, fail, system_clock
from server.commands.running import config_option
from server.config import ConfigError, split_address
from server.data_directory import DataDirectoryError, data_directory_from
from server.installation import opened_installation
from server.json_log import log_to_stderr
from server.log.contract import LogUnavailable
from server.pki.authority import PkiError
from server.store.database import StoreUnavailable

LISTEN_VARIABLE = "LEAVER_WORKER_LISTEN"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")


def _name(_context: click.Context, _option: click.Parameter, value: str | None) -> str:
    name = socket.gethostname()[:64] if value is None else value
    if not _NAME.match(name):
        raise click.BadParameter(
            f"{name!r} is not 1 to 64 of A-Z a-z 0-9 . _ -, beginning with a letter or digit"
        )
    return name


def _listen(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    if not value:
        return None
    try:
        host, _port = split_address(value)
        is_local = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    if not is_local:
        # The token for /metrics must not cross a network in the clear.
        raise click.BadParameter(f"{host} is not an address of this machine alone: 127.0.0.1 or ::1")
    return value


@click.command("worker")
@click.option(
    "--name",
    callback=_name,
    help="Its own among all workers, and the same after each restart (else this host's name).",
)
@click.option(
    "--listen",
    envvar=LISTEN_VARIABLE,
    callback=_listen,
    metavar="HOST:PORT",
    help=f"Loopback address for /metrics, /healthz, /readyz over HTTP (else ${LISTEN_VARIABLE}, else none).",
)
@data_option
@config_option
def worker(name: str, listen: str | None, data: Path | None, config_path: Path | None) -> None:
    """Work on a share of the log beside leaver up; needs Kafka and PostgreSQL.

    Start as many as there are cores to spare, up to one a partition. One that ends, or dies, is replaced by
    the others after pipeline.session_seconds, unless it comes back under its name before.
    """
    directory = data_directory_from(data)
    try:
        if config_path is None:
            directory.require()
        config = directory.load_config(config_path)
    except DataDirectoryError as error:
        fail(str(error), UNREACHABLE)
    except ConfigError as error:
        fail(str(error), USAGE)
    if config.log.kind != "kafka" or not config.database.url.startswith("postgresql"):
        raise click.UsageError(
            "workers share a log on Kafka (log.kind) and a database on PostgreSQL (database.url);"
            " without them one `leaver up` does it all"
        )
    from server.api.https_server import ListenError  # noqa: PLC0415
    from server.worker_process import WorkerFailed, run_worker  # noqa: PLC0415 - takes a second

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    log_to_stderr()
    try:
        directory.create()
        with opened_installation(directory, config, clock=system_clock) as installation:
            run_worker(installation, name, listen=listen, stop=stop, say=click.echo)
    except (DataDirectoryError, StoreUnavailable) as error:
        fail(str(error), UNREACHABLE)
    except ConfigError as error:
        fail(str(error), USAGE)
    except (LogUnavailable, ListenError, PkiError, WorkerFailed) as error:
        fail(str(error))
