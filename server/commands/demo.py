"""`leaver demo`: puts a sample company into an installation that is running. Only for trying Leaver out."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from server.commands.opening import data_option, echo_json, fail, json_option, open_installation
from server.evaluation.demo_load import DemoFailed, DemoLoaded, load_demo


@click.group("demo")
def demo() -> None:
    """A sample company to try Leaver on."""


@demo.command("load")
@click.option("--seed", type=int, default=1, show_default=True, help="Another seed, another company.")
@click.option(
    "--leaver-account",
    required=True,
    help="The account (NAME or NAME@HOST) on this machine that the company's leaver uses.",
)
@click.option("--time-zone", default="UTC", show_default=True, help="Where the company is.")
@data_option
@json_option
def load(seed: int, leaver_account: str, time_zone: str, data: Path | None, as_json: bool) -> None:
    """60 people and 60 days of history, through the log and the running pipeline; then a model."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description:<26}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with open_installation(data) as installation, Progress(*columns, console=console) as bars:
        tasks: dict[str, TaskID] = {}

        def progress(what: str, done: int, of: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=of)
            bars.update(tasks[what], completed=done)

        log = installation.open_log()
        try:
            loaded = load_demo(
                installation.database,
                log,
                installation.pki.open_authority(),
                clock=installation.clock,
                seed=seed,
                leaver_account=leaver_account,
                time_zone=time_zone,
                version=importlib.metadata.version("leaver"),
                progress=progress,
            )
        except DemoFailed as error:
            fail(str(error))
        finally:
            log.close()
    if as_json:
        echo_json(msgspec.to_builtins(loaded))
    else:
        _echo(loaded)


def _echo(loaded: DemoLoaded) -> None:
    click.echo(
        f"{loaded.people} people, {loaded.events:,} events of {loaded.days} days; "
        f"model {loaded.model.id} learned from {loaded.model.summary.subjects} subjects"
    )
