"""Beside the queue for programs: saved views, and what was found and not alerted."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from starlette.datastructures import QueryParams

from event_schema.struct_base import Milliseconds
from server.alerts.below_views import NotAlertedView
from server.alerts.queue.filters import read_filter
from server.alerts.queue.saved import (
    NAME_CHARACTERS,
    QUERY_CHARACTERS,
    SavedView,
    ViewRefused,
    delete_view,
    save_view,
    saved_of,
)
from server.alerts.queue.state import BudgetState
from server.api.errors import ApiError
from server.console.api_calls import ApiCall, Nothing
from server.console.page import Ask, Console
from server.console.pages.below import ROWS_MAX, below_the_line
from server.people.roles import Right


class BelowQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    days: Literal[1, 7, 28] = 7
    limit: Annotated[int, msgspec.Meta(ge=1, le=ROWS_MAX)] = ROWS_MAX


class BelowAnswer(msgspec.Struct, frozen=True):
    """The highest first, as they were at `read_at`. `budget`: how many of today's places are used."""

    read_at: Milliseconds
    budget: BudgetState
    alerts: list[NotAlertedView]


class NewView(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`query`: filters as in the queue's address, such as `status=open&severity=critical`; what cannot be
    read counts as not asked for. One of the same name is replaced."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=NAME_CHARACTERS)]
    query: Annotated[str, msgspec.Meta(max_length=QUERY_CHARACTERS)] = ""


class ViewsAnswer(msgspec.Struct, frozen=True):
    """Of the caller alone, by name."""

    views: list[SavedView]


def below(console: Console, ask: Ask, query: BelowQuery, _body: None) -> BelowAnswer:
    budget, found = below_the_line(console, ask, query.days)
    return BelowAnswer(found.at, budget, found.rows[: query.limit])


def views(console: Console, ask: Ask, _query: Nothing, _body: None) -> ViewsAnswer:
    with console.database.read() as connection:
        return ViewsAnswer(saved_of(connection, _owner(ask)))


def keep_view(console: Console, ask: Ask, _query: Nothing, body: NewView) -> SavedView:
    wanted = read_filter(QueryParams(body.query))
    try:
        with console.database.begin() as connection:
            return save_view(connection, _owner(ask), body.name, wanted, actor=ask.viewer.actor, at=ask.now)
    except ViewRefused as error:
        raise ApiError(400, "view_refused", str(error)) from None


def drop_view(console: Console, ask: Ask, _query: Nothing, _body: None) -> ViewsAnswer:
    owner = _owner(ask)
    with console.database.begin() as connection:
        gone = delete_view(connection, owner, ask.path["id"], actor=ask.viewer.actor, at=ask.now)
        left = saved_of(connection, owner)
    if not gone:
        raise ApiError(404, "not_found", "there is no such view")
    return ViewsAnswer(left)


def _owner(ask: Ask) -> str:
    """A token may be called as a user is: what it keeps is its own."""
    return ask.viewer.user if ask.viewer.token is None else ask.viewer.actor


_VIEWS = "/api/v1/alerts/views"
_SEE = Right.SEE_ALERTS
API = [
    ApiCall(
        "GET",
        "/api/v1/alerts/below",
        _SEE,
        below,
        BelowAnswer,
        "What was found and not alerted, with why",
        query=BelowQuery,
    ),
    ApiCall("GET", _VIEWS, _SEE, views, ViewsAnswer, "The caller's saved views of the queue"),
    ApiCall("POST", _VIEWS, _SEE, keep_view, SavedView, "Saves a view of the queue", body=NewView),
    ApiCall("POST", f"{_VIEWS}/{{id:int}}/delete", _SEE, drop_view, ViewsAnswer, "Forgets a saved view"),
]
