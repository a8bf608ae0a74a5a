"""`leaver model`: which models were trained, when, from what; and training now. More in model_choice.py."""

from __future__ import annotations

import os
from pathlib import Path

import click
from rich.table import Table

from event_schema.byte_size import byte_size
from server.commands.bars import bars
from server.commands.model_choice import activate, compare, rollback, show
from server.commands.model_words import made_words, moment
from server.commands.opening import (
    data_option,
    echo_json,
    json_option,
    open_installation,
    system_actor,
    system_clock,
)
from server.commands.tables import echo_table
from server.people.dates import day_text
from server.training.stored_models import ModelSummary, stored_models


@click.group("model")
def model() -> None:
    """The models of normal behaviour that anomaly scores come from."""


@model.command("list")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="The latest ones.")
@data_option
@json_option
def list_models(limit: int, data: Path | None, as_json: bool) -> None:
    """The latest models; the active one scores what comes in."""
    with open_installation(data) as installation, installation.database.read() as connection:
        rows = stored_models(connection, limit)
    if as_json:
        echo_json(rows)
        return
    if not rows:
        click.echo("No model yet: leaver up trains the first once there is a whole day to learn from.")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("id", "made", "active", "size"):
        table.add_column(column, no_wrap=True, justify="right" if column in {"id", "size"} else "left")
    table.add_column("made from", overflow="fold")
    for row in rows:
        table.add_row(
            str(row.id),
            moment(row.created_at),
            "yes" if row.active else "",
            byte_size(row.bytes),
            _made_from(row.summary, row.active),
        )
    echo_table(table)


def _made_from(summary: ModelSummary, is_active: bool) -> str:
    days = f"{day_text(summary.first_day)} to {day_text(summary.last_day)}"
    words = f"{summary.subjects:,} people, {summary.days:,} days with data of {days}"
    if summary.cold_start:
        return f"{words}; a cold start"
    slow = f", {summary.slow_line:.2g} by drift" if summary.slow_line else ""
    words += f"; line p {summary.line:.2g}{slow}"
    return f"{words}; chosen by hand" if is_active and summary.chosen else words


@model.command("train")
@click.option(
    "--seed",
    type=click.IntRange(0, 2**31 - 1),
    default=1,
    show_default=True,
    help="The same days and seed give the same model.",
)
@click.option(
    "--alerts-per-1000",
    type=click.FloatRange(0.01, 1000),
    help="Alerts per 1,000 people and day; else as the active model, at first 5.",
)
@data_option
@json_option
def train(seed: int, alerts_per_1000: float | None, data: Path | None, as_json: bool) -> None:
    """Train on all complete days and use the new model at once. leaver up does so by itself, weekly.

    The server goes on meanwhile. What leaver model activate chose is replaced too.
    """
    # Imported here: scikit-learn takes seconds to load.
    from server.training.activity_training import NothingMeasured, train_activities  # noqa: PLC0415

    os.nice(10)
    now = system_clock()
    with open_installation(data) as installation, bars() as move:
        try:
            made = train_activities(
                installation.database,
                now=now,
                seed=seed,
                alerts_per_1000_a_day=alerts_per_1000,
                actor=system_actor(),
                activity_days=installation.config.retention.activity_days,
                progress=lambda what, part: move("training", round(100 * part), 100),
            )
        except NothingMeasured:
            made = None
    if as_json:
        echo_json(made)
        return
    click.echo(made_words(made) if made is not None else "Nothing was measured yet: no model.")


for command in (show, compare, activate, rollback):
    model.add_command(command)
