"""What HR, IT and security change of a leaver, on the record: flag, sign-offs, accounts and devices."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Final, cast, get_args

import msgspec
from sqlalchemy import Connection
from starlette.responses import Response

from server.accounts.views_recorded import note_view
from server.api.errors import ApiError
from server.console.page import Ask, Console, Page
from server.console.pages.leaver_words import all_words, days_words, person_path
from server.console.pages.leavers import leaver_page, note_leaver_view, today
from server.console.said_words import said as said_words
from server.leavers.activity import open_alerts, with_activity
from server.leavers.detail import FlagView, PersonCard, leaver_detail, person_card
from server.leavers.named import UnknownLeaver, person_named
from server.people.account_facts import (
    AccountRefused,
    AccountWords,
    DateRefused,
    UnknownAccount,
    close_account,
    declare_account,
)
from server.people.dates import UnreadableDate, read_day, read_minute
from server.people.facts import LeaverFlag, LeavingType
from server.people.flags import (
    NOTE_CHARACTERS,
    FlagRefused,
    UnknownPerson,
    flag_person,
    last_change,
    undo_flag,
    unflag_person,
)
from server.people.hr_names import QUERY_CHARACTERS, find_people
from server.people.hr_view import hr_reading
from server.people.leaver_ledger import load_leaver
from server.people.machines import MachineRefused, return_machine
from server.people.roles import NotAllowed, Right, may
from server.people.sign_offs import NOTE_CHARACTERS as SIGN_OFF_CHARACTERS
from server.people.sign_offs import CannotSign, Item, sign_off, take_back
from server.store.column_types import is_storable

REASON_CHARACTERS: Final = 1000
_DAY_ZERO: Final = date(1970, 1, 1).toordinal()
_FIELDS: Final = ("last_day", "last_hour", "notice_date", "leaving_type", "note")


class _Bad(Exception):
    """What is wrong with a form, for whoever filled it in."""


class _Said(msgspec.Struct, frozen=True):
    """A flag form as it was filled in."""

    last_day: str = ""
    last_hour: str = ""
    notice_date: str = ""
    leaving_type: str = ""
    note: str = ""


def flag_form(console: Console, ask: Ask) -> Response:
    """GET /leavers/flag?q=… to find somebody; ?person=ID the form."""
    person = ask.query.get("person", "")
    if person:
        card, flag = _card(console, person)
        note_leaver_view(console, ask, card.id)
        return _form(console, ask, card, flag, _filled(console, ask, person, flag))
    query = ask.query.get("q", "")[:QUERY_CHARACTERS]
    note_view(console, ask, "leavers:search")
    with hr_reading(console.database) as connection:
        found = find_people(connection, query)
    if len(found) == 1 and not ask.fragment:
        return ask.redirect(f"/leavers/flag?person={person_path(found[0].id)}")
    template = "leavers/found.html" if ask.fragment else "leavers/pick.html"
    return ask.page(template, found=found, text=query, **all_words(ask))


def said(console: Console, ask: Ask) -> Response:
    """POST /leavers/said: how the form's dates are read, before it is sent."""
    try:
        flag = _read(ask, _from_form(ask))
    except _Bad as error:
        return ask.fragment_of(
            "leavers/said.html", problem=said_words(ask, str(error)), flag=None, **all_words(ask)
        )
    day = date.fromordinal(flag.last_day + _DAY_ZERO)
    notice = None if flag.notice_day is None else date.fromordinal(flag.notice_day + _DAY_ZERO)
    return ask.fragment_of(
        "leavers/said.html",
        problem=None,
        flag=flag,
        last=day,
        notice=notice,
        away=days_words(ask, (day - today(ask)).days),
        **all_words(ask),
    )


def flag(console: Console, ask: Ask) -> Response:
    """POST /leavers/flag: somebody leaves, or the dates are others."""
    person = ask.form.get("person", "")
    given = _from_form(ask)
    try:
        wanted = _read(ask, given)
        with console.database.begin() as connection:
            before, after = flag_person(
                connection,
                person,
                wanted,
                actor=ask.viewer.actor,
                at=ask.now,
                reason=_reason(ask, needed=False),
                whole=True,
            )
            change = last_change(connection, person) if before != after else None
    except UnknownPerson:
        raise _nobody() from None
    except (FlagRefused, _Bad) as error:
        card, known = _card(console, person)
        return _form(console, ask, card, known, given, problem=said_words(ask, str(error)))
    return _done(ask, person, "flag", change)


def withdraw(console: Console, ask: Ask) -> Response:
    """POST /leavers/withdraw: the flag goes, with a reason; HR's dates hold again."""
    person = ask.form.get("person", "")
    try:
        with console.database.begin() as connection:
            unflag_person(
                connection, person, actor=ask.viewer.actor, at=ask.now, reason=_reason(ask, needed=True)
            )
            change = last_change(connection, person)
    except UnknownPerson:
        raise _nobody() from None
    except (FlagRefused, _Bad) as error:
        return leaver_page(console, ask, person, status=422, problem=said_words(ask, str(error)))
    return _done(ask, person, "withdraw", change)


def undo(console: Console, ask: Ask) -> Response:
    """POST /leavers/undo: what the same user flagged or withdrew a moment ago."""
    person, change = ask.form.get("person", ""), ask.form.get("change", "")
    try:
        with console.database.begin() as connection:
            number = int(change) if change.isdecimal() and len(change) < 18 else -1
            undo_flag(connection, person, number, actor=ask.viewer.actor, at=ask.now)
    except UnknownPerson:
        raise _nobody() from None
    except FlagRefused as error:
        return leaver_page(console, ask, person, status=422, problem=said_words(ask, str(error)))
    return _done(ask, person, "undo", None)


def sign(console: Console, ask: Ask) -> Response:
    """POST /leavers/sign: an item is done, or it is not after all."""
    viewer, shown = ask.viewer, ask.form.get("person", "")
    takes_back = ask.form.get("take_back") == "yes"
    try:
        item = Item(ask.form.get("item", ""))
        note = _typed(ask.form.get("note", ""), SIGN_OFF_CHARACTERS, ask.text("The note")) or None
        with console.database.begin() as connection:
            person = person_named(connection, shown, viewer.role)
            if takes_back:
                take_back(connection, person, item, role=viewer.role, actor=viewer.actor, at=ask.now)
            else:
                _sign(connection, ask, person, item, note)
    except UnknownLeaver:
        raise _nobody() from None
    except ValueError:
        raise ApiError(400, "bad_form", "there is no such item") from None
    except (NotAllowed, CannotSign, _Bad) as error:
        return leaver_page(console, ask, shown, status=422, problem=said_words(ask, str(error)))
    return _done(ask, shown, "unsign" if takes_back else "sign", None)


def _sign(connection: Connection, ask: Ask, person: str, item: Item, note: str | None) -> None:
    role = ask.viewer.role
    leaving = load_leaver(connection, person, ask.now)
    if leaving is None:
        raise UnknownLeaver("nobody is leaving by this name")
    if may(role, Right.SEE_LAST_USE):
        # Passwords too of which only the use of an account tells.
        leaving, _ = with_activity(connection, [leaving], ask.now)[person]
    alerted = open_alerts(connection, [person]) if may(role, Right.SEE_ALERTS) else {}
    sign_off(
        connection,
        leaving,
        item,
        role=role,
        actor=ask.viewer.actor,
        at=ask.now,
        note=note,
        open_alerts=alerted.get(person, 0),
    )


def holding(console: Console, ask: Ask) -> Response:
    """POST /leavers/holding: an account is closed or works again, a device is back, a password changed."""
    person, act = ask.form.get("person", ""), ask.form.get("act", "")
    name, system = ask.form.get("name", ""), ask.form.get("system", "")
    actor, at = ask.viewer.actor, ask.now

    def closed(connection: Connection) -> None:
        when = at if act == "close" else None
        close_account(connection, name, system, when=when, actor=actor, at=at, reason=None)

    def returned(connection: Connection) -> None:
        return_machine(connection, person, name, when=at, actor=actor, at=at)

    def rotated(connection: Connection) -> None:
        words = AccountWords(name, system, rotated_at=at)
        declare_account(connection, words, actor=actor, at=at, reason=None)

    acts: dict[str, Callable[[Connection], None]] = {
        "close": closed,
        "reopen": closed,
        "returned": returned,
        "rotated": rotated,
    }
    if act not in acts:
        raise ApiError(400, "bad_form", "there is no such act")
    if not _is_theirs(console, ask, person, name, system):
        raise _nobody()
    try:
        with console.database.begin() as connection:
            acts[act](connection)
    except UnknownPerson:
        raise _nobody() from None
    except (UnknownAccount, DateRefused, AccountRefused, MachineRefused) as error:
        return leaver_page(console, ask, person, status=422, problem=said_words(ask, str(error)))
    return _done(ask, person, "holding", None)


def _is_theirs(console: Console, ask: Ask, person: str, name: str, system: str) -> bool:
    """Whether the ledger has it: nothing else is changed from this page."""
    try:
        entry = leaver_detail(console.database, ask.viewer.role, person, now=ask.now).ledger
    except UnknownLeaver:
        return False
    if entry is None:
        return False
    held = {(each.account, each.system) for each in entry.accounts}
    held |= {(each.account, each.system) for each in entry.secrets}
    return (name, system) in held or (not system and name in {each.machine for each in entry.machines})


def _card(console: Console, person: str) -> tuple[PersonCard, FlagView | None]:
    try:
        return person_card(console.database, person)
    except UnknownLeaver:
        raise _nobody() from None


def _filled(console: Console, ask: Ask, person: str, flag: FlagView | None) -> _Said:
    """What holds now, to be corrected."""
    row = leaver_detail(console.database, ask.viewer.role, person, now=ask.now).row
    if row is None:
        return _Said(note=(flag.note if flag else None) or "")
    return _Said(
        last_day=row.last_working_day or "",
        last_hour=row.last_hour or "",
        notice_date=row.notice_date or "",
        leaving_type=row.leaving_type or "",
        note=(flag.note if flag else None) or "",
    )


def _form(
    console: Console,
    ask: Ask,
    card: PersonCard,
    flag: FlagView | None,
    filled: _Said,
    *,
    problem: str | None = None,
) -> Response:
    return ask.page(
        "leavers/flag.html",
        status=422 if problem else 200,
        card=card,
        flag=flag,
        filled=filled,
        problem=problem,
        note_characters=NOTE_CHARACTERS,
        reason_characters=REASON_CHARACTERS,
        **all_words(ask),
    )


def _from_form(ask: Ask) -> _Said:
    return _Said(**{name: ask.form.get(name, "") for name in _FIELDS})


def _read(ask: Ask, given: _Said) -> LeaverFlag:
    """Raises _Bad."""
    last = _day(ask, given.last_day, ask.text("Last working day"))
    if last is None:
        raise _Bad(ask.text("Say which day is the last one."))
    kind = given.leaving_type or None
    if kind is not None and kind not in get_args(LeavingType):
        raise _Bad(ask.text("There is no such kind of leaving."))
    try:
        minute = read_minute(given.last_hour)
    except UnreadableDate as error:
        raise _Bad(f"{ask.text('Last hour')}: {said_words(ask, str(error))}") from None
    return LeaverFlag(
        last_day=last,
        notice_day=_day(ask, given.notice_date, ask.text("Notice date")),
        last_minute=minute,
        leaving_type=cast(LeavingType | None, kind),
        note=_typed(given.note, NOTE_CHARACTERS, ask.text("The note")) or None,
    )


def _day(ask: Ask, written: str, field: str) -> int | None:
    try:
        return read_day(written[:64])
    except UnreadableDate as error:
        raise _Bad(f"{field}: {said_words(ask, str(error))}") from None


def _reason(ask: Ask, *, needed: bool) -> str | None:
    reason = _typed(ask.form.get("reason", ""), REASON_CHARACTERS, ask.text("The reason"))
    if needed and not reason:
        raise _Bad(ask.text("A reason is needed."))
    return reason or None


def _typed(written: str, characters: int, field: str) -> str:
    """Raises _Bad for what no database stores, and for too much."""
    text = written.strip()
    if len(text) > characters:
        raise _Bad(f"{field}: {len(text)} > {characters}")
    if not is_storable(text):
        raise _Bad(f"{field}: ␀")
    return text


def _done(ask: Ask, person: str, word: str, change: int | None) -> Response:
    more = "" if change is None else f"&change={change}"
    return ask.redirect(f"/leavers/{person_path(person)}?done={word}{more}")


def _nobody() -> ApiError:
    return ApiError(404, "not_found", "there is nobody of this name here")


PAGES = [
    Page("GET", "/leavers/flag", Right.FLAG_LEAVERS, flag_form),
    Page("POST", "/leavers/flag", Right.FLAG_LEAVERS, flag),
    Page("POST", "/leavers/said", Right.FLAG_LEAVERS, said),
    Page("POST", "/leavers/withdraw", Right.FLAG_LEAVERS, withdraw),
    Page("POST", "/leavers/undo", Right.FLAG_LEAVERS, undo),
    Page("POST", "/leavers/sign", Right.SEE_LEAVERS, sign),
    Page("POST", "/leavers/holding", Right.CHANGE_HOLDINGS, holding),
]
