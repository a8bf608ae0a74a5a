"""What a row of an HR file makes of a person's employments. Pure.

Which of them a row is about: the one with its reference; else the one that starts on its start date; else the
latest one. Where the latest one is over when the row says that the person started, it is a rehire: a further
employment. So a rehire needs a start date: without one, an empty last working day takes the old one back.
"""

from __future__ import annotations

from typing import Final

import msgspec

from server.people.dates import day_text
from server.people.facts import Employment, latest_employment
from server.people.hr_columns import Column
from server.people.person_rows import PersonRow

_COLUMNS: Final[tuple[Column, ...]] = (
    "employment",
    "kind",
    "start_date",
    "notice_date",
    "last_working_day",
    "end_date",
    "last_hour",
    "leaving_type",
)
EMPLOYMENT_COLUMNS: Final = frozenset(_COLUMNS)


class DoesNotFit(Exception):
    """With what is stored the row makes no sense; the message says why."""

    def __init__(self, column: Column, message: str) -> None:
        super().__init__(message)
        self.column = column


def merged_employments(stored: tuple[Employment, ...], row: PersonRow) -> tuple[Employment, ...]:
    """Raises DoesNotFit."""
    if row.given.isdisjoint(EMPLOYMENT_COLUMNS):
        return stored
    about = _about(stored, row)
    known = about or Employment(max((each.number for each in stored), default=0) + 1)
    found = _with(known, row)
    _check(found)
    kept = tuple(each for each in stored if each.number != found.number)
    if found == Employment():
        return kept
    # By number, as they are stored: else a row about an earlier one would be a change each time.
    return tuple(sorted((*kept, found), key=lambda each: each.number))


def _about(stored: tuple[Employment, ...], row: PersonRow) -> Employment | None:
    """None: a further one."""
    if row.employment is not None:
        named = next((each for each in stored if each.reference == row.employment), None)
        if named is not None or any(each.reference is not None for each in stored):
            return named
    if row.start_day is not None:
        begun = next((each for each in stored if each.start_day == row.start_day), None)
        if begun is not None:
            return begun
    latest = latest_employment(stored)
    if latest is None or row.start_day is None or latest.last_day is None:
        return latest
    return None if row.start_day > latest.last_day else latest


def _with(known: Employment, row: PersonRow) -> Employment:
    given = row.given
    last_day = row.last_day if given & {"last_working_day", "end_date"} else known.last_day
    last_minute = known.last_minute if last_day == known.last_day else None
    if "last_hour" in given:
        last_minute = row.last_minute
    notice_day = row.notice_day if "notice_date" in given else known.notice_day
    leaving_type = row.leaving_type if "leaving_type" in given else known.leaving_type
    leaves = last_day is not None or notice_day is not None
    return msgspec.structs.replace(
        known,
        reference=row.employment or known.reference,
        kind=row.kind or known.kind,
        start_day=known.start_day if row.start_day is None else row.start_day,
        notice_day=notice_day,
        last_day=last_day,
        last_minute=None if last_day is None else last_minute,
        leaving_type=leaving_type if leaves else None,
    )


def _check(found: Employment) -> None:
    last = found.last_day
    if last is None:
        return
    for earlier, what in ((found.notice_day, "notice date"), (found.start_day, "start date")):
        if earlier is not None and last < earlier:
            message = f"the last working day {day_text(last)} is before the {what} {day_text(earlier)}"
            raise DoesNotFit("last_working_day", f"{message} that is stored")
