"""One person as the leavers' pages show them: dates and how they changed, what is open, who signed it off.

HR and administrators see anybody whom HR named, leaving or not, so that they can say that somebody leaves.
Analysts see leavers alone, by pseudonym. What HR gets is read on a connection that reads HR's tables alone.
"""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection

from server.leavers.ledger import LedgerRow, ledger
from server.leavers.listing import LeaverRow, row_of, told_items
from server.leavers.named import UnknownLeaver, person_named
from server.people.dates import day_text, minute_text
from server.people.directory import Directory
from server.people.facts import LeaverFlag, PersonFacts
from server.people.facts_store import load_facts
from server.people.flags import last_change
from server.people.hr_names import names_of
from server.people.hr_view import hr_reading
from server.people.leaver_ledger import load_leavers_of, signed_off
from server.people.leaver_origins import DateChange, date_history
from server.people.roles import Right, Role, may, require
from server.people.sign_offs import Item, SignOff
from server.people.text_mask import text_mask
from server.store.database import Database


class FlagView(msgspec.Struct, frozen=True):
    """What somebody said by hand, as a form shows it again."""

    last_day: str
    last_hour: str | None
    notice_date: str | None
    leaving_type: str | None
    note: str | None


class PersonCard(msgspec.Struct, frozen=True):
    """Who it is, for who sees names."""

    id: str
    name: str | None
    department: str | None
    job_role: str | None
    manager: str | None
    manager_name: str | None
    time_zone: str


class LeaverDetail(msgspec.Struct, frozen=True):
    """`card`, `row`, `history`, `flag`, `change`: None or empty for who sees pseudonyms. `row` and `ledger`:
    None where the person stays. `change`: number of what was changed of the person last."""

    person: str
    card: PersonCard | None
    row: LeaverRow | None
    ledger: LedgerRow | None
    items: tuple[Item, ...]
    sign_offs: tuple[SignOff, ...]
    history: tuple[DateChange, ...]
    flag: FlagView | None
    change: int | None


def leaver_detail(
    database: Database, role: Role, given: str, *, now: int, directory: Directory | None = None
) -> LeaverDetail:
    """`given`: an id, or a pseudonym for who may not see names. `directory`: where the caller has it.
    Raises NotAllowed, UnknownLeaver, StoreUnavailable."""
    require(role, Right.SEE_LEAVERS)
    if not may(role, Right.SEE_NAMES):
        return _masked(database, role, given, now, directory)
    with hr_reading(database) as connection:
        person_id = person_named(connection, given, role)
        person = load_facts(connection, [person_id])[person_id]
        leaving = next(iter(load_leavers_of(connection, [person_id], now)), None)
        signed = signed_off(connection, [] if leaving is None else [leaving]).get(person_id, ())
        row = None if leaving is None else row_of(connection, leaving, signed)
        card = _card(connection, person)
        history = date_history(connection, person_id)
        change = last_change(connection, person_id)
    rows = ledger(database, role, now=now, person_id=person_id).rows if leaving is not None else ()
    items = () if leaving is None else told_items(leaving, role)
    told = rows[0].sign_offs if rows else ()
    return LeaverDetail(
        person=person_id,
        card=card,
        row=row,
        ledger=rows[0] if rows else None,
        items=items,
        sign_offs=tuple(each for each in told if each.item in items),
        history=history,
        flag=None if person.flag is None else _flag(person.flag),
        change=change,
    )


def person_card(database: Database, person_id: str) -> tuple[PersonCard, FlagView | None]:
    """For the form that says that somebody leaves: who it is, and what was said so far. Raises
    UnknownLeaver."""
    with hr_reading(database) as connection:
        person = load_facts(connection, [person_id]).get(person_id)
        if person is None:
            raise UnknownLeaver(f"nobody has the id {person_id}")
        return _card(connection, person), None if person.flag is None else _flag(person.flag)


def _masked(
    database: Database, role: Role, given: str, now: int, directory: Directory | None
) -> LeaverDetail:
    with database.read() as connection:
        person_id = person_named(connection, given, role)
    rows = ledger(database, role, now=now, person_id=person_id, directory=directory).rows
    if not rows:
        raise UnknownLeaver("nobody is leaving by this name")
    (row,) = rows
    items = (*(each.item for each in row.sign_offs), *row.unsigned)
    ordered = tuple(item for item in Item if item in items)
    # Whoever signed and wrote may be watched too, and may have named anybody.
    notes = text_mask(database).text if any(each.note for each in row.sign_offs) else str
    signed = tuple(
        msgspec.structs.replace(
            each, signed_by=each.role.words, note=None if each.note is None else notes(each.note)
        )
        for each in row.sign_offs
    )
    row = msgspec.structs.replace(row, sign_offs=signed)
    return LeaverDetail(row.person, None, None, row, ordered, signed, (), None, None)


def _card(connection: Connection, person: PersonFacts) -> PersonCard:
    named = names_of(connection, [person.id, *([person.manager_id] if person.manager_id else [])])
    return PersonCard(
        id=person.id,
        name=named.get(person.id),
        department=person.department,
        job_role=person.job_role,
        manager=person.manager_id,
        manager_name=None if person.manager_id is None else named.get(person.manager_id),
        time_zone=person.time_zone,
    )


def _flag(flag: LeaverFlag) -> FlagView:
    return FlagView(
        last_day=day_text(flag.last_day),
        last_hour=None if flag.last_minute is None else minute_text(flag.last_minute),
        notice_date=None if flag.notice_day is None else day_text(flag.notice_day),
        leaving_type=flag.leaving_type,
        note=flag.note,
    )
