"""Cases for programs: the same as the pages show, by the same functions. A program never sees a name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import msgspec
from msgspec import Meta
from sqlalchemy import Connection

from server.accounts.views_recorded import note_view
from server.cases import changing
from server.cases.reading import PAGE_ROWS, CaseStatus
from server.cases.records import (
    ALERTS_MAX,
    TEXT_CHARACTERS,
    TITLE_CHARACTERS,
    CaseRefused,
    Outcome,
    UnknownCase,
)
from server.console.api_calls import ApiCall, Nothing
from server.console.cases_shown import (
    CaseFilter,
    CasePage,
    WholeCase,
    case_page,
    no_case,
    refusal,
    whole_case,
)
from server.console.page import Ask, Console
from server.console.pages.case_packs import begin
from server.people.roles import Right

Typed = Annotated[str, Meta(min_length=1, max_length=TEXT_CHARACTERS)]
Number = Annotated[int, Meta(ge=1, le=2**63 - 1)]
Numbers = Annotated[tuple[Number, ...], Meta(min_length=1, max_length=ALERTS_MAX)]


class CasesQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`owner`: all, none, or a user's name. `after`: `next` of the page before."""

    status: CaseStatus = "open"
    owner: Annotated[str, Meta(min_length=1, max_length=64)] = "all"
    text: Annotated[str, Meta(max_length=100)] = ""
    after: Annotated[str, Meta(max_length=40, pattern=r"\A([0-9]{1,18}-[0-9]{1,18})?\Z")] = ""
    limit: Annotated[int, Meta(ge=1, le=PAGE_ROWS)] = PAGE_ROWS


class NewCase(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    title: Annotated[str, Meta(min_length=1, max_length=TITLE_CHARACTERS)]
    alerts: Annotated[tuple[Number, ...], Meta(max_length=ALERTS_MAX)] = ()


class MoreAlerts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    alerts: Numbers


class Note(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    text: Typed


class Closing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`version`: as it was read; with another one nothing is done."""

    outcome: Outcome
    reason: Typed
    version: int | None = None


class Reopening(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    reason: Typed
    version: int | None = None


class StartedPack(msgspec.Struct, frozen=True):
    """Made in the background; the case's `packs` say how far."""

    pack: int


def cases(console: Console, ask: Ask, query: CasesQuery, _body: None) -> CasePage:
    wanted = CaseFilter(query.status, query.owner, query.text, query.after)
    return case_page(console, ask, wanted, query.limit)


def case(console: Console, ask: Ask, _query: Nothing, _body: None) -> WholeCase:
    return _seen(console, ask, ask.path["id"])


def open_one(console: Console, ask: Ask, _query: Nothing, body: NewCase) -> WholeCase:
    def do(connection: Connection, actor: str) -> int:
        if not body.alerts:
            return changing.open_case(connection, body.title, actor=actor, at=ask.now)
        return changing.open_or_join_case(
            connection, body.alerts, actor=actor, at=ask.now, title=body.title
        ).case

    return _seen(console, ask, _done(console, ask, do))


def add(console: Console, ask: Ask, _query: Nothing, body: MoreAlerts) -> WholeCase:
    return _to(
        console, ask, lambda c, case, a: changing.add_alerts(c, case, body.alerts, actor=a, at=ask.now)
    )


def note(console: Console, ask: Ask, _query: Nothing, body: Note) -> WholeCase:
    return _to(console, ask, lambda c, case, a: changing.add_note(c, case, body.text, actor=a, at=ask.now))


def close(console: Console, ask: Ask, _query: Nothing, body: Closing) -> WholeCase:
    return _to(
        console,
        ask,
        lambda c, case, a: changing.close_case(
            c, case, body.outcome, body.reason, actor=a, at=ask.now, version=body.version
        ),
    )


def reopen(console: Console, ask: Ask, _query: Nothing, body: Reopening) -> WholeCase:
    return _to(
        console,
        ask,
        lambda c, case, a: changing.reopen_case(
            c, case, body.reason, actor=a, at=ask.now, version=body.version
        ),
    )


def make_pack(console: Console, ask: Ask, _query: Nothing, _body: None) -> StartedPack:
    return StartedPack(begin(console, ask, ask.path["id"], None))


def _to(console: Console, ask: Ask, do: Callable[[Connection, int, str], object]) -> WholeCase:
    number = ask.path["id"]

    def done(connection: Connection, actor: str) -> int:
        do(connection, number, actor)
        return int(number)

    return _seen(console, ask, _done(console, ask, done))


def _seen(console: Console, ask: Ask, number: int) -> WholeCase:
    """The whole case, on record as seen: also where it is the answer to a change of it."""
    found = whole_case(console, ask, number)
    note_view(console, ask, f"case:{number}")
    return found


def _done(console: Console, ask: Ask, do: Callable[[Connection, str], int]) -> int:
    try:
        with console.database.begin() as connection:
            return do(connection, ask.viewer.actor)
    except UnknownCase:
        raise no_case(ask) from None
    except CaseRefused as error:
        raise refusal(ask, error) from None


_ALL, _ONE = "/api/v1/cases", "/api/v1/cases/{id:int}"
_SEE, _JUDGE = Right.SEE_ALERTS, Right.TRIAGE
API = [
    ApiCall("GET", _ALL, _SEE, cases, CasePage, "Cases, those changed last first", CasesQuery),
    ApiCall("GET", _ONE, _SEE, case, WholeCase, "One case with its alerts, history and packs"),
    ApiCall("POST", _ALL, _JUDGE, open_one, WholeCase, "Opens a case", body=NewCase),
    ApiCall("POST", f"{_ONE}/alerts", _JUDGE, add, WholeCase, "Adds alerts", body=MoreAlerts),
    ApiCall("POST", f"{_ONE}/notes", _JUDGE, note, WholeCase, "Adds a note, for good", body=Note),
    ApiCall("POST", f"{_ONE}/close", _JUDGE, close, WholeCase, "Closes it with an outcome", body=Closing),
    ApiCall("POST", f"{_ONE}/reopen", _JUDGE, reopen, WholeCase, "Reopens it", body=Reopening),
    ApiCall("POST", f"{_ONE}/packs", _JUDGE, make_pack, StartedPack, "Makes a pack without names"),
]
