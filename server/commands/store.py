"""`leaver store migrate`: an installation's database into another one, while nothing runs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from sqlalchemy.engine import make_url

from server.commands.opening import (
    FINDINGS,
    UNREACHABLE,
    data_option,
    echo_json,
    fail,
    json_option,
    open_installation,
    system_clock,
)
from server.config import ConfigError, DatabaseConfig, ServerConfig, check_database
from server.data_directory import AlreadyRunning, DataDirectory, DataDirectoryError, data_directory_from
from server.people.hr_view import hr_grants
from server.store.database import Database, StoreUnavailable, open_database
from server.store.transfer import TransferFailed, Transferred, transfer
from server.store.up_lock import UpLock


@click.group("store")
def store() -> None:
    """The database behind an installation."""


@store.command("hr-role")
@data_option
def hr_role(data: Path | None) -> None:
    """SQL for PostgreSQL: a role that reads what HR may see, and nothing else.

    For the database's administrator: `leaver store hr-role | psql DATABASE`. HR's views take the role on from
    then on. With SQLite they are held to the same tables without it.
    """
    with open_installation(data) as installation:
        user = make_url(installation.database.url).username
        if installation.database.dialect != "postgresql" or not user:
            fail("SQLite has no roles: HR's views are held to HR's tables there by themselves")
        click.echo(hr_grants(user), nl=False)


@store.command("migrate")
@click.option("--to", "to_url", required=True, metavar="URL", help="Empty database; without a password.")
@click.option("--to-password-file", default="", metavar="FILE", help="Its password, in one line.")
@click.option("--from", "from_url", metavar="URL", help="Else the one that the data directory uses.")
@click.option("--from-password-file", default="", metavar="FILE", help="Its password, in one line.")
@data_option
@json_option
def migrate(
    to_url: str,
    to_password_file: str,
    from_url: str | None,
    from_password_file: str,
    data: Path | None,
    as_json: bool,
) -> None:
    """Copy everything from one database into another, SQLite or PostgreSQL. leaver up must not run.

    All or nothing: what was copied is counted table by table, and the audit trail checked, before it is
    kept. Settings stay as they are: it ends by saying what to write into server.toml.

    URLs: sqlite:////absolute/path/leaver.db, postgresql://user@host/database
    """
    directory = data_directory_from(data)
    if from_password_file and from_url is None:
        raise click.UsageError("--from-password-file goes with --from")
    try:
        if from_url is None:
            directory.require()
            source = directory.load_config().database
        else:
            source = _checked("--from", DatabaseConfig(from_url, from_password_file))
        target = _checked("--to", DatabaseConfig(to_url, to_password_file))
        with (
            _nothing_runs(directory),
            _opened(directory, source, new=False) as read,
            _opened(directory, target, new=True) as write,
        ):
            done = _transfer(read, write)
    except (AlreadyRunning, ConfigError, TransferFailed) as error:
        fail(str(error))
    except (DataDirectoryError, StoreUnavailable) as error:
        fail(str(error), UNREACHABLE)
    if as_json:
        echo_json(done)
    else:
        _echo(done, target)
    if done.audit_broken_at is not None:
        raise SystemExit(FINDINGS)


def _checked(option: str, config: DatabaseConfig) -> DatabaseConfig:
    if not config.url:
        raise click.UsageError(f"{option}: is empty")
    try:
        check_database(config)
    except ValueError as error:
        raise click.UsageError(f"{option}: {str(error).removeprefix('database.url: ')}") from None
    return config


@contextlib.contextmanager
def _nothing_runs(directory: DataDirectory) -> Iterator[None]:
    """Holds the lock of a data directory, where there is one."""
    if not directory.root.is_dir():
        yield
        return
    with directory.locked(clock=system_clock):
        yield


@contextlib.contextmanager
def _opened(directory: DataDirectory, config: DatabaseConfig, *, new: bool) -> Iterator[Database]:
    """The database, with the lock that `leaver up` holds on it."""
    url = directory.database_url(ServerConfig(database=config))
    with contextlib.ExitStack() as held:
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite":
            path = Path(parsed.database or "").absolute()
            if not new and not path.is_file():
                raise StoreUnavailable(f"{path}: no such file")
            # As --data, or as the default, of another server.
            if path.parent != directory.root and (path.parent / directory.lock_path.name).exists():
                held.enter_context(_nothing_runs(DataDirectory(path.parent)))
        database = held.enter_context(contextlib.closing(open_database(url, clock=system_clock)))
        held.enter_context(UpLock(database))
        yield database


def _transfer(source: Database, target: Database) -> Transferred:
    columns = (TextColumn("{task.description:<18}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bars:
        tasks: dict[str, TaskID] = {}

        def progress(table: str, done: int, of: int) -> None:
            if table not in tasks:
                tasks[table] = bars.add_task(table, total=of, visible=of > 0)
            bars.update(tasks[table], completed=done)

        return transfer(source, target, progress)


def _echo(done: Transferred, target: DatabaseConfig) -> None:
    filled = {table: rows for table, rows in done.rows.items() if rows}
    width = max((len(f"{rows:,}") for rows in filled.values()), default=0)
    for table, rows in filled.items():
        click.echo(f"  {rows:>{width},}  {table}")
    if done.audit_broken_at is None:
        click.echo(
            f"{sum(done.rows.values()):,} rows copied, all counted again; the audit trail's chain holds."
        )
    else:
        click.secho(
            f"Copied as it was: the audit trail's chain is broken at row {done.audit_broken_at}.", fg="yellow"
        )
    click.echo("From now on, in server.toml:\n\n[database]")
    click.echo(f"url = {msgspec.json.encode(target.url).decode()}")
    if target.password_file:
        click.echo(f"password_file = {msgspec.json.encode(target.password_file).decode()}")
