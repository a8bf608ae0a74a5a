"""What an import did or would do, row by row. Of people's names no change tells anything; a problem quotes
the cell that is wrong (`Problem.value`), whatever stands in it: reports are for whoever brought the file.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from server.people.dates import day_text, minute_text
from server.people.facts import Employment, Holding, PersonFacts, latest_employment
from server.people.hr_columns import Column, Problem


class FieldChange(msgspec.Struct, frozen=True):
    """One column of a person. Of a name neither side is told."""

    column: str
    before: str | None
    after: str | None


class PersonChange(msgspec.Struct, frozen=True):
    """`line`: of the person's first row; None where no file says it."""

    line: int | None
    id: str
    is_new: bool
    is_leaving: bool
    """Was not leaving before."""
    fields: tuple[FieldChange, ...]


class Stop(msgspec.Struct, frozen=True):
    """Why nothing of a file is taken over, and the parameter of the API that says that it is meant."""

    why: str
    answer: str


class ImportReport(msgspec.Struct, frozen=True):
    """What an import did, or (not `applied`) would do."""

    applied: bool
    import_id: int | None
    stopped: str | None
    """Why nothing was taken over; None: it was, or only a look was wanted."""
    answer: str | None
    """The parameter of the API that says that it is meant, such as `expect_leavers=12`."""
    dry_run: bool
    encoding: str
    """Of a text; "XLSX" of a workbook."""
    delimiter: str
    columns: tuple[Column, ...]
    ignored_columns: tuple[str, ...]
    rows: int
    added: int
    changed: int
    unchanged: int
    refused: int
    others: int
    """Ids of known people under which, most likely, others come: among the refused, unless it was said that
    they are the same people."""
    new_leavers: int
    """People who would be leaving, and are not now."""
    withdrawn: int
    """People who are leaving now, and would not be, or much later."""
    without_accounts: int
    """People who would have no account any more, or one less that somebody else would have."""
    active: int
    """People who are not leaving now, and those who are new."""
    changes: tuple[PersonChange, ...]
    problems: tuple[Problem, ...]
    """One for each refused row, by line."""
    notes: tuple[Problem, ...]
    """What was made of rows beyond what they say, by line."""
    people_version: int


def field_changes(before: PersonFacts | None, after: PersonFacts | None) -> tuple[FieldChange, ...]:
    """Only what differs."""
    old, new = dict(_fields(before)), dict(_fields(after))
    found = [FieldChange(c, old.get(c), new.get(c)) for c in {**old, **new} if old.get(c) != new.get(c)]
    old_name, new_name = before and before.name, after and after.name
    return (*found, *([FieldChange("name", None, None)] if old_name != new_name else []))


def _fields(person: PersonFacts | None) -> Iterator[tuple[str, str | None]]:
    if person is None:
        return
    yield "department", person.department
    yield "job_role", person.job_role
    yield "manager", person.manager_id
    yield "time_zone", person.time_zone
    yield "priority", None if person.priority is None else str(person.priority)
    yield "accounts", _held(person.accounts)
    yield "devices", _held(person.traits)
    main = latest_employment(person.employments)
    if main is not None:
        yield from employment_fields(main)
    others = [each for each in person.employments if each is not main]
    yield "other_employments", "; ".join(_employment_text(each) for each in others) or None
    yield "from_identity_provider", " ".join(person.scim_fields) or None
    if person.flag is not None:
        yield "flagged_last_day", day_and_minute(person.flag.last_day, person.flag.last_minute)


def employment_fields(employment: Employment) -> Iterator[tuple[str, str | None]]:
    """As the columns are called."""
    yield "start_date", None if employment.start_day is None else day_text(employment.start_day)
    yield "notice_date", None if employment.notice_day is None else day_text(employment.notice_day)
    yield "last_working_day", day_and_minute(employment.last_day, employment.last_minute)
    yield "leaving_type", employment.leaving_type
    yield "kind", None if employment.kind == "employee" else employment.kind
    yield "employment", employment.reference


def day_and_minute(day: int | None, minute: int | None) -> str | None:
    """`2026-11-30`, or `2026-11-30 17:30`."""
    if day is None:
        return None
    return day_text(day) if minute is None else f"{day_text(day)} {minute_text(minute)}"


def _employment_text(employment: Employment) -> str:
    return ", ".join(f"{name} {value}" for name, value in employment_fields(employment) if value) or "-"


def _held(holdings: tuple[Holding, ...]) -> str | None:
    names = [
        f"{held.system}:{held.name}" if held.system else held.name for held in holdings if held.until is None
    ]
    return " ".join(sorted(set(names))) or None
