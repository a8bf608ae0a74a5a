"""Everybody who is leaving or has left, with what is still open, from what is declared alone.

All of it runs on a connection that reads HR's tables only (hr_view.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import CompoundSelect, Connection, Table, select, union

from server.people.directory import AccountRecord
from server.people.directory_rows import leaver_flag
from server.people.facts import LEARNED, Employment, PersonFacts
from server.people.facts_store import load_facts
from server.people.holders import Binding
from server.people.leaving import Leaver, State, leaver
from server.people.sign_offs import SignOff, load_sign_offs
from server.store.tables import (
    account_bindings,
    accounts,
    employments,
    leaver_flags,
    people,
    trait_bindings,
)

_AT_ONCE = 500

KnownDates = dict[str, tuple[PersonFacts, Leaver | None]]
"""By person id: what was declared, and what came of it; None: the person stays."""


def load_leavers(connection: Connection, now: int) -> list[Leaver]:
    """By id. now: ms UTC."""
    return _leavers(connection, sorted(connection.execute(_said_to_leave()).scalars()), now)


def load_leavers_of(connection: Connection, person_ids: Sequence[str], now: int) -> list[Leaver]:
    """Those of them who are leaving or have left, in this order. now: ms UTC."""
    return _leavers(connection, person_ids, now)


def leaver_dates(connection: Connection, now: int, known: KnownDates | None = None) -> KnownDates:
    """By id, with their dates and nothing of what they have: quick. now: ms UTC. `known`: what this gave
    before, as of a moment at which everybody stood as they do now; it is worked out anew for who changed."""
    known = known or {}
    said = _said_to_leave()
    worked: dict[str, list[Employment]] = {}
    query = select(employments).where(employments.c.person_id.in_(said))
    for row in connection.execute(query.order_by(employments.c.person_id, employments.c.number)).all():
        worked.setdefault(row.person_id, []).append(Employment(*tuple(row)[1:]))
    flagged = connection.execute(select(leaver_flags)).all()
    flags = {row.person_id: leaver_flag(row) for row in flagged}
    own = select(people.c.id, people.c.time_zone, people.c.department).where(people.c.id.in_(said))
    found: KnownDates = {}
    for person_id, time_zone, department in connection.execute(own.order_by(people.c.id)).all():
        person = PersonFacts(
            person_id,
            time_zone,
            department=department,
            employments=tuple(worked.get(person_id, ())),
            flag=flags.get(person_id),
        )
        before = known.get(person_id)
        if before is not None and before[0] == person:
            found[person_id] = before
        else:
            found[person_id] = person, leaver(person, (), {}, {}, now)
    return found


def _said_to_leave() -> CompoundSelect[str]:
    """Ids."""
    ends = employments.c.last_day.is_not(None) | employments.c.notice_day.is_not(None)
    return union(select(employments.c.person_id).where(ends), select(leaver_flags.c.person_id))


def passwords_known(connection: Connection, now: int) -> int:
    """How many accounts have a password that somebody who left still knows. now: ms UTC."""
    left = (each for each in load_leavers(connection, now) if each.has_left)
    return len({(s.system, s.account) for each in left for s in each.secrets if s.state is State.OPEN})


def load_leaver(connection: Connection, person_id: str, now: int) -> Leaver | None:
    """None: nobody has the id, or the person stays."""
    return next(iter(_leavers(connection, [person_id], now)), None)


def signed_off(connection: Connection, found: Iterable[Leaver]) -> dict[str, tuple[SignOff, ...]]:
    """What holds of these people's leaving, by person."""
    leaves = {each.id: each.last_day for each in found}
    return load_sign_offs(connection, leaves)


def _leavers(connection: Connection, ids: Sequence[str], now: int) -> list[Leaver]:
    known = load_facts(connection, ids)
    keys: dict[str, set[tuple[str, str]]] = {
        person.id: {(held.system, held.name) for held in person.accounts} for person in known.values()
    }
    bound = account_bindings.c
    for row in _of(connection, account_bindings, "person_id", list(known)):
        if row.relation == "knows":
            keys[row.person_id].add((row.system, row.account))
    names = sorted({name for each in keys.values() for _, name in each})
    owners: dict[tuple[str, str], list[Binding]] = {}
    knowers: dict[tuple[str, str], list[Binding]] = {}
    for row in _of(connection, account_bindings, bound.account.name, names):
        found = owners if row.relation == "owner" else knowers
        found.setdefault((row.system, row.account), []).append(_binding(row))
    records: dict[tuple[str, str], AccountRecord] = {}
    closed: dict[tuple[str, str], int] = {}
    for row in _of(connection, accounts, "account", names):
        key = (row.system, row.account)
        records[key] = AccountRecord(
            row.account,
            row.system,
            row.kind,
            row.rotated_at,
            tuple(owners.get(key, ())),
            tuple(knowers.get(key, ())),
        )
        if row.closed_at is not None:
            closed[key] = row.closed_at
    traits: dict[str, tuple[Binding, ...]] = {}
    held = sorted({each.name for person in known.values() for each in person.traits})
    for row in _of(connection, trait_bindings, "trait", held):
        if row.source != LEARNED:
            traits[row.trait] = (*traits.get(row.trait, ()), _binding(row))
    found_leavers = (
        leaver(person, [records[k] for k in sorted(keys[person.id]) if k in records], closed, traits, now)
        for person in (known[person_id] for person_id in ids if person_id in known)
    )
    return [each for each in found_leavers if each is not None]


def _of(connection: Connection, table: Table, column: str, values: Sequence[str]) -> Iterator[Any]:
    for start in range(0, len(values), _AT_ONCE):
        part = values[start : start + _AT_ONCE]
        # At once: a row at a time costs more than the rows.
        yield from connection.execute(select(table).where(table.c[column].in_(part))).all()


def _binding(row: Any) -> Binding:
    return Binding(row.person_id, row.valid_from, row.valid_until, row.source, row.confidence)
