"""An exception made from an alert: what it shows is offered, by pseudonym, and what it would have hidden is
counted before anything is kept."""

from __future__ import annotations

import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import Connection
from starlette.responses import Response

from policies.errors import PolicyErrors
from server.accounts.views_recorded import note_view
from server.api.errors import ApiError
from server.console.alert_shown import Opened, open_alert, values_of
from server.console.page import Ask, Console, Page
from server.console.said_words import fault_in, said
from server.people.roles import Right
from server.people.unmaskings import REASON_CHARACTERS
from server.policies.making_exceptions import (
    Prepared,
    Wanted,
    checked_last_day,
    keep_exception,
    prepare_exception,
)
from server.policies.versions import PolicyVersion, UnknownPolicy, current_versions
from server.store.column_types import is_storable

_FILE: Final = "console"
_DAYS: Final = 30
_YEAR: Final = 365


class Typed(msgspec.Struct, frozen=True):
    """The form as it was filled in. `device`, `place`: as they are shown."""

    rules: tuple[str, ...] = ()
    person: bool = True
    device: str = ""
    place: str = ""
    until: str = ""
    reason: str = ""


def ask_for(console: Console, ask: Ask) -> Response:
    """GET /alerts/{id}/exception"""
    opened = _opened(console, ask)
    today = datetime.datetime.fromtimestamp(ask.now / 1000, datetime.UTC).date()
    until = str(today + datetime.timedelta(days=_DAYS))
    with console.database.read() as connection:
        rules = _rules(connection, opened)
    return _page(console, ask, opened, Typed(tuple(each.rule_id for each in rules[:1]), until=until))


def make(console: Console, ask: Ask) -> Response:
    """POST /alerts/{id}/exception: counted first (`do` is count), kept afterwards (`do` is keep)."""
    opened = _opened(console, ask)
    typed = _typed(ask)
    try:
        prepared = _prepared(console, ask, opened, typed)
        if ask.form.get("do") == "keep":
            with console.database.begin() as connection:
                kept = keep_exception(
                    connection,
                    prepared,
                    file=_FILE,
                    actor=ask.viewer.actor,
                    reason=typed.reason,
                    now=ask.now,
                )
            return ask.redirect(f"/policies/{typed.rules[0]}/exceptions?made={kept.rule_id}")
    except PolicyErrors as errors:
        faults = [fault_in(ask.look.language, each.message) for each in errors.errors[:3]]
        problem = "; ".join(map(opened.sight.prose, faults))
        return _page(console, ask, opened, typed, problem=problem, status=400)
    except (ValueError, UnknownPolicy) as error:
        return _page(
            console, ask, opened, typed, problem=opened.sight.prose(said(ask, str(error))), status=400
        )
    return _page(console, ask, opened, typed, prepared)


def _opened(console: Console, ask: Ask) -> Opened:
    if not ask.viewer.may(Right.MAKE_EXCEPTIONS):
        raise ApiError(403, "not_allowed", "your role may not make exceptions")
    opened = open_alert(console, ask, int(ask.path["id"]), evidence=True)
    note_view(console, ask, f"alert:{opened.view.id}")
    return opened


def _typed(ask: Ask) -> Typed:
    form = ask.form
    return Typed(
        rules=tuple(dict.fromkeys(form.getlist("rule")))[:50],
        person=form.get("person") == "on",
        device=form.get("device", ""),
        place=form.get("place", ""),
        until=form.get("until", "").strip(),
        reason=form.get("reason", "").strip(),
    )


def _prepared(console: Console, ask: Ask, opened: Opened, typed: Typed) -> Prepared:
    """Before the write transaction: others wait for that. Raises ValueError, PolicyErrors."""
    if not 1 <= len(typed.reason) <= REASON_CHARACTERS or not is_storable(typed.reason):
        raise ValueError(ask.text("Say why, in at most {n} characters.", n=REASON_CHARACTERS))
    try:
        until = checked_last_day(typed.until, ask.now)
    except ValueError:
        raise ValueError(ask.text("The last day lies between today and a year from now.")) from None
    wanted = _wanted(ask, opened, typed)
    with console.database.read() as connection:
        known = {each.rule_id: each for each in _rules(connection, opened)}
        rules = [known[rule] for rule in typed.rules if rule in known]
        if not rules:
            raise ValueError(ask.text("Choose a policy."))
        return prepare_exception(
            connection,
            wanted,
            rules,
            until=until,
            owner=ask.viewer.user,
            reason=typed.reason,
            now=ask.now,
            by_pseudonym=True,
        )


def _wanted(ask: Ask, opened: Opened, typed: Typed) -> Wanted:
    """What the form shows is looked up again in the evidence: it holds no names."""
    person = account = host = None
    if typed.person:
        kind, _, rest = opened.stored.subject.partition(":")
        if kind == "person":
            person = rest
        else:
            account, _, host = rest.partition("@")
    devices, places = _devices(opened), _places(opened)
    if (typed.device and typed.device not in devices) or (typed.place and typed.place not in places):
        raise ValueError(ask.text("The evidence changed: choose again."))
    wanted = Wanted(
        person=person,
        account=account or None,
        host=host or None,
        device=devices.get(typed.device),
        destination=places.get(typed.place),
    )
    if wanted.empty:
        raise ValueError(ask.text("Choose what is left out."))
    return wanted


def _devices(opened: Opened) -> dict[str, str]:
    """By what is shown of it: its unique id."""
    assert opened.bundle is not None
    mask = opened.mask
    found = (each.device for each in opened.bundle.evidence.destinations)
    return {mask.device(device): device.uid for device in found if device is not None and device.uid}


def _places(opened: Opened) -> dict[str, str]:
    assert opened.bundle is not None
    mask = opened.mask
    return {
        mask.text(each.remote): each.remote for each in opened.bundle.evidence.destinations if each.remote
    }


def _rules(connection: Connection, opened: Opened) -> list[PolicyVersion]:
    """That the alert rests on and that still are there; the weightiest first."""
    held = current_versions(connection)
    weight = {share.source: share.points for share in opened.stored.shares}
    found = [each for each in (held.get(rule) for rule in weight) if each is not None]
    return sorted(found, key=lambda each: -weight[each.rule_id])


def _page(
    console: Console,
    ask: Ask,
    opened: Opened,
    typed: Typed,
    prepared: Prepared | None = None,
    *,
    problem: str = "",
    status: int = 200,
) -> Response:
    today = datetime.datetime.fromtimestamp(ask.now / 1000, datetime.UTC).date()
    with console.database.read() as connection:
        rules = _rules(connection, opened)
    values: dict[str, Any] = {
        **values_of(console, ask, opened),
        "typed": typed,
        "rules": [(each.rule_id, opened.sight.prose(each.title)) for each in rules],
        "devices": list(_devices(opened)),
        "places": list(_places(opened)),
        "counted": None if prepared is None else prepared.counted,
        "problem": problem,
        "first": str(today),
        "last": str(today + datetime.timedelta(days=_YEAR)),
    }
    return ask.page("alert/exception.html", status=status, **values)


PAGES = [
    Page("GET", "/alerts/{id:int}/exception", Right.SEE_ALERTS, ask_for),
    Page("POST", "/alerts/{id:int}/exception", Right.SEE_ALERTS, make),
]
