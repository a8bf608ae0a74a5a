"""Judging alerts, for programs: the same verbs as the pages post, with the same answers."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from sqlalchemy import Connection

from server.alerts.queries import Verdict
from server.api.errors import ApiError
from server.console.api_calls import ApiCall
from server.console.page import Ask, Console
from server.console.triage_told import Do, Told, carried_out, keeping_of, owner_of, told, undone
from server.people.roles import Right
from server.triage.following import follow
from server.triage.judging import close, reopen
from server.triage.merging import merge, unmerge
from server.triage.outcome import Change, Outcome, Shown
from server.triage.verbs import assign, note, snooze, wake

TYPED_BYTES = 256 << 10


_Number = Annotated[int, Meta(ge=0, le=2**63 - 1)]
"""As far as a database counts."""
_Seen = Annotated[str, Meta(pattern=r"^[0-9]{1,9}:[0-9]{1,15}:[0-9]{1,3}:[0-9]{1,15}$")]


class Alerts(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`versions`: by number, where a change shall not go through over somebody else's. `seen`: by number,
    what the alert and its row of the queue say as `seen`; then nothing is closed or snoozed either that grew
    since: the answer is 409 with the reason `grew`."""

    alerts: tuple[int, ...]
    versions: dict[int, int] = {}
    seen: dict[int, _Seen] = {}


class Assigned(Alerts, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`owner`: a user's name; null for nobody."""

    owner: str | None


class Noted(Alerts, frozen=True, forbid_unknown_fields=True, kw_only=True):
    text: str


class Snoozed(Alerts, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`until`: ms UTC."""

    until: int


class Closed(Alerts, frozen=True, forbid_unknown_fields=True, kw_only=True):
    verdict: Verdict
    reason: str


class Merged(Alerts, frozen=True, forbid_unknown_fields=True, kw_only=True):
    into: _Number


class Undone(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`group`: as the answer said that is undone."""

    group: _Number


def _assign(console: Console, ask: Ask, _query: Any, body: Assigned) -> Told:
    owner = owner_of(console, ask, body.owner or "")
    return _done(console, ask, body, lambda connection, change: assign(connection, change, owner))


def _note(console: Console, ask: Ask, _query: Any, body: Noted) -> Told:
    return _done(console, ask, body, lambda connection, change: note(connection, change, body.text))


def _snooze(console: Console, ask: Ask, _query: Any, body: Snoozed) -> Told:
    return _done(console, ask, body, lambda connection, change: snooze(connection, change, body.until))


def _wake(console: Console, ask: Ask, _query: Any, body: Alerts) -> Told:
    return _done(console, ask, body, wake)


def _close(console: Console, ask: Ask, _query: Any, body: Closed) -> Told:
    days = console.config.retention.activity_days
    return _done(
        console,
        ask,
        body,
        lambda connection, change: close(connection, change, body.verdict, body.reason, activity_days=days),
    )


def _reopen(console: Console, ask: Ask, _query: Any, body: Alerts) -> Told:
    keeping = keeping_of(console)
    return _done(console, ask, body, lambda connection, change: reopen(connection, change, keeping=keeping))


def _merge(console: Console, ask: Ask, _query: Any, body: Merged) -> Told:
    def do(connection: Connection, change: Change) -> Outcome:
        return merge(connection, change, body.into)

    return _done(console, ask, body, do, main=body.into)


def _unmerge(console: Console, ask: Ask, _query: Any, body: Alerts) -> Told:
    return _done(console, ask, body, unmerge)


def _follow(console: Console, ask: Ask, _query: Any, body: Alerts) -> Told:
    return _done(console, ask, body, partial(follow, on=True))


def _unfollow(console: Console, ask: Ask, _query: Any, body: Alerts) -> Told:
    return _done(console, ask, body, partial(follow, on=False))


def _undo(console: Console, ask: Ask, _query: Any, body: Undone) -> Told:
    return _changed(told(ask, undone(console, ask, body.group)))


def _done(console: Console, ask: Ask, body: Alerts, do: Do, *, main: int | None = None) -> Told:
    versions, shown = dict(body.versions), {}
    for number, seen in body.seen.items():
        versions[number], *rest = map(int, seen.split(":"))
        shown[number] = Shown(*rest)
    return _changed(told(ask, carried_out(console, ask, body.alerts, versions, do, shown, main=main)))


def _changed(found: Told) -> Told:
    """Raises ApiError where no alert could be changed."""
    if not found.done and found.refused:
        first = found.refused[0]
        raise ApiError(409, first.why, " ".join(each.message for each in found.refused[:3]))
    return found


def _call(verb: str, handler: Any, body: type[msgspec.Struct], summary: str) -> ApiCall:
    return ApiCall(
        "POST",
        f"/api/v1/alerts/{verb}",
        Right.TRIAGE,
        handler,
        answer=Told,
        summary=summary,
        body=body,
        body_limit=TYPED_BYTES,
    )


API = [
    _call("assign", _assign, Assigned, "Says whose task alerts are."),
    _call("note", _note, Noted, "Adds a note to alerts."),
    _call("snooze", _snooze, Snoozed, "Lets alerts sleep until a time, or until anything new comes."),
    _call("wake", _wake, Alerts, "Ends the sleep of alerts."),
    _call("close", _close, Closed, "Closes alerts with a verdict and a reason."),
    _call("reopen", _reopen, Alerts, "Opens closed alerts again, and takes their verdict back."),
    _call("merge", _merge, Merged, "Merges alerts into another one."),
    _call("unmerge", _unmerge, Alerts, "Takes alerts out of the one that they were merged into."),
    _call("follow", _follow, Alerts, "Follows alerts, for whoever asks alone."),
    _call("unfollow", _unfollow, Alerts, "Follows alerts no longer."),
    _call("undo", _undo, Undone, "Takes back what was done, within ten minutes."),
]
