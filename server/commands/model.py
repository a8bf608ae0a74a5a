"""`leaver model`: which models were trained, when, from what; and training one now."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.table import Table
from sqlalchemy import func, select

from event_schema.byte_size import byte_size
from event_schema.struct_base import Milliseconds
from server.commands.opening import data_option, echo_json, json_option, open_installation, system_clock
from server.commands.tables import echo_table
from server.people.dates import day_text
from server.store.tables import models


class _Model(msgspec.Struct, frozen=True):
    id: int
    kind: str
    created_at: Milliseconds
    active: bool
    summary: dict[str, Any]
    bytes: int


@click.group("model")
def model() -> None:
    """The models of normal behaviour that anomaly scores come from."""


@model.command("list")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="The latest ones.")
@data_option
@json_option
def list_models(limit: int, data: Path | None, as_json: bool) -> None:
    """The latest models; the active ones score what comes in."""
    query = (
        select(
            models.c.id,
            models.c.kind,
            models.c.created_at,
            models.c.active,
            models.c.summary,
            func.length(models.c.state).label("bytes"),
        )
        .order_by(models.c.id.desc())
        .limit(limit)
    )
    with open_installation(data) as installation, installation.database.read() as connection:
        rows = [msgspec.convert(row, _Model, from_attributes=True) for row in connection.execute(query)]
    if as_json:
        echo_json(rows)
        return
    if not rows:
        click.echo("No model yet: the first is trained once there is enough history.")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("id", "kind", "made", "active", "size"):
        table.add_column(column, no_wrap=True, justify="right" if column in {"id", "size"} else "left")
    table.add_column("made from", overflow="fold")
    for row in rows:
        table.add_row(
            str(row.id),
            row.kind,
            datetime.fromtimestamp(row.created_at / 1000, UTC).strftime("%Y-%m-%d %H:%MZ"),
            "yes" if row.active else "",
            byte_size(row.bytes),
            _made_from(row.summary),
        )
    echo_table(table)


def _made_from(summary: dict[str, Any]) -> str:
    """What server/training says of it, in words."""
    words = f"{summary['subjects']:,} people, {summary['days']:,} days to {day_text(summary['last_day'])}"
    return f"{words}; a cold start" if summary["cold_start"] else words


@model.command("train")
@data_option
@json_option
def train(data: Path | None, as_json: bool) -> None:
    """Train on all complete days and use the new model at once. leaver up does so by itself, weekly."""
    # Imported here: scikit-learn takes seconds to load.
    from server.training.storage_training import train_storage_model  # noqa: PLC0415

    with open_installation(data) as installation:
        made = train_storage_model(installation.database, now=system_clock())
    if as_json:
        echo_json(made)
        return
    quality = "too little history for a forest yet" if made.cold_start else "in use from now on"
    click.echo(f"Model {made.id}: {made.subjects:,} subjects, {made.days:,} days with data; {quality}.")
