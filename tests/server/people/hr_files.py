"""Taking an HR file over in a test, and looking at what came of it."""

from __future__ import annotations

import io
from typing import Any

import openpyxl

from server.people.directory import PersonRecord, load_directory
from server.people.hr_import import ImportOptions, import_people
from server.people.import_report import ImportReport
from server.store.database import Database

HEADER = "id,name,accounts,department,manager,time zone,notice date,last working day\n"


def take(
    database: Database,
    text: str | bytes,
    *,
    at: int = 1000,
    skip_bad_rows: bool = True,
    dry_run: bool = False,
    **options: Any,
) -> ImportReport:
    data = text.encode() if isinstance(text, str) else text
    chosen = ImportOptions(skip_bad_rows=skip_bad_rows, dry_run=dry_run, **options)
    with database.read() if dry_run else database.begin() as connection:
        return import_people(connection, data, actor="cli:hr", at=at, options=chosen)


def people_of(database: Database) -> dict[str, PersonRecord]:
    with database.read() as connection:
        return {person.id: person for person in load_directory(connection).people()}


def owners_of(database: Database, at: int = 1000) -> dict[str, str]:
    with database.read() as connection:
        directory = load_directory(connection)
        owners = {record.name: directory.owner(record, at) for record in directory.accounts()}
        return {name: owner.id for name, owner in owners.items() if owner is not None}


def why(report: ImportReport) -> list[tuple[int, str, str]]:
    return [(problem.line, problem.column, problem.message) for problem in report.problems]


def counts(report: ImportReport) -> tuple[int, int, int, int]:
    return report.added, report.changed, report.unchanged, report.refused


def workbook(*rows: list[Any], sheet: str | None = None) -> bytes:
    book = openpyxl.Workbook()
    chosen: Any = book.active if sheet is None else book.create_sheet(sheet)
    for row in rows:
        chosen.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()
