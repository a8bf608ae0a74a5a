"""`leaver status` and `leaver dead-letters`: is everything received, worked on and understood?"""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec
from rich.table import Table
from sqlalchemy import func, select

from event_schema.printable import printable_name
from event_schema.struct_base import Milliseconds
from server.commands.opening import (
    FINDINGS,
    data_option,
    echo_json,
    json_option,
    open_installation,
)
from server.commands.status_text import status_lines
from server.commands.tables import echo_table
from server.log.contract import LogUnavailable
from server.process_state import read_process_state
from server.status import installation_status
from server.store.tables import dead_letters


@click.command("status")
@data_option
@json_option
def status(data: Path | None, as_json: bool) -> None:
    """Health of the installation. Exit code 3 when something needs a look."""
    with open_installation(data) as installation:
        process = read_process_state(installation.directory)
        try:
            log = installation.open_log(create=False)
        except LogUnavailable:
            log = None
        try:
            found = installation_status(installation, log, process)
        finally:
            if log is not None:
                log.close()
    if as_json:
        echo_json(found)
    else:
        for line in status_lines(found, width=shutil.get_terminal_size().columns):
            click.secho(line.text, fg="yellow" if line.is_finding else None)
    if found.findings:
        raise SystemExit(FINDINGS)


class _DeadLetter(msgspec.Struct, frozen=True):
    """`event_index`: -1 where it is a whole record. `size`: bytes of the original."""

    id: int
    received_at: Milliseconds
    agent: str | None
    reason: str
    message: str
    partition: int
    offset: int
    event_index: int
    size: int


@click.group("dead-letters")
def dead_letters_group() -> None:
    """Records and events that could not be read; they are kept aside."""


@dead_letters_group.command("list")
@click.option(
    "--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="The latest ones."
)
@data_option
@json_option
def list_dead_letters(limit: int, data: Path | None, as_json: bool) -> None:
    """The latest dead letters: when, from whom, and what is wrong with them."""
    table = dead_letters
    query = (
        select(
            table.c.id,
            table.c.received_at,
            table.c.agent,
            table.c.reason,
            table.c.message,
            table.c.partition,
            table.c.offset,
            table.c.event_index,
            table.c.size,
        )
        .order_by(table.c.id.desc())
        .limit(limit)
    )
    with open_installation(data) as installation, installation.database.read() as connection:
        rows = [msgspec.convert(row, _DeadLetter, from_attributes=True) for row in connection.execute(query)]
        total = connection.execute(select(func.count()).select_from(table)).scalar_one()
    if as_json:
        echo_json({"total": total, "dead_letters": rows})
        return
    if not rows:
        click.echo("No dead letters.")
        return
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("received", "agent", "reason", "place", "bytes"):
        shown.add_column(column, no_wrap=True, justify="right" if column == "bytes" else "left")
    shown.add_column("what is wrong", overflow="fold")
    for row in rows:
        event = "" if row.event_index < 0 else f" event {row.event_index}"
        shown.add_row(
            datetime.fromtimestamp(row.received_at / 1000, UTC).isoformat(" ", "seconds"),
            printable_name(row.agent or "-"),
            row.reason,
            f"{row.partition}:{row.offset}{event}",
            f"{row.size:,}",
            printable_name(row.message),
        )
    echo_table(shown)
    if total > len(rows):
        click.echo(f"{total - len(rows):,} older ones not shown (--limit)")
