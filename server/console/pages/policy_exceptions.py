"""Exceptions from policies: what each hid, how long it holds; made with a count of the history first,
renewed, ended."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import Connection
from starlette.responses import Response

from server.api.errors import ApiError
from server.console.page import Ask, Console, Page
from server.console.policies.changing import held_version, told, whole
from server.console.policies.header import header_of
from server.console.policies.sheets import Sheets
from server.console.policies.sight import Sight, sight_of
from server.console.policies.words import Words
from server.dry_runs.gate import check_base, checked_reason
from server.people.directory import load_directory
from server.people.roles import Right
from server.policies.listing import ExceptionRow
from server.policies.making_exceptions import (
    Prepared,
    Wanted,
    checked_last_day,
    extended,
    keep_exception,
    person_by_pseudonym,
    prepare_exception,
)
from server.policies.sheet import EXPIRING_DAYS
from server.policies.versions import PolicyVersion, current_versions, save, switch
from server.retention import DAY_MS
from server.store.column_types import is_storable

_FILE: Final = "console"
_VALUE_CHARACTERS: Final = 500
_DAYS: Final = 90
KINDS: Final = ("person", "group", "device", "destination", "sha256", "host", "account")
_BY_NAME: Final = frozenset({"device", "host", "account"})
"""What analysts know by pseudonyms alone, which events do not hold: they except these from an alert."""


class Draft(msgspec.Struct, frozen=True):
    """As it was typed."""

    kind: str = "destination"
    value: str = ""
    until: str = ""
    reason: str = ""


def everything(console: Console, ask: Ask) -> Response:
    """GET /policies/exceptions"""
    sight = sight_of(console, ask.viewer)
    rows, titles = _rows(console, ask, sight, None)
    return ask.page(
        "policies/exceptions.html",
        head=None,
        sight=sight,
        say=Words(ask.text),
        rows=rows,
        titles=titles,
        **_form(ask, sight, Draft()),
    )


def of_policy(console: Console, ask: Ask) -> Response:
    """GET /policies/{rule}/exceptions"""
    return _page(console, ask, Draft())


def preview(console: Console, ask: Ask) -> Response:
    """POST /policies/{rule}/exceptions/preview: what it would have hidden; saves nothing."""
    draft = _draft(ask)
    prepared = told(console, ask, lambda: _prepared(console, ask, draft))
    return _page(console, ask, draft, prepared)


def make(console: Console, ask: Ask) -> Response:
    """POST /policies/{rule}/exceptions"""
    draft = _draft(ask)

    def work() -> PolicyVersion:
        # Counted before the write transaction: others wait for that.
        prepared, reason = _prepared(console, ask, draft), checked_reason(draft.reason)
        with console.database.begin() as connection:
            return keep_exception(
                connection, prepared, file=_FILE, actor=ask.viewer.actor, reason=reason, now=ask.now
            )

    version = told(console, ask, work)
    return ask.redirect(f"/policies/{ask.path['rule'].lower()}/exceptions?made={version.rule_id}")


def extend(console: Console, ask: Ask) -> Response:
    """POST /policies/exceptions/{exception}/extend: another last day."""

    def work() -> None:
        until, reason = checked_last_day(ask.form.get("until", ""), ask.now), checked_reason(_reason(ask))
        with console.database.begin() as connection:
            held = _exception(connection, ask)
            check_base(held, whole(ask, "base"))
            save(
                connection,
                extended(held, until),
                file=held.file,
                actor=ask.viewer.actor,
                reason=reason,
                now=ask.now,
                preview=held.preview,
            )

    told(console, ask, work)
    return ask.redirect(_back(ask))


def end(console: Console, ask: Ask) -> Response:
    """POST /policies/exceptions/{exception}/end: hides nothing from now on."""

    def work() -> None:
        reason = checked_reason(_reason(ask))
        with console.database.begin() as connection:
            held = _exception(connection, ask)
            check_base(held, whole(ask, "base"))
            switch(
                connection, held.rule_id, enabled=False, actor=ask.viewer.actor, reason=reason, now=ask.now
            )

    told(console, ask, work)
    return ask.redirect(_back(ask))


def _page(console: Console, ask: Ask, draft: Draft, prepared: Prepared | None = None) -> Response:
    sight = sight_of(console, ask.viewer)
    with console.database.read() as connection:
        found = held_version(connection, ask.path["rule"])
    rows, titles = _rows(console, ask, sight, found.rule_id)
    return ask.page(
        "policies/exceptions.html",
        head=header_of(console, ask, sight, found),
        sight=sight,
        say=Words(ask.text),
        rows=rows,
        titles=titles,
        **_form(ask, sight, draft, prepared),
    )


def _form(ask: Ask, sight: Sight, draft: Draft, prepared: Prepared | None = None) -> dict[str, Any]:
    today = datetime.datetime.fromtimestamp(ask.now / 1000, ask.zone).date()
    # Whoever named somebody by an id does not hear what they did.
    counted = prepared.counted if prepared is not None and (sight.alerts or prepared.told) else None
    return {
        "draft": draft if draft.until else msgspec.structs.replace(draft, until=str(_in_days(today, _DAYS))),
        "prepared": prepared is not None,
        "counted": counted,
        "kinds": [kind for kind in KINDS if sight.names or kind not in _BY_NAME],
        "first": str(today),
        "last": str(_in_days(today, 365)),
        "expiring_ms": EXPIRING_DAYS * DAY_MS,
        "made": ask.query.get("made", ""),
        "last_day": lambda until: datetime.datetime.fromtimestamp((until - 1) / 1000, datetime.UTC).date(),
    }


def _in_days(day: datetime.date, days: int) -> datetime.date:
    return day + datetime.timedelta(days=days)


def _rows(
    console: Console, ask: Ask, sight: Sight, rule_id: str | None
) -> tuple[Sequence[ExceptionRow], dict[str, str]]:
    """Those of a policy, or all; titles of the policies that they are from, as the viewer reads them."""
    sheet = sight.sheet(console.made(Sheets).of.sheet(now=ask.now))
    with console.database.read() as connection:
        held = current_versions(connection)
    rows = [
        each
        for each in sheet.exceptions
        if each.state != "gone" and (rule_id is None or rule_id in each.rules)
    ]
    titles = {row.rule.id: row.rule.title for row in sheet.rows}
    order = {"on": 0, "faulty": 1, "ended": 2, "off": 3, "gone": 4}
    return sorted(sight.exceptions(rows, held), key=lambda each: (order[each.state], each.until)), titles


def _draft(ask: Ask) -> Draft:
    kind, value, until = (ask.form.get(name, "").strip() for name in ("kind", "value", "until"))
    draft = Draft(kind, value, until, _reason(ask))
    if draft.kind not in KINDS:
        raise ApiError(400, "bad_form", "there is no such kind of exception")
    return draft


def _reason(ask: Ask) -> str:
    return ask.form.get("reason", "").strip()


def _prepared(console: Console, ask: Ask, draft: Draft) -> Prepared:
    """Raises ValueError and what prepare_exception does."""
    reason = checked_reason(draft.reason)
    if not draft.value:
        raise ValueError(ask.text("Say whom or what it is about."))
    if len(draft.value) > _VALUE_CHARACTERS or not is_storable(draft.value):
        raise ValueError(ask.text("This value cannot be kept: it is too long, or holds control characters."))
    try:
        until = checked_last_day(draft.until, ask.now)
    except ValueError:
        raise ValueError(ask.text("The last day lies between today and a year from now.")) from None
    names = ask.viewer.may(Right.SEE_NAMES)
    if draft.kind in _BY_NAME and not names:
        raise ApiError(403, "not_allowed", ask.text("Except this from an alert that shows it."))
    with console.database.read() as connection:
        held = held_version(connection, ask.path["rule"])
        wanted = _wanted(connection, ask, draft, names=names)
        return prepare_exception(
            connection,
            wanted,
            [held],
            until=until,
            owner=ask.viewer.user,
            reason=reason,
            now=ask.now,
            by_pseudonym=draft.kind == "person" and not names,
        )


def _wanted(connection: Connection, ask: Ask, draft: Draft, *, names: bool) -> Wanted:
    value = draft.value
    if draft.kind == "person":
        if names:
            # Never by pseudonym: id and pseudonym side by side would say whose it is.
            if load_directory(connection).person(value) is None:
                raise ValueError(ask.text("Nobody has this id."))
        else:
            value = person_by_pseudonym(connection, value)
    if draft.kind == "sha256" and not (
        len(value) == 64 and all(each in "0123456789abcdefABCDEF" for each in value)
    ):
        raise ValueError(ask.text("A SHA-256 has 64 digits of 0–9 and a–f."))
    return msgspec.structs.replace(Wanted(), **{draft.kind: value})


def _exception(connection: Connection, ask: Ask) -> PolicyVersion:
    held = held_version(connection, ask.path["exception"])
    if held.kind != "exception":
        raise ApiError(404, "not_found", ask.text("There is no such policy, version or person."))
    return held


def _back(ask: Ask) -> str:
    rule = ask.form.get("of", "")
    known = rule and all(each.isalnum() or each == "-" for each in rule)
    return f"/policies/{rule[:64]}/exceptions" if known else "/policies/exceptions"


PAGES = [
    Page("GET", "/policies/exceptions", Right.SEE_POLICIES, everything),
    Page("POST", "/policies/exceptions/{exception}/extend", Right.MAKE_EXCEPTIONS, extend),
    Page("POST", "/policies/exceptions/{exception}/end", Right.MAKE_EXCEPTIONS, end),
    Page("GET", "/policies/{rule}/exceptions", Right.SEE_POLICIES, of_policy),
    Page("POST", "/policies/{rule}/exceptions/preview", Right.MAKE_EXCEPTIONS, preview),
    Page("POST", "/policies/{rule}/exceptions", Right.MAKE_EXCEPTIONS, make),
]
