"""The list of cases: GET /cases; and a new one: POST /cases/open."""

from __future__ import annotations

from typing import Final, Literal, cast
from urllib.parse import urlencode

from starlette.responses import Response

from server.cases.changing import open_case, open_or_join_case
from server.cases.records import CaseRefused, UnknownCase
from server.console.cases_shown import CaseFilter, case_page, no_case, refusal
from server.console.ingest_watch import IngestWatch
from server.console.numbers_asked import alert_numbers
from server.console.page import Ask, Console, Page
from server.people.roles import Right
from server.store.column_types import is_storable

TEXT_CHARACTERS: Final = 100
_STATUSES: Final = ("open", "closed", "all")


def cases(console: Console, ask: Ask) -> Response:
    """GET /cases"""
    wanted = _wanted(ask)
    page = case_page(console, ask, wanted)
    return ask.page(
        "cases/list.html",
        ingest=console.made(IngestWatch).now(),
        page=page,
        wanted=wanted,
        next=None if page.next is None else address(wanted, after=page.next),
        by=lambda status: address(wanted, status=status),
        filtered=bool(wanted.text) or wanted.owner != "all",
    )


def begin(console: Console, ask: Ask) -> Response:
    """POST /cases/open: `title`, and `alerts` that go in, if any."""
    title, owner = ask.form.get("title", ""), ask.viewer.user if ask.viewer.token is None else None
    numbers = alert_numbers(ask, ask.form.get("alerts", ""))
    try:
        with console.database.begin() as connection:
            actor = ask.viewer.actor
            if numbers:
                made = open_or_join_case(
                    connection, numbers, actor=actor, at=ask.now, title=title or None, owner=owner
                ).case
            else:
                made = open_case(connection, title, actor=actor, at=ask.now, owner=owner)
    except UnknownCase:
        raise no_case(ask) from None
    except CaseRefused as error:
        raise refusal(ask, error) from None
    return ask.redirect(f"/cases/{made}")


def address(wanted: CaseFilter, *, status: str | None = None, after: str = "") -> str:
    pairs = [("status", status or wanted.status)] if (status or wanted.status) != "open" else []
    pairs += [("owner", wanted.owner)] if wanted.owner != "all" else []
    pairs += [("text", wanted.text)] if wanted.text else []
    pairs += [("after", after)] if after else []
    return f"/cases?{urlencode(pairs)}" if pairs else "/cases"


def _wanted(ask: Ask) -> CaseFilter:
    """What cannot be understood is left out, so that every address shows something."""
    given = {name: value for name, value in ask.query.items() if is_storable(value)}
    status = given.get("status", "open")
    return CaseFilter(
        cast(Literal["open", "closed", "all"], status if status in _STATUSES else "open"),
        given.get("owner", "all")[:64] or "all",
        given.get("text", "").strip()[:TEXT_CHARACTERS],
        given.get("after", "")[:40],
    )


PAGES = [
    Page("GET", "/cases", Right.SEE_ALERTS, cases),
    Page("POST", "/cases/open", Right.TRIAGE, begin),
]
