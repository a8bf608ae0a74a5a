"""Leavers and what is collected, for programs: the same as the pages show, by the same functions.

What HR may call has no field for what anybody did, also none that stays empty: when something was used last
is a call of its own.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from event_schema.struct_base import Milliseconds
from server.accounts.views_recorded import note_view
from server.console.api_calls import ApiCall, Nothing
from server.console.page import Ask, Console, Open
from server.console.pages.leaver_words import person_of
from server.console.pages.leavers import found_leaver, note_leaver_view
from server.console.pages.transparency import Stated
from server.leavers.detail import FlagView
from server.leavers.listing import LeaverPage, LeaverRow, Scope, list_leavers
from server.people.facts import AccountKind
from server.people.hr_view import hr_reading
from server.people.leaver_origins import DateChange
from server.people.leaving import Secret, State
from server.people.roles import Right
from server.people.sign_offs import SignOff
from server.people.undo import PastImport, list_imports
from server.transparency.statement import Statement

ROWS_MAX: Final = 100
"""Twice what a page shows."""


class LeaversQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    scope: Scope = "current"
    q: Annotated[str, Meta(max_length=100)] = ""
    after: Annotated[str, Meta(max_length=600)] = ""
    limit: Annotated[int, Meta(ge=1, le=ROWS_MAX)] = ROWS_MAX


class ImportsQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100


class LastUse(msgspec.Struct, frozen=True):
    """When anything of a leaver's was used after the last day; None: nothing was."""

    person: str
    used_at: Milliseconds | None


class LastUses(msgspec.Struct, frozen=True):
    """`next`: the `after` of the next page."""

    last_uses: tuple[LastUse, ...]
    total: int
    next: str | None


class Leavers(msgspec.Struct, frozen=True):
    """`next`: the `after` of the next page."""

    leavers: tuple[LeaverRow, ...]
    total: int
    next: str | None


class HeldAccount(msgspec.Struct, frozen=True):
    account: str
    system: str
    kind: AccountKind
    state: State
    closed_at: Milliseconds | None


class HeldMachine(msgspec.Struct, frozen=True):
    machine: str
    state: State
    since: Milliseconds | None
    until: Milliseconds | None


class OneLeaver(msgspec.Struct, frozen=True):
    """`leaver` None: the person stays."""

    person: str
    leaver: LeaverRow | None
    accounts: tuple[HeldAccount, ...]
    machines: tuple[HeldMachine, ...]
    secrets: tuple[Secret, ...]
    sign_offs: tuple[SignOff, ...]
    history: tuple[DateChange, ...]
    flag: FlagView | None


def leavers(console: Console, ask: Ask, query: LeaversQuery, _body: None) -> Leavers:
    found = _listed(console, ask, query)
    return Leavers(found.rows, found.total, found.next)


def last_uses(console: Console, ask: Ask, query: LeaversQuery, _body: None) -> LastUses:
    found = _listed(console, ask, query)
    uses = tuple(LastUse(person, seen.used_at) for person, seen in found.seen.items())
    return LastUses(uses, found.total, found.next)


def _listed(console: Console, ask: Ask, query: LeaversQuery) -> LeaverPage:
    note_view(console, ask, "leavers:list")
    return list_leavers(
        console.database,
        ask.viewer.role,
        now=ask.now,
        scope=query.scope,
        text=query.q,
        after=query.after,
        limit=query.limit,
    )


def one_leaver(console: Console, ask: Ask, _query: Nothing, _body: None) -> OneLeaver:
    found = found_leaver(console, ask, person_of(ask.path["person"]))
    note_leaver_view(console, ask, found.person)
    entry = found.ledger
    return OneLeaver(
        person=found.person,
        leaver=found.row,
        accounts=()
        if entry is None
        else tuple(HeldAccount(e.account, e.system, e.kind, e.state, e.closed_at) for e in entry.accounts),
        machines=()
        if entry is None
        else tuple(HeldMachine(e.machine, e.state, e.since, e.until) for e in entry.machines),
        secrets=() if entry is None else entry.secrets,
        sign_offs=found.sign_offs,
        history=found.history,
        flag=found.flag,
    )


def imports(console: Console, _ask: Ask, query: ImportsQuery, _body: None) -> list[PastImport]:
    with hr_reading(console.database) as connection:
        return list_imports(connection, query.limit)


def collected(console: Console, ask: Ask, _query: Nothing, _body: None) -> Statement:
    return console.made(Stated).now(ask.now)


API = [
    ApiCall(
        "GET",
        "/api/v1/leavers",
        Right.SEE_LEAVERS,
        leavers,
        query=LeaversQuery,
        answer=Leavers,
        summary="Who is leaving or has left, by the last day",
    ),
    ApiCall(
        "GET",
        "/api/v1/leavers/{person}",
        Right.SEE_LEAVERS,
        one_leaver,
        answer=OneLeaver,
        summary="One person: dates and how they changed, what is open, who signed it off",
    ),
    ApiCall(
        "GET",
        "/api/v1/last-uses",
        Right.SEE_LAST_USE,
        last_uses,
        query=LeaversQuery,
        answer=LastUses,
        summary="When something of a leaver's was used after the last day",
    ),
    ApiCall(
        "GET",
        "/api/v1/imports",
        Right.FLAG_LEAVERS,
        imports,
        query=ImportsQuery,
        answer=list[PastImport],
        summary="What came of HR's files, the latest first",
    ),
    ApiCall(
        "GET",
        "/api/v1/transparency",
        Open.PUBLIC,
        collected,
        answer=Statement,
        summary="What is collected, why, how long it is kept and who sees it",
    ),
]
