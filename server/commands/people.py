"""`leaver people`: what HR tells: who works here, with which accounts, and who is leaving when."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from rich.table import Table

from event_schema.printable import printable_name
from server.commands.opening import (
    FINDINGS,
    data_option,
    echo_json,
    fail,
    json_option,
    open_installation,
    system_actor,
    system_clock,
)
from server.commands.tables import echo_table
from server.people.csv_encoding import UnreadableFile
from server.people.csv_import import ImportReport, import_people
from server.people.csv_table import FILE_BYTES_MAX
from server.people.dates import day_text
from server.people.directory import DEFAULT_TIME_ZONE, Directory, PersonRecord, load_directory
from server.people.person_rows import zone_name

PROBLEMS_SHOWN = 100
_DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab"}


@click.group("people")
def people() -> None:
    """Who works here, and who is leaving when: HR's view, without alerts."""


@people.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Say what would change, and change nothing.")
@click.option("--encoding", metavar="NAME", help="Skip the guess: utf-8, gb18030, cp1252, …")
@click.option(
    "--time-zone",
    default=DEFAULT_TIME_ZONE,
    show_default=True,
    metavar="ZONE",
    help="For new people whose row names none.",
)
@click.option(
    "--restore-erased", is_flag=True, help="Take back people who were erased; noted in the audit trail."
)
@data_option
@json_option
def import_file(
    file: Path,
    dry_run: bool,
    encoding: str | None,
    time_zone: str,
    restore_erased: bool,
    data: Path | None,
    as_json: bool,
) -> None:
    """Take over an HR file (CSV): id, name, accounts, department, manager, time zone, notice date, last
    working day; English or Chinese headers, in any order. Only the id is needed. "-" is standard input.

    People missing from the file stay as they are. Exit code 3 when rows were refused: the others are in.
    """
    zone = zone_name(time_zone)
    if zone is None:
        raise click.UsageError(f"--time-zone: {time_zone} is not a time zone of the IANA database")
    content = _read(file)
    with open_installation(data) as installation:
        database = installation.database
        try:
            with database.read() if dry_run else database.begin() as connection:
                report = import_people(
                    connection,
                    content,
                    actor=system_actor(),
                    at=system_clock(),
                    time_zone=zone,
                    encoding=encoding,
                    dry_run=dry_run,
                    restore_erased=restore_erased,
                )
        except UnreadableFile as error:
            fail(f"{file}: {error}")
    if as_json:
        echo_json(report)
    else:
        _echo_report(file, report)
    if report.refused:
        raise SystemExit(FINDINGS)


@people.command("list")
@click.option("--leaving", is_flag=True, help="Only people with a notice date or a last working day.")
@data_option
@json_option
def show(leaving: bool, data: Path | None, as_json: bool) -> None:
    """Ids, dates and status of all people, by last working day."""
    with open_installation(data) as installation:
        now = system_clock()
        with installation.database.read() as connection:
            directory = load_directory(connection)
    found = sorted(
        (
            person
            for person in directory.people()
            if not leaving or person.notice_day is not None or person.last_working_day is not None
        ),
        key=lambda person: (person.last_working_day is None, person.last_working_day or 0, person.id),
    )
    if as_json:
        echo_json([_as_plain(person, directory, now) for person in found])
    elif not found:
        click.echo("No one is marked as leaving." if leaving else "No people yet: leaver people import FILE")
    else:
        echo_table(_table(found, directory, now))


def _read(file: Path) -> bytes:
    if str(file) == "-":
        return sys.stdin.buffer.read(FILE_BYTES_MAX + 1)
    try:
        with file.open("rb") as opened:
            return opened.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        fail(f"{file}: {error.strerror}")


def _echo_report(file: Path, report: ImportReport) -> None:
    click.echo(
        f"{file.name}: {report.encoding}, separated by {_DELIMITERS[report.delimiter]}, {report.rows:,} rows"
    )
    click.echo(f"  columns   {', '.join(column.replace('_', ' ') for column in report.columns)}")
    if report.ignored_columns:
        click.echo(f"  not read  {', '.join(map(printable_name, report.ignored_columns))}")
    verb = "would be " if report.dry_run else ""
    click.echo(
        f"  {verb}added {report.added:,} · {verb}changed {report.changed:,} · unchanged {report.unchanged:,}"
        f" · refused {report.refused:,}"
    )
    if report.problems:
        click.echo()
        echo_table(_problem_table(report))
    if len(report.problems) > PROBLEMS_SHOWN:
        click.echo(f"… and {len(report.problems) - PROBLEMS_SHOWN:,} more: --json lists them all")


def _problem_table(report: ImportReport) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("line", justify="right", no_wrap=True)
    table.add_column("column", no_wrap=True)
    table.add_column("value", overflow="fold", max_width=30)
    table.add_column("refused because", overflow="fold")
    for problem in report.problems[:PROBLEMS_SHOWN]:
        table.add_row(
            str(problem.line),
            problem.column.replace("_", " ") or "-",
            printable_name(problem.value) or "-",
            problem.message,
        )
    return table


def _as_plain(person: PersonRecord, directory: Directory, now: int) -> dict[str, object]:
    status, days = directory.status_at(person, now)
    return {
        "id": person.id,
        "department": person.department,
        "manager": person.manager_id,
        "time_zone": person.time_zone,
        "notice_date": _day(person.notice_day),
        "last_working_day": _day(person.last_working_day),
        "status": status,
        "days_to_last_day": days,
        "accounts": sorted(account for account, owner in directory.accounts().items() if owner is person),
    }


def _day(day: int | None) -> str | None:
    return None if day is None else day_text(day)


def _table(found: list[PersonRecord], directory: Directory, now: int) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("id", "department", "status", "notice date", "last working day"):
        table.add_column(column, no_wrap=True)
    table.add_column("days left", justify="right", no_wrap=True)
    for person in found:
        status, days = directory.status_at(person, now)
        table.add_row(
            person.id,
            person.department or "-",
            status,
            _day(person.notice_day) or "-",
            _day(person.last_working_day) or "-",
            "-" if days is None else str(days),
        )
    return table
