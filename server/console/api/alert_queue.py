"""The queue for programs: the same rows, filters and masks as the page."""

from __future__ import annotations

from datetime import date
from typing import Annotated

import msgspec

from server.alerts.queue.filters import (
    NAME_CHARACTERS,
    TEXT_CHARACTERS,
    QueueFilter,
    QueueSort,
    QueueStatus,
    read_cursor,
)
from server.alerts.queue.reading import COUNTED_MAX
from server.alerts.queue.views import QueueRowView
from server.alerts.severity import Severity
from server.api.errors import ApiError
from server.console.api_calls import ApiCall
from server.console.ingest_watch import Ingest, IngestWatch
from server.console.page import Ask, Console
from server.console.queue_list import read_page
from server.people.roles import Right
from server.store.column_types import is_storable

_Name = Annotated[str, msgspec.Meta(max_length=NAME_CHARACTERS)]


class QueueQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """As in the page's address. `severity` may be given several times; `after` is an answer's `next`."""

    status: QueueStatus = "open"
    severity: tuple[Severity, ...] = ()
    channel: _Name = ""
    leavers: bool = False
    following: bool = False
    policy: _Name = ""
    owner: _Name = ""
    agent: _Name = ""
    since: date | None = None
    until: date | None = None
    text: Annotated[str, msgspec.Meta(max_length=TEXT_CHARACTERS)] = ""
    sort: QueueSort = "score"
    after: Annotated[str, msgspec.Meta(max_length=64)] = ""


class QueueAnswer(msgspec.Struct, frozen=True):
    """`total`: of all that match, at most 1,000; `more` says whether there are more than that. `next`: for
    `after`. `ingest`: whether alerts may be missing, and why."""

    alerts: list[QueueRowView]
    total: int
    more: bool
    next: str | None
    ingest: Ingest


def alerts(console: Console, ask: Ask, query: QueueQuery, _body: None) -> QueueAnswer:
    given = {name: getattr(query, name) for name in QueueFilter.__struct_fields__}
    if not all(is_storable(value) for value in given.values() if isinstance(value, str)):
        raise ApiError(400, "bad_query", "query: a character cannot be kept by a database")
    if any(day is not None and not 1970 < day.year < 2200 for day in (query.since, query.until)):
        raise ApiError(400, "bad_query", "query: days are of the years 1971 to 2199")
    after = read_cursor(query.after)
    if query.after and after is None:
        raise ApiError(400, "bad_query", "query: after is what an answer called next")
    ingest = console.made(IngestWatch).now()
    page = read_page(console, ask, QueueFilter(**given), after, ingest)
    return QueueAnswer(
        page.rows,
        min(page.total, COUNTED_MAX),
        page.total > COUNTED_MAX,
        None if page.next is None else page.next.text(),
        ingest,
    )


API = [
    ApiCall(
        "GET",
        "/api/v1/alerts",
        Right.SEE_ALERTS,
        alerts,
        QueueAnswer,
        "The queue of alerts, 100 at a time",
        query=QueueQuery,
    )
]
