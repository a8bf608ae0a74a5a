"""What leavers did, as far as the ledger tells it: when something of theirs was last used after they left,
which passwords they know by use, and how many alerts are open. Times and numbers; never what was done.

From `trait_uses` (enrich/trait_uses.py), which holds acts that worked. A machine that was not given back is
used when anybody uses it. That somebody used an account that several know shows where it was done from a
machine of theirs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import Column, Connection, Row, Select, func, select

from server.enrich.trait_uses import account_trait
from server.people.directory import AccountRecord
from server.people.erased import SUBJECT_CHARACTERS
from server.people.leaving import Leaver, Secret, State, secret
from server.people.pseudonyms import person_subject
from server.store.column_types import key_text
from server.store.tables import accounts, alerts, trait_uses

_AT_ONCE: Final = 500
_MANY_KNOW: Final = ("shared", "service")
_THEIRS: Final = frozenset({State.OPEN, State.CLOSED})


def with_activity(
    connection: Connection, found: Sequence[Leaver], now: int
) -> dict[str, tuple[Leaver, int | None]]:
    """By person: the leaver with what was seen, and when anything of theirs was last used after they left (ms
    UTC; None: nothing was). now: ms UTC."""
    gone = [each for each in found if each.has_left and each.left_at is not None]
    traits = {account_trait(own.account, own.system) for each in gone for own in each.accounts}
    traits |= {own.machine for each in gone for own in each.machines if own.state is State.OPEN}
    use = trait_uses.c
    last = _last_times(
        connection, select(use.trait, func.max(use.last_time)).group_by(use.trait), use.trait, traits
    )
    by_account = (
        select(use.subject, func.max(use.last_time)).where(use.trait == use.account).group_by(use.subject)
    )
    by_subject = _last_times(connection, by_account, use.subject, {_subject(each.id) for each in gone})
    known = _known_by_use(connection, found, now)
    return {each.id: _seen(each, last, by_subject, known.get(each.id, ())) for each in found}


def was_used(connection: Connection, trait: str) -> bool:
    """Whether an event was of it."""
    used = select(trait_uses.c.trait).where(trait_uses.c.trait == trait).limit(1)
    return connection.execute(used).first() is not None


def open_alerts(connection: Connection, ids: Sequence[str]) -> Mapping[str, int]:
    """How many open alerts are about these people, as subject or as whom traits point to; by person."""
    counts: dict[str, int] = {}
    for start in range(0, len(ids), _AT_ONCE):
        some = ids[start : start + _AT_ONCE]
        subjects = {_subject(person_id): person_id for person_id in some}
        about = alerts.c.subject.in_(list(subjects)) | alerts.c.suspected_actor.in_(some)
        query = select(alerts.c.subject, alerts.c.suspected_actor).where(alerts.c.status == "open", about)
        known = set(some)
        for subject, suspect in connection.execute(query):
            for person_id in {subjects.get(subject), suspect if suspect in known else None}:
                if person_id is not None:
                    counts[person_id] = counts.get(person_id, 0) + 1
    return {person_id: counts[person_id] for person_id in ids if person_id in counts}


def _seen(
    leaving: Leaver, last: Mapping[str, int], by_subject: Mapping[str, int], known: Sequence[Secret]
) -> tuple[Leaver, int | None]:
    left_at = leaving.left_at

    def after(time: int | None) -> int | None:
        return time if time is not None and left_at is not None and time >= left_at else None

    own = tuple(
        msgspec.structs.replace(each, used_at=after(last.get(account_trait(each.account, each.system))))
        if leaving.has_left and each.state in _THEIRS and each.kind not in _MANY_KNOW
        else each
        for each in leaving.accounts
    )
    machines = tuple(
        msgspec.structs.replace(each, used_at=after(last.get(each.machine)))
        if leaving.has_left and each.state is State.OPEN
        else each
        for each in leaving.machines
    )
    times = [each.used_at for each in own] + [each.used_at for each in machines]
    times.append(after(by_subject.get(_subject(leaving.id))))
    seen = msgspec.structs.replace(
        leaving, accounts=own, machines=machines, secrets=(*leaving.secrets, *known)
    )
    return seen, max((time for time in times if time is not None), default=None)


def _last_times(
    connection: Connection, query: Select[str, int], column: Column[str], wanted: Iterable[str]
) -> dict[str, int]:
    names = sorted(wanted)
    found: dict[str, int] = {}
    for start in range(0, len(names), _AT_ONCE):
        some = query.where(column.in_(names[start : start + _AT_ONCE]))
        found |= {row[0]: row[1] for row in connection.execute(some)}
    return found


def _known_by_use(connection: Connection, found: Sequence[Leaver], now: int) -> dict[str, tuple[Secret, ...]]:
    """Accounts that many know, and that somebody used from a machine of theirs while they were here."""
    stored = accounts.c
    shared = {
        account_trait(row.account, row.system): row
        for row in connection.execute(select(accounts).where(stored.kind.in_(_MANY_KNOW)))
    }
    holders: dict[str, list[Leaver]] = {}
    for each in found:
        for own in each.machines:
            holders.setdefault(own.machine, []).append(each)
    machines = sorted(holders)
    use = trait_uses.c
    query = select(use.trait, use.account, func.min(use.first_time)).group_by(use.trait, use.account)
    known: dict[str, dict[str, Secret]] = {}
    for start in range(0, len(machines) if shared else 0, _AT_ONCE):
        part = query.where(use.trait.in_(machines[start : start + _AT_ONCE]), use.trait != use.account)
        for machine, account, first in connection.execute(part):
            for each in holders[machine]:
                if (
                    account in shared
                    and _was_theirs(each, machine, first)
                    and not _is_told(each, shared[account])
                ):
                    known.setdefault(each.id, {})[account] = _secret(each, shared[account], now)
    return {person_id: tuple(secrets.values()) for person_id, secrets in known.items()}


def _was_theirs(leaving: Leaver, machine: str, time: int) -> bool:
    if leaving.left_at is not None and time >= leaving.left_at:
        return False
    return any(
        own.machine == machine
        and (own.since is None or own.since <= time)
        and (own.until is None or time < own.until)
        for own in leaving.machines
    )


def _is_told(leaving: Leaver, account: Row[Any]) -> bool:
    """Whether the ledger has it already."""
    here = (account.account, account.system)
    return any((each.account, each.system) == here for each in leaving.secrets)


def _secret(leaving: Leaver, row: Row[Any], now: int) -> Secret:
    record = AccountRecord(row.account, row.system, row.kind, row.rotated_at)
    return secret(record, row.closed_at, leaving.left_at, now, by_use=True)


def _subject(person_id: str) -> str:
    return key_text(person_subject(person_id), SUBJECT_CHARACTERS)
