"""How `leaver people import` says what a file would do, and did."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import click
from rich.table import Table

from event_schema.printable import printable_name
from server.commands.tables import echo_table
from server.people.hr_columns import Problem
from server.people.import_report import ImportReport, PersonChange
from server.people.undo import PastImport

PROBLEMS_SHOWN = 100
CHANGES_SHOWN = 20
NOTES_SHOWN = 20
_DELIMITERS = {
    ",": ", separated by comma",
    ";": ", separated by semicolon",
    "\t": ", separated by tab",
    "": "",
}


def echo_report(name: str, report: ImportReport) -> None:
    between = _DELIMITERS.get(report.delimiter, f", separated by {report.delimiter}")
    click.echo(f"{name}: {report.encoding}{between}, {report.rows:,} rows")
    click.echo(f"  columns   {', '.join(column.replace('_', ' ') for column in report.columns)}")
    if report.ignored_columns:
        click.echo(f"  not read  {', '.join(map(printable_name, report.ignored_columns))}")
    verb = "" if report.applied else "would be "
    click.echo(
        f"  {verb}added {report.added:,} · {verb}changed {report.changed:,} · unchanged {report.unchanged:,}"
        f" · refused {report.refused:,}"
    )
    if report.others:
        ids = "id" if report.others == 1 else "ids"
        click.echo(f"  others    {report.others:,} known {ids} with another name and other accounts")
    if report.new_leavers or report.withdrawn:
        click.echo(f"  leaving   {report.new_leavers:,} more · no longer {report.withdrawn:,}")
    if report.changes:
        click.echo()
        echo_table(_changes_table(report.changes))
        _echo_more(len(report.changes), CHANGES_SHOWN)
    if report.notes:
        click.echo()
        echo_table(_problem_table(report.notes[:NOTES_SHOWN], "note"))
        _echo_more(len(report.notes), NOTES_SHOWN)
    if report.problems:
        click.echo()
        echo_table(_problem_table(report.problems[:PROBLEMS_SHOWN], "refused because"))
        _echo_more(len(report.problems), PROBLEMS_SHOWN)
    if report.stopped is not None:
        click.echo()
        click.echo(
            f"{'It would change nothing' if report.dry_run else 'Nothing was changed'}: {report.stopped}"
        )


def imports_table(found: Sequence[PastImport]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("id", justify="right", no_wrap=True)
    table.add_column("when (UTC)", no_wrap=True)
    table.add_column("by", overflow="fold")
    for column in ("added", "changed", "unchanged", "refused"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("state", overflow="fold")
    for each in found:
        state = "taken over"
        if each.undone_at is not None:
            state = f"undone {_time(each.undone_at)}"
        elif each.stopped is not None:
            state = f"stopped: {each.stopped}"
        table.add_row(
            str(each.id),
            _time(each.imported_at),
            printable_name(each.imported_by),
            *(f"{number:,}" for number in (each.added, each.changed, each.unchanged, each.refused)),
            state,
        )
    return table


def _time(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d %H:%M")


def _echo_more(count: int, shown: int) -> None:
    if count > shown:
        click.echo(f"… and {count - shown:,} more: --json lists them all")


def _changes_table(changes: Sequence[PersonChange]) -> Table:
    """Who would be leaving comes first."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("line", justify="right", no_wrap=True)
    table.add_column("id", no_wrap=True)
    table.add_column("what", overflow="fold")
    ordered = sorted(changes, key=lambda change: (not change.is_leaving, change.is_new))
    for change in ordered[:CHANGES_SHOWN]:
        table.add_row(str(change.line or "-"), printable_name(change.id), _what(change))
    return table


def _what(change: PersonChange) -> str:
    parts = []
    for field in change.fields:
        column = field.column.replace("_", " ")
        if field.column == "name":
            parts.append("name")
        elif change.is_new:
            parts.append(f"{column} {printable_name(field.after or '-')}")
        else:
            before, after = printable_name(field.before or "-"), printable_name(field.after or "-")
            parts.append(f"{column} {before} → {after}")
    kind = "new, leaving: " if change.is_new and change.is_leaving else "new: " if change.is_new else ""
    return kind + "; ".join(parts)


def _problem_table(problems: Sequence[Problem], heading: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("line", justify="right", no_wrap=True)
    table.add_column("column", no_wrap=True)
    table.add_column("value", overflow="fold", max_width=30)
    table.add_column(heading, overflow="fold")
    for problem in problems:
        table.add_row(
            str(problem.line or "header"),
            problem.column.replace("_", " ") or "-",
            printable_name(problem.value) or "-",
            problem.message,
        )
    return table
