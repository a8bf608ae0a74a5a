"""Leavers: a strip of the coming last days, the list, and one leaver with all that is open.

HR gets what HR declared and nothing else: all that it is shown is read through `hr_reading`
(server/leavers/listing.py, detail.py). Analysts get pseudonyms.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Final
from urllib.parse import urlencode

import msgspec
from starlette.responses import Response

from server.accounts.views_recorded import note_view
from server.api.errors import ApiError
from server.console.known_people import KnownPeople
from server.console.page import Ask, Console, Page
from server.console.pages.leaver_words import all_words, person_of
from server.leavers.detail import LeaverDetail, leaver_detail
from server.leavers.listing import Scope, last_days, list_leavers
from server.leavers.named import UnknownLeaver
from server.people.pseudonyms import person_subject, shown_names
from server.people.roles import Right
from server.people.sign_offs import NOTE_CHARACTERS, SIGNED_BY
from server.people.standing import NOTICE_LOOK_BACK_DAYS

STRIP_DAYS: Final = 14
TEXT_CHARACTERS: Final = 100
_DAY_ZERO: Final = date(1970, 1, 1).toordinal()
_WEEK: Final = 7


class StripDay(msgspec.Struct, frozen=True):
    """One column: `count` last days are on it."""

    day: date
    count: int
    is_today: bool
    is_weekend: bool


def leavers(console: Console, ask: Ask) -> Response:
    """GET /leavers?scope=all&q=…&day=2026-11-26&after=…"""
    role = ask.viewer.role
    scope: Scope = "all" if ask.query.get("scope") == "all" else "current"
    text = ask.query.get("q", "")[:TEXT_CHARACTERS]
    wanted = _asked_day(ask)
    day = None if wanted is None else wanted.toordinal() - _DAY_ZERO
    note_view(console, ask, "leavers:list")
    found = list_leavers(
        console.database,
        role,
        now=ask.now,
        scope="all" if day is not None else scope,
        text=text,
        day=day,
        after=ask.query.get("after", ""),
    )
    strip = strip_days(console, ask)
    return ask.page(
        "leavers/list.html",
        found=found,
        strip=strip,
        this_week=sum(each.count for each in strip[:_WEEK]),
        today=today(ask),
        scope=scope,
        text=text,
        day_asked=wanted,
        may_flag=ask.viewer.may(Right.FLAG_LEAVERS),
        sees_names=ask.viewer.may(Right.SEE_NAMES),
        sees_use=ask.viewer.may(Right.SEE_LAST_USE),
        sees_alerts=ask.viewer.may(Right.SEE_ALERTS),
        is_filtered=bool(text or wanted),
        address=_address,
        **all_words(ask),
    )


def one_leaver(console: Console, ask: Ask) -> Response:
    """GET /leavers/{person}: by id, or by pseudonym for who sees those."""
    return leaver_page(console, ask, person_of(ask.path["person"]))


def leaver_page(
    console: Console, ask: Ask, person: str, *, status: int = 200, problem: str | None = None
) -> Response:
    """The page of one person, with what was refused. Raises ApiError(404)."""
    found = found_leaver(console, ask, person)
    note_leaver_view(console, ask, found.person)
    viewer = ask.viewer
    may_sign = [item for item in found.items if viewer.role in SIGNED_BY[item]]
    own = {each.item for each in found.sign_offs if each.role is viewer.role}
    return ask.page(
        "leavers/one.html",
        status=status,
        found=found,
        problem=problem,
        may_sign=may_sign,
        own_signed=own,
        signers=SIGNED_BY,
        may_flag=viewer.may(Right.FLAG_LEAVERS),
        may_change=viewer.may(Right.CHANGE_HOLDINGS),
        sees_use=viewer.may(Right.SEE_LAST_USE),
        sees_alerts=viewer.may(Right.SEE_ALERTS),
        done=ask.query.get("done", ""),
        undo=ask.query.get("change", "") if ask.query.get("change", "").isdecimal() else "",
        note_characters=NOTE_CHARACTERS,
        look_back=NOTICE_LOOK_BACK_DAYS,
        **all_words(ask),
    )


def found_leaver(console: Console, ask: Ask, person: str) -> LeaverDetail:
    """Raises ApiError(404), the same for whom nobody knows and for who may not be seen."""
    directory = None
    if not ask.viewer.may(Right.SEE_NAMES):
        with console.database.read() as connection:
            directory = console.made(KnownPeople).directory(connection)
    try:
        return leaver_detail(console.database, ask.viewer.role, person, now=ask.now, directory=directory)
    except UnknownLeaver:
        raise ApiError(404, "not_found", "there is nobody of this name here") from None


def note_leaver_view(console: Console, ask: Ask, person: str) -> None:
    """On the record, which names the pseudonym."""
    shown = person
    if ask.viewer.may(Right.SEE_NAMES):
        subject = person_subject(person)
        _, given = shown_names(console.database, [subject])
        shown = given[subject]
    note_view(console, ask, f"leaver:{shown}")


def strip_days(console: Console, ask: Ask) -> list[StripDay]:
    """This week and the next one, where the viewer is."""
    now = today(ask)
    first = now - timedelta(days=now.weekday())
    counts = last_days(console.database, now=ask.now, first=first.toordinal() - _DAY_ZERO, days=STRIP_DAYS)
    return [
        StripDay(each, counts.get(each.toordinal() - _DAY_ZERO, 0), each == now, each.weekday() >= 5)
        for each in (first + timedelta(days=number) for number in range(STRIP_DAYS))
    ]


def today(ask: Ask) -> date:
    """Where the viewer is."""
    return datetime.fromtimestamp(ask.now / 1000, UTC).astimezone(ask.zone).date()


def _asked_day(ask: Ask) -> date | None:
    written = ask.query.get("day", "")
    if not written:
        return None
    try:
        return date.fromisoformat(written)
    except ValueError:
        raise ApiError(400, "bad_query", "day is written 2026-11-26") from None


def _address(**filters: str | None) -> str:
    """Of the list with these filters; what is empty is left out."""
    kept = {name: value for name, value in filters.items() if value}
    return "/leavers" + (f"?{urlencode(kept)}" if kept else "")


PAGES = [
    Page("GET", "/leavers", Right.SEE_LEAVERS, leavers),
    Page("GET", "/leavers/{person}", Right.SEE_LEAVERS, one_leaver),
]
