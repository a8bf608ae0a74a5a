"""The list of leavers that the console shows, a page at a time: dates, what is still open, who said so.

Who is on it, and in which order, is worked out from employments and flags alone, for every role: by the last
day, those to come first. So neither the place of a row nor its being there tells HR of anything that was
done. What may be seen besides (last use, open alerts, pseudonyms in place of names) is put beside the rows of
one page, for roles that may (people/roles.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal

import msgspec
from sqlalchemy import Connection

from event_schema.leaver_fields import PersonStatus
from event_schema.struct_base import Milliseconds
from server.leavers.activity import open_alerts, with_activity
from server.leavers.known_dates import known_dates
from server.people.dates import day_text, minute_text
from server.people.facts import LeavingType
from server.people.hr_names import names_of
from server.people.hr_view import hr_reading
from server.people.leaver_ledger import load_leavers_of, signed_off
from server.people.leaver_origins import Origin, managers_of, origins
from server.people.leaving import Leaver
from server.people.local_time import local_day_and_hour
from server.people.pseudonyms import looks_like_pseudonym, person_subject, shown_names
from server.people.roles import Right, Role, may, require
from server.people.sign_offs import Item, SignOff, needed_items, open_count
from server.store.database import Database

PAGE_ROWS: Final = 50
SHOWN_DAYS: Final = 90
"""After the last day; earlier leavers are in the list of all."""
Scope = Literal["current", "all"]


class LeaverRow(msgspec.Struct, frozen=True):
    """What every role that sees leavers sees. `person`: an id, or a pseudonym for who may not see names;
    `name` and `manager_name` likewise None there. `open_*`: how many are not closed, not back, not changed.
    `matched`: whether any account is known as the person's. `watched_from`: on which local day rules for who
    is leaving begin to hold, which they do to the end of the last working day; None: they never did, or
    nobody knows since when."""

    person: str
    name: str | None
    department: str | None
    manager: str | None
    manager_name: str | None
    status: PersonStatus
    notice_date: str | None
    watched_from: str | None
    last_working_day: str | None
    last_hour: str | None
    time_zone: str
    days_left: int | None
    leaving_type: LeavingType | None
    flagged: bool
    matched: bool
    open_accounts: int
    open_machines: int
    open_secrets: int
    signed: tuple[Item, ...]
    unsigned: tuple[Item, ...]
    origin: Origin | None
    """Where the dates come from and who wrote them last; None for who may not see names."""


class SeenOfLeaver(msgspec.Struct, frozen=True):
    """What only some roles may see of a row. None: not for this role; `used_at` also where nothing was."""

    used_at: Milliseconds | None
    open_alerts: int | None


class LeaverPage(msgspec.Struct, frozen=True):
    """`seen`: by person, as the rows name them; empty for HR. `next`: where the next page begins. `total`: on
    all pages."""

    rows: tuple[LeaverRow, ...]
    seen: dict[str, SeenOfLeaver]
    next: str | None
    total: int


def list_leavers(
    database: Database,
    role: Role,
    *,
    now: int,
    scope: Scope = "current",
    text: str = "",
    day: int | None = None,
    after: str = "",
    limit: int = PAGE_ROWS,
) -> LeaverPage:
    """`text`: part of an id, a name or a department, for who sees names; else of a pseudonym or a department.
    `day`: only those whose last day it is. `after`: `next` of the page before. Raises NotAllowed,
    StoreUnavailable."""
    require(role, Right.SEE_LEAVERS)
    sees_names = may(role, Right.SEE_NAMES)
    dated = [each for each in known_dates(database, now) if scope == "all" or _is_current(each)]
    if day is not None:
        dated = [each for each in dated if each.last_day == day]
    if text.strip() and sees_names:
        with hr_reading(database) as connection:
            dated = _matching(connection, dated, text)
    elif text.strip():
        dated = _matching_pseudonyms(database, dated, text)
    told = _Told({} if sees_names else _pseudonyms(database, [each.id for each in dated]))
    dated.sort(key=told.place)
    start = told.start(dated, after)
    shown = dated[start : start + limit]
    with hr_reading(database) as connection:
        rows, found = _rows(connection, shown, now, sees_names=sees_names)
    following = dated[start + limit : start + limit + 1]
    page = LeaverPage(tuple(rows), {}, told.key(shown[-1]) if following else None, len(dated))
    return page if sees_names and not _sees_more(role) else _with_more(database, role, page, found, now)


def row_of(connection: Connection, leaving: Leaver, signed: Sequence[SignOff]) -> LeaverRow:
    """One row as HR sees it. On a connection that reads HR's tables alone."""
    managers = managers_of(connection, [leaving.id])
    named = names_of(connection, [leaving.id, *managers.values()])
    origin = origins(connection, [leaving.id]).get(leaving.id)
    return _row(leaving, signed, named, managers, origin)


def told_items(leaving: Leaver, role: Role) -> tuple[Item, ...]:
    """What has to be signed off, as far as a role knows of it: that security looks at what somebody did is
    for those who see it."""
    items = needed_items(leaving)
    return items if may(role, Right.SEE_ALERTS) else tuple(i for i in items if i is not Item.ACTIVITY)


def last_days(database: Database, *, now: int, first: int, days: int) -> dict[int, int]:
    """How many last days there are, by day, from `first` on. The strip above the list."""
    found: dict[int, int] = {}
    for each in known_dates(database, now):
        if each.last_day is not None and first <= each.last_day < first + days:
            found[each.last_day] = found.get(each.last_day, 0) + 1
    return found


def _is_current(leaving: Leaver) -> bool:
    return leaving.days_left is None or -leaving.days_left <= SHOWN_DAYS


class _Told:
    """The list's order and where its pages begin, in the names that the reader sees: an id in either would
    tell whoever sees pseudonyms whose they are. `shown`: pseudonyms by person id; empty: ids are seen."""

    def __init__(self, shown: Mapping[str, str]) -> None:
        self._shown = shown

    def place(self, leaving: Leaver) -> tuple[int, int, str]:
        """Those whose last day is to come, the next one first; those without one; who left, the latest
        first."""
        days, person = leaving.days_left, self._shown.get(leaving.id, leaving.id)
        if leaving.has_left:
            return 2, 0 if days is None else -days, person
        return (1, 0, person) if days is None else (0, days, person)

    def key(self, leaving: Leaver) -> str:
        group, far, person = self.place(leaving)
        return f"{group}.{far}.{person if self._shown else person.encode().hex()}"

    def start(self, ordered: Sequence[Leaver], after: str) -> int:
        """Behind the row that a key names, also where that is gone by now. What is no key: the beginning."""
        group, _, rest = after.partition(".")
        far, _, person = rest.partition(".")
        if self._shown and not looks_like_pseudonym(person):
            return 0
        try:
            key = int(group), int(far), person if self._shown else bytes.fromhex(person).decode()
        except ValueError:
            return 0
        return sum(self.place(each) <= key for each in ordered)


def _matching(connection: Connection, dated: Sequence[Leaver], text: str) -> list[Leaver]:
    wanted = text.casefold().split()
    named = names_of(connection, [each.id for each in dated])

    def holds(leaving: Leaver) -> bool:
        said = f"{leaving.id} {named.get(leaving.id, '')} {leaving.department or ''}".casefold()
        return all(word in said for word in wanted)

    return [each for each in dated if holds(each)]


def _matching_pseudonyms(database: Database, dated: Sequence[Leaver], text: str) -> list[Leaver]:
    shown = _pseudonyms(database, [each.id for each in dated])
    wanted = text.casefold().split()

    def holds(leaving: Leaver) -> bool:
        said = f"{shown[leaving.id]} {leaving.department or ''}".casefold()
        return all(word in said for word in wanted)

    return [each for each in dated if holds(each)]


def _pseudonyms(database: Database, person_ids: Sequence[str]) -> dict[str, str]:
    """Of people whom HR named: each has one."""
    _, shown = shown_names(database, [person_subject(each) for each in person_ids])
    return {each: shown[person_subject(each)] for each in person_ids}


def _rows(
    connection: Connection, shown: Sequence[Leaver], now: int, *, sees_names: bool
) -> tuple[list[LeaverRow], list[Leaver]]:
    ids = [each.id for each in shown]
    whole = {each.id: each for each in load_leavers_of(connection, ids, now)}
    found = [whole[each] for each in ids if each in whole]
    signed = signed_off(connection, found)
    managers = managers_of(connection, ids)
    named = names_of(connection, [*ids, *managers.values()]) if sees_names else {}
    told = origins(connection, ids) if sees_names else {}
    return [_row(each, signed.get(each.id, ()), named, managers, told.get(each.id)) for each in found], found


def _row(
    leaving: Leaver,
    signed: Iterable[SignOff],
    named: Mapping[str, str],
    managers: Mapping[str, str],
    origin: Origin | None,
) -> LeaverRow:
    items = told_items(leaving, Role.HR)
    said = {each.item for each in signed}
    manager = managers.get(leaving.id)
    return LeaverRow(
        person=leaving.id,
        name=named.get(leaving.id),
        department=leaving.department,
        manager=manager,
        manager_name=None if manager is None else named.get(manager),
        status=leaving.status,
        notice_date=None if leaving.notice_day is None else day_text(leaving.notice_day),
        watched_from=None if leaving.notice_at is None else _local_day(leaving.time_zone, leaving.notice_at),
        last_working_day=None if leaving.last_day is None else day_text(leaving.last_day),
        last_hour=None if leaving.last_minute is None else minute_text(leaving.last_minute),
        time_zone=leaving.time_zone,
        days_left=leaving.days_left,
        leaving_type=leaving.leaving_type,
        flagged=leaving.is_flagged,
        matched=bool(leaving.accounts),
        open_accounts=open_count(leaving, Item.ACCOUNTS),
        open_machines=open_count(leaving, Item.DEVICES),
        open_secrets=open_count(leaving, Item.SECRETS),
        signed=tuple(item for item in items if item in said),
        unsigned=tuple(item for item in items if item not in said),
        origin=origin,
    )


def _local_day(time_zone: str, at: int) -> str:
    return day_text(local_day_and_hour(time_zone, at)[0])


def _sees_more(role: Role) -> bool:
    return may(role, Right.SEE_LAST_USE) or may(role, Right.SEE_ALERTS)


def _with_more(
    database: Database, role: Role, page: LeaverPage, found: Sequence[Leaver], now: int
) -> LeaverPage:
    """What was seen of these people, and pseudonyms for who may not see names."""
    ids = [each.id for each in found]
    used: dict[str, int | None] = {}
    alerted: Mapping[str, int] | None = None
    with database.read() as connection:
        if may(role, Right.SEE_LAST_USE):
            used = {person: at for person, (_, at) in with_activity(connection, found, now).items()}
        if may(role, Right.SEE_ALERTS):
            alerted = open_alerts(connection, ids)
    shown_as = {person: person for person in ids}
    if not may(role, Right.SEE_NAMES):
        managers = [row.manager for row in page.rows if row.manager is not None]
        shown_as = _pseudonyms(database, [*ids, *managers])
    seen = {
        shown_as[person]: SeenOfLeaver(used.get(person), None if alerted is None else alerted.get(person, 0))
        for person in ids
    }
    rows = page.rows
    if not may(role, Right.SEE_NAMES):
        rows = tuple(_masked(row, shown_as) for row in rows)
    return msgspec.structs.replace(page, rows=rows, seen=seen)


def _masked(row: LeaverRow, shown_as: Mapping[str, str]) -> LeaverRow:
    return msgspec.structs.replace(
        row,
        person=shown_as[row.person],
        name=None,
        manager=None if row.manager is None else shown_as[row.manager],
        manager_name=None,
        origin=None,
    )
