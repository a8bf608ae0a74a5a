"""HR, IT and security sign off what is done about a leaving: who, when, with a note; on the record.

| item | may be signed by | says |
|---|---|---|
| dates | HR | these are the right dates |
| accounts | IT, security | all are closed or handed over |
| devices | HR, IT | all are back, or somebody else's |
| secrets | IT, security | all passwords that the person knew are changed |
| activity | security | what the person did before leaving was looked at |

A sign-off is about one leaving, by its last working day: where that day changes, it holds no more. An item
with something open can be signed with a note that says why ("handover until 12 December"). Notes may name
people, so they are kept with the person and go with them; the audit trail has the item, never the note.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

import msgspec
from sqlalchemy import Connection, delete, select

from event_schema.struct_base import Milliseconds
from server import audit
from server.people.dates import day_text
from server.people.leaving import Leaver, State
from server.people.pseudonyms import person_subject, pseudonym
from server.people.roles import NotAllowed, Role
from server.store.tables import leaver_sign_offs
from server.store.upsert import upsert

NOTE_CHARACTERS = 1000
_AT_ONCE = 500


class Item(StrEnum):
    DATES = "dates"
    ACCOUNTS = "accounts"
    DEVICES = "devices"
    SECRETS = "secrets"
    ACTIVITY = "activity"


SIGNED_BY: Final[Mapping[Item, tuple[Role, ...]]] = {
    Item.DATES: (Role.HR,),
    Item.ACCOUNTS: (Role.ADMINISTRATOR, Role.ANALYST),
    Item.DEVICES: (Role.ADMINISTRATOR, Role.HR),
    Item.SECRETS: (Role.ADMINISTRATOR, Role.ANALYST),
    Item.ACTIVITY: (Role.ANALYST,),
}
"""Whose task it is first."""


class SignOff(msgspec.Struct, frozen=True):
    item: Item
    role: Role
    signed_at: Milliseconds
    signed_by: str
    note: str | None


class CannotSign(Exception):
    """It makes no sense now; the message says why."""


def open_count(leaving: Leaver, item: Item) -> int:
    """How many things of an item are open."""
    match item:
        case Item.ACCOUNTS:
            return sum(each.state is State.OPEN for each in leaving.accounts)
        case Item.DEVICES:
            return sum(each.state is State.OPEN for each in leaving.machines)
        case Item.SECRETS:
            return sum(each.state is State.OPEN for each in leaving.secrets)
        case _:
            return 0


def needed_items(leaving: Leaver) -> tuple[Item, ...]:
    """What has to be signed off about somebody."""
    has = {
        Item.DATES: True,
        Item.ACCOUNTS: bool(leaving.accounts),
        Item.DEVICES: bool(leaving.machines),
        Item.SECRETS: bool(leaving.secrets),
        Item.ACTIVITY: True,
    }
    return tuple(item for item in Item if has[item])


def sign_off(
    connection: Connection,
    leaving: Leaver,
    item: Item,
    *,
    role: Role,
    actor: str,
    at: int,
    note: str | None = None,
    open_alerts: int = 0,
) -> None:
    """`open_alerts`: how many are about the person. In a write transaction. Raises NotAllowed, CannotSign."""
    _check_role(item, role)
    if leaving.last_day is None:
        raise CannotSign("no last working day is known yet")
    number = open_alerts if item is Item.ACTIVITY else open_count(leaving, item)
    if number and note is None and item is Item.ACTIVITY:
        alerts = "alert is" if number == 1 else "alerts are"
        raise CannotSign(f"{number} {alerts} open: close what was looked at, or a note has to say why")
    if number and note is None:
        raise CannotSign(
            f"{number} of the {item} {'is' if number == 1 else 'are'} open: a note has to say why"
        )
    row = {
        "person_id": leaving.id,
        "item": item.value,
        "role": role.value,
        "last_day": leaving.last_day,
        "signed_at": at,
        "signed_by": actor,
        "note": note,
    }
    upsert(connection, leaver_sign_offs, [row])
    detail = {"last_day": day_text(leaving.last_day), "open": number}
    _on_record(connection, "leaver.sign_off", leaving.id, item, role, actor, at, detail)


def take_back(connection: Connection, person_id: str, item: Item, *, role: Role, actor: str, at: int) -> None:
    """In a write transaction. Raises NotAllowed, CannotSign where nothing was signed."""
    _check_role(item, role)
    signed = leaver_sign_offs.c
    here = (signed.person_id == person_id) & (signed.item == item.value) & (signed.role == role.value)
    if not connection.execute(delete(leaver_sign_offs).where(here)).rowcount:
        raise CannotSign(f"{role.words} did not sign off the {item}")
    _on_record(connection, "leaver.take_back", person_id, item, role, actor, at, {})


def load_sign_offs(
    connection: Connection, leaves: Mapping[str, int | None]
) -> dict[str, tuple[SignOff, ...]]:
    """Those that hold, by person and in the order of the items. `leaves`: last day by person."""
    found: dict[str, list[SignOff]] = {}
    ids = sorted(leaves)
    for start in range(0, len(ids), _AT_ONCE):
        query = select(leaver_sign_offs).where(
            leaver_sign_offs.c.person_id.in_(ids[start : start + _AT_ONCE])
        )
        for row in connection.execute(query):
            if row.last_day == leaves[row.person_id]:
                signed = SignOff(Item(row.item), Role(row.role), row.signed_at, row.signed_by, row.note)
                found.setdefault(row.person_id, []).append(signed)
    order = list(Item)
    return {
        person_id: tuple(sorted(each, key=lambda signed: (order.index(signed.item), signed.signed_at)))
        for person_id, each in found.items()
    }


def _check_role(item: Item, role: Role) -> None:
    if role not in SIGNED_BY[item]:
        others = " or ".join(each.words for each in SIGNED_BY[item])
        raise NotAllowed(f"{role.words} does not sign off the {item}: that is for {others}")


def _on_record(
    connection: Connection,
    action: str,
    person_id: str,
    item: Item,
    role: Role,
    actor: str,
    at: int,
    detail: Mapping[str, object],
) -> None:
    # The trail is kept for good: it names the pseudonym.
    shown = pseudonym(connection, person_subject(person_id))
    said = {"item": item.value, "role": role.value, **detail}
    audit.append(connection, at=at, actor=actor, action=action, object=shown, detail=said)
