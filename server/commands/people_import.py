"""`leaver people import` and `imports`: HR's file, shown before it is taken over, and undone."""

from __future__ import annotations

import sys
from pathlib import Path

import click
import msgspec

from server.commands.opening import (
    FINDINGS,
    USAGE,
    data_option,
    echo_json,
    fail,
    json_option,
    open_installation,
    system_actor,
    system_clock,
)
from server.commands.people_import_text import echo_report, imports_table
from server.commands.tables import echo_table
from server.erasure.undone_imports import undo_import
from server.installation import Installation
from server.people.csv_encoding import UnreadableFile
from server.people.csv_table import FILE_BYTES_MAX
from server.people.hr_import import ImportOptions, PreparedImport, prepare_import, take_over
from server.people.hr_view import hr_reading
from server.people.import_mapping import ImportMapping, MappingUnreadable, read_mapping
from server.people.import_report import ImportReport
from server.people.person_rows import zone_name
from server.people.undo import CannotUndo, UnknownImport, check_undo, list_imports

_COUNT = click.IntRange(min=0)


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Say what would change, and change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--skip-bad-rows", is_flag=True, help="Take the good rows over; else one bad row stops all.")
@click.option(
    "--expect-leavers", type=_COUNT, metavar="N", help="So many new leavers are meant, where they are many."
)
@click.option(
    "--expect-withdrawn", type=_COUNT, metavar="N", help="So many leaving dates are to be taken back."
)
@click.option(
    "--expect-accounts",
    type=_COUNT,
    metavar="N",
    help="So many people are to lose their accounts, or swap them.",
)
@click.option(
    "--ignore-columns",
    is_flag=True,
    help="Columns that are called almost as one of the dates are others: leave them out.",
)
@click.option(
    "--mapping",
    "mapping_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A TOML file that says what columns and values are called (docs/people.md).",
)
@click.option("--encoding", metavar="NAME", help="Skip the guess: utf-8, gb18030, cp1252, …")
@click.option(
    "--time-zone", metavar="ZONE", help="For new people whose row names none; else [people] time_zone."
)
@click.option(
    "--add-unmatched", is_flag=True, help="In a file without ids: whose account nobody has is a new person."
)
@click.option(
    "--same-people",
    is_flag=True,
    help="Ids that come with another name and other accounts are the same people's.",
)
@click.option(
    "--restore-erased", is_flag=True, help="Take back people who were erased; noted in the audit trail."
)
@data_option
@json_option
def import_file(
    file: Path,
    dry_run: bool,
    yes: bool,
    skip_bad_rows: bool,
    expect_leavers: int | None,
    expect_withdrawn: int | None,
    expect_accounts: int | None,
    ignore_columns: bool,
    mapping_file: Path | None,
    encoding: str | None,
    time_zone: str | None,
    add_unmatched: bool,
    same_people: bool,
    restore_erased: bool,
    data: Path | None,
    as_json: bool,
) -> None:
    """Take over an HR file (CSV or XLSX): id, name, accounts, department, job role, manager, devices, start
    date, notice date, last working day and hour, leaving type; English or Chinese headers, Purview's too, in
    any order. Only the id (or an account) is needed. "-" is standard input.

    Shows what it would do, and asks. One bad row stops all of it, unless --skip-bad-rows; so does a file that
    would mark a large part of the company as leaving, or that brings other people under ids that are known.
    People missing from the file stay as they are. Exit code 3: rows are bad, or it was stopped.
    """
    zone = None if time_zone is None else zone_name(time_zone)
    if time_zone is not None and zone is None:
        raise click.UsageError(f"--time-zone: {time_zone} is not a time zone of the IANA database")
    mapping = _mapping(mapping_file)
    with open_installation(data) as installation:
        content = _read(file)
        options = ImportOptions(
            time_zone=zone or installation.config.people.time_zone,
            encoding=encoding,
            mapping=mapping,
            dry_run=True,
            skip_bad_rows=skip_bad_rows,
            restore_erased=restore_erased,
            add_unmatched=add_unmatched,
            same_people=same_people,
            expect_leavers=expect_leavers,
            expect_withdrawn=expect_withdrawn,
            expect_accounts=expect_accounts,
            ignore_columns=ignore_columns,
        )
        asks = not dry_run and not yes and stands_at_a_terminal() and not as_json
        if not dry_run and not yes and not asks:
            fail("nobody is there to be asked: say --yes, or --dry-run", USAGE)
        try:
            prepared = _looked(installation, content, options)
            if asks:
                report = _asked(installation, prepared, file.name)
            else:
                report = _shown(installation, prepared) if dry_run else _taken_over(installation, prepared)
        except UnreadableFile as error:
            fail(f"{file}: {error}")
    if as_json:
        echo_json(report)
    elif not asks:
        echo_report(file.name, report)
    if report.refused or report.stopped is not None:
        raise SystemExit(FINDINGS)


@click.group("imports")
def imports() -> None:
    """Imports of HR files so far, and how to take one back."""


@imports.command("list")
@data_option
@json_option
def show_imports(data: Path | None, as_json: bool) -> None:
    """When which file was taken over, by whom, and how many people it changed; the latest first."""
    with open_installation(data) as installation, hr_reading(installation.database) as connection:
        found = list_imports(connection)
    if as_json:
        echo_json(found)
    elif found:
        echo_table(imports_table(found))
    else:
        click.echo("No imports yet: leaver people import FILE")


@imports.command("undo")
@click.argument("number", metavar="ID", type=click.IntRange(min=1))
@click.option("--yes", is_flag=True, help="Do not ask.")
@data_option
@json_option
def undo(number: int, yes: bool, data: Path | None, as_json: bool) -> None:
    """Make every person whom an import changed what they were before; people whom it brought go.

    Refused where later changes stand on it: undo those first.
    """
    with open_installation(data) as installation:
        database = installation.database
        try:
            with database.read() as connection:
                planned = check_undo(connection, number)
            if not yes:
                if not stands_at_a_terminal() or as_json:
                    fail("nobody is there to be asked: say --yes", USAGE)
                click.echo(f"{planned.restored:,} people would be as before, {planned.removed:,} would go.")
                click.confirm("Undo this import?", abort=True)
            with database.begin() as connection:
                done = undo_import(connection, number, actor=system_actor(), at=system_clock())
        except (UnknownImport, CannotUndo) as error:
            fail(str(error))
    if as_json:
        echo_json(done)
    else:
        click.echo(f"Undone: {done.restored:,} people are as before, {done.removed:,} are gone again.")


def stands_at_a_terminal() -> bool:
    """Whether somebody can be asked."""
    return sys.stdin.isatty()


def _looked(installation: Installation, content: bytes, options: ImportOptions) -> PreparedImport:
    with installation.database.read() as connection:
        return prepare_import(connection, content, at=system_clock(), options=options)


def _shown(installation: Installation, prepared: PreparedImport) -> ImportReport:
    with installation.database.read() as connection:
        return take_over(connection, prepared, actor=system_actor())


def _asked(installation: Installation, prepared: PreparedImport, name: str) -> ImportReport:
    """Shows what it would do and asks, again where people were changed meanwhile and it would do something
    else now."""
    shown = _shown(installation, prepared)
    while True:
        echo_report(name, shown)
        if shown.stopped is not None or not shown.added + shown.changed:
            return shown
        click.confirm("Take this over?", abort=True)
        with installation.database.begin() as connection:
            now = take_over(connection, prepared, actor=system_actor())
            if now == msgspec.structs.replace(shown, people_version=now.people_version):
                meant = msgspec.structs.replace(prepared.options, dry_run=False)
                done = msgspec.structs.replace(prepared, options=meant)
                report = take_over(connection, done, actor=system_actor())
                break
        click.echo("People were changed meanwhile. It would do this now:")
        shown = now
    click.echo(f"Taken over: import {report.import_id}.")
    return report


def _taken_over(installation: Installation, prepared: PreparedImport) -> ImportReport:
    options = msgspec.structs.replace(prepared.options, dry_run=False)
    with installation.database.begin() as connection:
        return take_over(connection, msgspec.structs.replace(prepared, options=options), actor=system_actor())


def _mapping(file: Path | None) -> ImportMapping:
    try:
        return ImportMapping() if file is None else read_mapping(file)
    except MappingUnreadable as error:
        raise click.UsageError(f"--mapping: {error}") from None


def _read(file: Path) -> bytes:
    if str(file) == "-":
        return sys.stdin.buffer.read(FILE_BYTES_MAX + 1)
    try:
        with file.open("rb") as opened:
            return opened.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        fail(f"{file}: {error.strerror}")
