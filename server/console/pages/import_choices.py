"""What somebody chooses of a file before it is taken over: its columns, its dates, and that it is meant."""

from __future__ import annotations

from typing import Final, cast

import msgspec

from server.api.errors import ApiError
from server.console.page import Ask
from server.people.dates import DayOrder
from server.people.file_header import guessed_columns
from server.people.hr_columns import ADD_UP, COLUMNS, Column
from server.people.hr_import import ImportOptions
from server.people.import_drafts import Draft
from server.people.import_mapping import ImportMapping
from server.people.import_report import ImportReport

ENCODINGS: Final = ("utf-8", "gb18030", "big5", "utf-16", "cp1252", "shift_jis", "euc-kr")
HEADERS_MAX: Final = 60
"""Columns of a file that somebody is asked about."""


class StopWords(msgspec.Struct, frozen=True):
    """What stops a file, in words, and how somebody says that it is meant: by a tick, or by a number."""

    words: str
    field: str
    number: int | None


def stop_words(ask: Ask, report: ImportReport | None) -> StopWords | None:
    if report is None or report.stopped is None:
        return None
    field, _, value = (report.answer or "").partition("=")
    number = int(value) if value.isdecimal() else None
    words = {
        "skip_bad_rows": ask.text(
            "{n} row is bad: mend it, or leave it out.|{n} rows are bad: mend them, or leave them out.",
            n=len(report.problems),
        ),
        "same_people": ask.text(
            "{n} known id comes with another name and none of the person's accounts:"
            " another person, most likely."
            "|{n} known ids come with another name and none of the person's accounts:"
            " other people, most likely.",
            n=report.others,
        ),
        "ignore_columns": ask.text("A column that is not read is called almost as one of the dates."),
        "expect_leavers": ask.text(
            "It would mark {new} of {active} people as leaving.", new=report.new_leavers, active=report.active
        ),
        "expect_withdrawn": ask.text(
            "It would take back the leaving dates of {n} people.", n=report.withdrawn
        ),
        "expect_accounts": ask.text(
            "{n} people would lose their last account, or one to somebody else.", n=report.without_accounts
        ),
    }
    return StopWords(words.get(field, report.stopped), field, number)


def unmatched_rows(report: ImportReport | None) -> int:
    """Rows of people whom nobody knows by their account."""
    if report is None:
        return 0
    return sum(each.message.startswith("cannot be matched") for each in report.problems)


def chosen_options(ask: Ask, draft: Draft) -> ImportOptions:
    """As the form says; what it leaves out stays."""
    old = draft.options
    if ask.form.get("part") != "meant":
        return msgspec.structs.replace(
            old,
            mapping=_mapping(ask, draft),
            encoding=None,
            add_unmatched=ask.form.get("add_unmatched") == "yes",
            skip_bad_rows=False,
            same_people=False,
            ignore_columns=False,
            expect_leavers=None,
            expect_withdrawn=None,
            expect_accounts=None,
        )
    field, typed = ask.form.get("field", ""), ask.form.get("typed", "").strip()
    number = int(typed) if typed.isdecimal() and len(typed) < 9 else None
    match field:
        case "skip_bad_rows" | "same_people" | "ignore_columns":
            return msgspec.structs.replace(old, **{field: ask.form.get("meant") == "yes"})
        case "expect_leavers" | "expect_withdrawn" | "expect_accounts":
            return msgspec.structs.replace(old, **{field: number})
        case _:
            raise ApiError(400, "bad_form", "there is nothing of this name to be meant")


def _mapping(ask: Ask, draft: Draft) -> ImportMapping:
    """Only where somebody chose otherwise than it is understood without: what is known needs no mapping."""
    known = guessed_columns(draft.header, ImportMapping())
    chosen: dict[Column, list[str]] = {}
    for number, header in enumerate(draft.header[:HEADERS_MAX]):
        said = ask.form.get(f"column-{number}", "")
        if said and said not in COLUMNS:
            raise ApiError(400, "bad_form", "there is no such column")
        if said:
            chosen.setdefault(said, []).append(header)
    wanted: dict[Column, str | list[str]] = {}
    for column in COLUMNS:
        headers = chosen.get(column, [])
        by_itself = [header for header, found in known.items() if found == column]
        if headers and headers != by_itself:
            wanted[column] = headers if column in ADD_UP else headers[0]
    order, encoding = ask.form.get("date_order", ""), ask.form.get("encoding", "")
    return ImportMapping(
        columns=wanted,
        encoding=encoding if encoding in ENCODINGS else None,
        date_order=cast(DayOrder, order) if order in ("day-first", "month-first") else None,
    )
