"""The leaver ledger: one row a leaver, the most urgent first, as far as a role may see it (people/roles.py).

| group | holds |
|---|---|
| used | left, and something of theirs was used since, or an alert is open |
| left_open | left, and an account, a machine or a password is still open, and nobody signed that off |
| last_week | the last day is at most seven days away |
| notice | on notice |
| to_sign | left, nothing open, not all signed off |
| done | left, all signed off |

A row is worked out from what is declared alone, on a connection that reads nothing else; only then, for roles
that may, comes what was seen. So a row that HR gets cannot depend on activity, nor its group or place.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

import msgspec

from event_schema.leaver_fields import PersonStatus
from event_schema.struct_base import Milliseconds
from server.alerts.view_types import Unmasking
from server.leavers.activity import open_alerts, with_activity
from server.leavers.sight import Sight, sight_for
from server.people.dates import day_text, minute_text
from server.people.directory import Directory
from server.people.facts import LeavingType
from server.people.hr_view import hr_reading
from server.people.leaver_ledger import load_leavers, load_leavers_of, signed_off
from server.people.leaving import Leaver, Machine, OpenAccount, Secret
from server.people.roles import Right, Role, may, require
from server.people.sign_offs import Item, SignOff, needed_items, open_count
from server.store.database import Database

LAST_WEEK_DAYS: Final = 7
SHOWN_DAYS: Final = 90
"""After the last day, where nothing else keeps somebody on the list."""


class Urgency(StrEnum):
    USED = "used"
    LEFT_OPEN = "left_open"
    LAST_WEEK = "last_week"
    NOTICE = "notice"
    TO_SIGN = "to_sign"
    DONE = "done"


class LedgerRow(msgspec.Struct, frozen=True):
    """`person`: an id, or a pseudonym for who may not see names. `used_at`, `open_alerts`: None for who may
    not see them; `used_at` also where nothing was used. `unsigned`: what somebody has yet to sign off."""

    urgency: Urgency
    person: str
    name: str | None
    """Where it was unmasked."""
    department: str | None
    status: PersonStatus
    notice_date: str | None
    last_working_day: str | None
    last_hour: str | None
    time_zone: str
    days_left: int | None
    left_at: Milliseconds | None
    leaving_type: LeavingType | None
    flagged: bool
    accounts: tuple[OpenAccount, ...]
    machines: tuple[Machine, ...]
    secrets: tuple[Secret, ...]
    used_at: Milliseconds | None
    open_alerts: int | None
    sign_offs: tuple[SignOff, ...]
    unsigned: tuple[Item, ...]


class Ledger(msgspec.Struct, frozen=True):
    """`hidden`: leavers of longer ago that are not in it."""

    role: Role
    rows: tuple[LedgerRow, ...]
    hidden: int


def ledger(
    database: Database,
    role: Role,
    *,
    now: int,
    days: int = SHOWN_DAYS,
    everybody: bool = False,
    person_id: str | None = None,
    unmasking: Unmasking | None = None,
    directory: Directory | None = None,
) -> Ledger:
    """`days`: how long ago the last day may be; who left earlier is in it where something was used since, or
    an alert is open. `everybody`: all, those who are done too. `person_id`: this one alone.
    `directory`: where the caller has it. Raises NotAllowed, StoreUnavailable."""
    require(role, Right.SEE_LEAVERS)
    if unmasking is not None:
        require(role, Right.UNMASK)
    with hr_reading(database) as connection:
        if person_id is None:
            found = load_leavers(connection, now)
        else:
            found = load_leavers_of(connection, [person_id], now)
        signed = signed_off(connection, found)
    seen: dict[str, tuple[Leaver, int | None]] = {each.id: (each, None) for each in found}
    alerted: dict[str, int] | None = None
    if may(role, Right.SEE_LAST_USE) or may(role, Right.SEE_ALERTS):
        with database.read() as connection:
            if may(role, Right.SEE_LAST_USE):
                seen = with_activity(connection, found, now)
            if may(role, Right.SEE_ALERTS):
                alerted = dict(open_alerts(connection, list(seen)))
    rows: list[tuple[Leaver, LedgerRow]] = []
    for each, used_at in seen.values():
        count = None if alerted is None else alerted.get(each.id, 0)
        rows.append((each, _row(each, signed.get(each.id, ()), used_at, count)))
    shown = [
        (each, row) for each, row in rows if everybody or person_id is not None or _is_shown(each, row, days)
    ]
    notes = any(each.note for _, row in shown for each in row.sign_offs)
    sight = sight_for(
        database, role, [each for each, _ in shown], unmasking, notes=notes, directory=directory
    )
    ordered = sorted(shown, key=lambda pair: _place(*pair))
    return Ledger(role, tuple(_seen(row, sight) for _, row in ordered), len(rows) - len(shown))


def _row(leaving: Leaver, signed: Sequence[SignOff], used_at: int | None, alerted: int | None) -> LedgerRow:
    said = {each.item for each in signed}
    unsigned = tuple(item for item in needed_items(leaving) if item not in said)
    return LedgerRow(
        urgency=_urgency(leaving, unsigned, used_at, alerted),
        person=leaving.id,
        name=None,
        department=leaving.department,
        status=leaving.status,
        notice_date=None if leaving.notice_day is None else day_text(leaving.notice_day),
        last_working_day=None if leaving.last_day is None else day_text(leaving.last_day),
        last_hour=None if leaving.last_minute is None else minute_text(leaving.last_minute),
        time_zone=leaving.time_zone,
        days_left=leaving.days_left,
        left_at=leaving.left_at,
        leaving_type=leaving.leaving_type,
        flagged=leaving.is_flagged,
        accounts=leaving.accounts,
        machines=leaving.machines,
        secrets=leaving.secrets,
        used_at=used_at,
        open_alerts=alerted,
        sign_offs=tuple(signed),
        unsigned=unsigned,
    )


def _urgency(leaving: Leaver, unsigned: Sequence[Item], used_at: int | None, alerted: int | None) -> Urgency:
    if not leaving.has_left:
        soon = leaving.days_left is not None and leaving.days_left <= LAST_WEEK_DAYS
        return Urgency.LAST_WEEK if soon else Urgency.NOTICE
    if used_at is not None or alerted:
        return Urgency.USED
    if any(open_count(leaving, item) for item in unsigned):
        return Urgency.LEFT_OPEN
    return Urgency.TO_SIGN if unsigned else Urgency.DONE


def _is_shown(leaving: Leaver, row: LedgerRow, days: int) -> bool:
    if row.urgency is Urgency.USED or not leaving.has_left:
        return True
    if row.urgency is Urgency.DONE:
        return False
    return leaving.days_left is None or -leaving.days_left <= days


def _place(leaving: Leaver, row: LedgerRow) -> tuple[int, int, str]:
    """In a group: the latest use first, then the day nearest to now."""
    group = list(Urgency).index(row.urgency)
    if row.urgency is Urgency.USED:
        return group, -(row.used_at or 0), leaving.id
    far = 2**31 if leaving.days_left is None else abs(leaving.days_left)
    return group, far, leaving.id


def _seen(row: LedgerRow, sight: Sight) -> LedgerRow:
    return msgspec.structs.replace(
        row,
        person=sight.person(row.person),
        name=sight.name(row.person),
        accounts=tuple(
            msgspec.structs.replace(each, account=sight.account(each.account)) for each in row.accounts
        ),
        machines=tuple(
            msgspec.structs.replace(each, machine=sight.machine(each.machine)) for each in row.machines
        ),
        secrets=tuple(
            msgspec.structs.replace(each, account=sight.account(each.account)) for each in row.secrets
        ),
        sign_offs=tuple(sight.sign_off(each) for each in row.sign_offs),
    )
