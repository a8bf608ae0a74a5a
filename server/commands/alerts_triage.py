"""What analysts do with alerts in the console, from the command line: `leaver alerts assign`, `note` and
so on, and who did what (`leaver alerts history`)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from rich.table import Table
from sqlalchemy import Connection

from server.alerts.history import HISTORY_MAX, Step, history_of
from server.alerts.queries import UnknownAlert, get_alert
from server.commands.moments import read_moment
from server.commands.opening import (
    FAILED,
    data_option,
    echo_json,
    fail,
    json_option,
    open_installation,
    system_actor,
    system_clock,
)
from server.commands.tables import age, echo_table
from server.installation import Installation
from server.json_times import rfc3339
from server.people.text_mask import masked_prose
from server.triage.in_turns import in_turns, undo_in_turns
from server.triage.judging import Keeping, reopen
from server.triage.merging import NoMain, merge, unmerge
from server.triage.outcome import Change, Outcome
from server.triage.reading import Note, notes_of
from server.triage.undoing import CannotUndo
from server.triage.verbs import assign, note, snooze, wake

Do = Callable[[Installation, Connection, Change], Outcome]
_ids = click.argument("alert_ids", metavar="ID...", type=int, nargs=-1, required=True)


@click.command("assign")
@_ids
@click.option("--to", "owner", help="A user of the console; without it: nobody.")
@data_option
@json_option
def assign_command(alert_ids: tuple[int, ...], owner: str | None, data: Path | None, as_json: bool) -> None:
    """Say whose task alerts are."""
    _carry_out(data, as_json, alert_ids, lambda _opened, write, change: assign(write, change, owner))


@click.command("note")
@_ids
@click.option("--text", required=True, help="What to note; shown with names hidden.")
@data_option
@json_option
def note_command(alert_ids: tuple[int, ...], text: str, data: Path | None, as_json: bool) -> None:
    """Add a note to alerts; notes stay."""
    _carry_out(data, as_json, alert_ids, lambda _opened, write, change: note(write, change, text))


@click.command("snooze")
@_ids
@click.option("--until", required=True, help='UTC, such as "2026-11-30" or "2026-11-30 09:00".')
@data_option
@json_option
def snooze_command(alert_ids: tuple[int, ...], until: str, data: Path | None, as_json: bool) -> None:
    """Let open alerts sleep until then, or until anything new comes."""

    def do(_opened: Installation, write: Connection, change: Change) -> Outcome:
        return snooze(write, change, read_moment("--until", until, "UTC", change.at))

    _carry_out(data, as_json, alert_ids, do)


@click.command("wake")
@_ids
@data_option
@json_option
def wake_command(alert_ids: tuple[int, ...], data: Path | None, as_json: bool) -> None:
    """End the sleep of alerts."""
    _carry_out(data, as_json, alert_ids, lambda _opened, write, change: wake(write, change))


@click.command("reopen")
@_ids
@data_option
@json_option
def reopen_command(alert_ids: tuple[int, ...], data: Path | None, as_json: bool) -> None:
    """Open closed alerts again, and take their verdict back."""
    _carry_out(
        data,
        as_json,
        alert_ids,
        lambda opened, write, change: reopen(write, change, keeping=_keeping(opened)),
    )


@click.command("merge")
@_ids
@click.option("--into", required=True, type=int, help="The alert that the others become parts of.")
@data_option
@json_option
def merge_command(alert_ids: tuple[int, ...], into: int, data: Path | None, as_json: bool) -> None:
    """Merge alerts about one matter into one of them, with which they are judged."""
    _carry_out(data, as_json, alert_ids, lambda _opened, write, change: merge(write, change, into))


@click.command("unmerge")
@_ids
@data_option
@json_option
def unmerge_command(alert_ids: tuple[int, ...], data: Path | None, as_json: bool) -> None:
    """Take alerts out of the one that they were merged into."""
    _carry_out(data, as_json, alert_ids, lambda _opened, write, change: unmerge(write, change))


@click.command("undo")
@click.argument("group", metavar="NUMBER", type=int)
@data_option
@json_option
def undo_command(group: int, data: Path | None, as_json: bool) -> None:
    """Take back what a command of yours changed in the last ten minutes; it said the number."""
    with open_installation(data) as installation:
        try:
            found = undo_in_turns(
                installation.database, group, system_actor(), system_clock(), keeping=_keeping(installation)
            )
        except CannotUndo as error:
            fail(str(error))
    _tell(found, as_json)


@click.command("history")
@click.argument("alert_id", metavar="ID", type=int)
@data_option
@json_option
def history_command(alert_id: int, data: Path | None, as_json: bool) -> None:
    """Who changed what of an alert and when, and its notes; the latest first, names hidden."""
    with open_installation(data) as installation:
        with installation.database.read() as connection:
            try:
                get_alert(connection, alert_id)
            except UnknownAlert as error:
                fail(str(error))
            steps, notes = history_of(connection, alert_id), notes_of(connection, alert_id)
        rows = [*map(_step_row, steps), *map(_note_row, notes)]
        rows.sort(key=lambda row: -int(row["at"]))
        words = masked_prose(installation, [row["words"] or "" for row in rows])
    rows = [row | {"words": said or None} for row, said in zip(rows, words, strict=True)][:HISTORY_MAX]
    if as_json:
        echo_json([row | {"at_dt": rfc3339(row["at"])} for row in rows])
    elif not rows:
        click.echo(f"Nobody changed anything of alert {alert_id}.")
    else:
        echo_table(_table(rows))


COMMANDS = (
    assign_command,
    note_command,
    snooze_command,
    wake_command,
    reopen_command,
    merge_command,
    unmerge_command,
    undo_command,
    history_command,
)


def _carry_out(data: Path | None, as_json: bool, alert_ids: tuple[int, ...], do: Do) -> None:
    """Exits with 1 where no alert was changed."""
    with open_installation(data) as installation:
        try:
            change = Change(system_actor(), system_clock(), alert_ids)
            found = in_turns(installation.database, change, lambda write, turn: do(installation, write, turn))
        except NoMain as error:
            fail(str(error))
        except ValueError as error:
            raise click.UsageError(str(error)) from None
    _tell(found, as_json)


def _tell(found: Outcome, as_json: bool) -> None:
    if as_json:
        echo_json(found)
    else:
        for refused in found.refused:
            click.echo(refused.message, err=True)
        for number in found.done:
            click.echo(f"Alert {number}: {found.verb}.")
        if found.group is not None:
            click.echo(f"For ten minutes: leaver alerts undo {found.group}")
    if not found.done:
        raise SystemExit(FAILED)


def _keeping(installation: Installation) -> Keeping:
    retention = installation.config.retention
    return Keeping(retention.events_days, retention.activity_days, system_clock)


def _step_row(step: Step) -> dict[str, Any]:
    changed = {name: list(values) for name, values in step.changes.columns.items()}
    row = {"at": step.at, "actor": step.actor, "verb": step.verb, "changed": changed}
    return row | {"words": step.reason, "undo_group": step.undo_group, "undoes": step.undoes}


def _note_row(noted: Note) -> dict[str, Any]:
    row: dict[str, Any] = {"at": noted.at, "actor": noted.actor, "verb": "note", "changed": {}}
    return row | {"words": noted.text, "undo_group": None, "undoes": None}


def _table(rows: list[dict[str, Any]]) -> Table:
    now = system_clock()
    table = Table(box=None, pad_edge=False)
    for heading in ("When", "Who", "What", "Changed", "Words"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        changed = ", ".join(
            f"{name}: {_shown(before)} → {_shown(after)}" for name, (before, after) in row["changed"].items()
        )
        table.add_row(age(row["at"], now), row["actor"], row["verb"], changed, row["words"] or "")
    return table


def _shown(value: object) -> str:
    return "–" if value is None else str(value)
