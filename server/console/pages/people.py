"""The list of people: GET /people."""

from __future__ import annotations

from datetime import date
from urllib.parse import urlencode

import msgspec
from starlette.responses import Response

from server.alerts.severity import severity_of
from server.console.ingest_watch import IngestWatch
from server.console.page import Ask, Console, Page
from server.console.pages.people_asked import day_date, leaver_words, status_words
from server.people.roles import Right
from server.profiles.listing import PeopleFilter, PeopleIndex, PersonLine, read_people_filter
from server.store.column_types import is_storable


class Row(msgspec.Struct, frozen=True):
    """A line as it is written."""

    line: PersonLine
    badge: str
    status: str
    last_day: date | None
    severity: str


def people(console: Console, ask: Ask) -> Response:
    """GET /people"""
    values = {key: value for key, value in ask.query.items() if is_storable(value)}
    wanted = read_people_filter(values)
    page = console.made(PeopleIndex).page(wanted, now=ask.now)
    rows = [_row(line, ask) for line in page.rows]
    return ask.page(
        "people/list.html",
        ingest=console.made(IngestWatch).now(),
        rows=rows,
        page=page,
        wanted=wanted,
        next=None if page.after is None else _address(wanted, page.after),
        first=_address(wanted, ""),
        by=lambda sort: _address(msgspec.structs.replace(wanted, sort=sort), ""),
    )


def _row(line: PersonLine, ask: Ask) -> Row:
    last = line.standing.last_day
    return Row(
        line,
        leaver_words(line.standing, ask.text),
        status_words(line.standing.status, ask.text),
        None if last is None else day_date(last),
        "" if line.score is None else severity_of(line.score).value,
    )


def _address(wanted: PeopleFilter, after: str) -> str:
    plain = PeopleFilter()
    pairs = [
        (name, "1" if value is True else str(value))
        for name in ("text", "status", "alerted", "sort")
        if (value := getattr(wanted, name)) != getattr(plain, name)
    ]
    if after:
        pairs.append(("after", after))
    return f"/people?{urlencode(pairs)}" if pairs else "/people"


PAGES = [Page("GET", "/people", Right.SEE_ALERTS, people)]
