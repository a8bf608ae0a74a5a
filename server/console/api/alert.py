"""One alert and its evidence, for programs: by pseudonym, as the page shows them."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from server.accounts.views_recorded import note_view
from server.alerts.evidence_marks import ShownMark
from server.alerts.evidence_search import PAGE_ROWS, TEXT_CHARACTERS, EvidenceFilter, evidence_page
from server.alerts.view_types import AlertView
from server.console.alert_evidence import not_seen
from server.console.alert_shown import open_alert
from server.console.api_calls import ApiCall, Nothing
from server.console.page import Ask, Console
from server.people.roles import Right
from server.store.column_types import WHOLE_MAX

_Words = Annotated[str, Meta(max_length=600)]
_Moment = Annotated[int, Meta(ge=0, le=WHOLE_MAX)]


class Part(msgspec.Struct, frozen=True):
    """A part of the score; all add up to it."""

    source: str
    points: int


class OneAlert(msgspec.Struct, frozen=True):
    """`version`: to be sent along with what shall not go through over somebody else's change; `seen`: with
    what shall not go through over events that came since either."""

    alert: AlertView
    parts: tuple[Part, ...]
    owner: str | None
    standing: str
    case: int | None
    version: int
    seen: str


class EvidenceAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`place`: as it is shown. `since`, `until`: ms UTC, the latter exclusive. `after`: rows before these."""

    channel: _Words = ""
    label: _Words = ""
    place: _Words = ""
    sure: Annotated[str, Meta(pattern="^(exact|likely|possible)?$")] = ""
    since: _Moment | None = None
    until: _Moment | None = None
    text: Annotated[str, Meta(max_length=TEXT_CHARACTERS)] = ""
    after: _Moment = 0


class Evidence(msgspec.Struct, frozen=True):
    """`next`: what `after` is for the next rows; null: there are none."""

    events: tuple[ShownMark, ...]
    total: int
    next: int | None
    not_seen: tuple[str, ...]
    signatures_hold: bool


def one(console: Console, ask: Ask, _query: Nothing, _body: None) -> OneAlert:
    opened = open_alert(console, ask, int(ask.path["id"]), named=False)
    note_view(console, ask, f"alert:{opened.view.id}")
    parts = tuple(Part(share.source, share.points) for share in opened.stored.shares)
    row = opened.row
    return OneAlert(opened.view, parts, row.owner, row.standing, row.case, row.version, row.seen)


def evidence(console: Console, ask: Ask, query: EvidenceAsked, _body: None) -> Evidence:
    opened = open_alert(console, ask, int(ask.path["id"]), evidence=True, named=False)
    assert opened.bundle is not None
    note_view(console, ask, f"alert:{opened.view.id}")
    wanted = EvidenceFilter(
        query.channel,
        query.label,
        query.place,
        query.sure,
        query.since,
        query.until,
        query.text.strip(),
    )
    page = evidence_page(opened.bundle.marks, opened.mask, wanted, after=query.after, limit=PAGE_ROWS)
    unseen = not_seen(opened, opened.bundle, ask)
    return Evidence(page.rows, page.total, page.next, unseen, opened.bundle.proof.good)


API = [
    ApiCall(
        "GET",
        "/api/v1/alerts/{id:int}",
        Right.SEE_ALERTS,
        one,
        answer=OneAlert,
        summary="One alert, by pseudonym",
    ),
    ApiCall(
        "GET",
        "/api/v1/alerts/{id:int}/evidence",
        Right.SEE_ALERTS,
        evidence,
        query=EvidenceAsked,
        answer=Evidence,
        summary="The events that prove an alert, without names, 200 at a time",
    ),
]
