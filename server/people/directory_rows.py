"""What is declared of people and accounts, row by row, as the Directory keeps it. Reads HR's tables alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from sqlalchemy import Column, ColumnElement, Connection, Row, select, true

from server.people.company import DEFAULT_TIME_ZONE
from server.people.facts import AccountKind, Employment, LeaverFlag
from server.people.holders import Binding
from server.store.tables import (
    account_bindings,
    accounts,
    employments,
    leaver_flags,
    people,
    trait_bindings,
)


class PersonRecord(msgspec.Struct, frozen=True):
    """One person as declared. Days are days since 1970-01-01 in the person's time zone."""

    id: str
    department: str | None = None
    manager_id: str | None = None
    time_zone: str = DEFAULT_TIME_ZONE
    employments: tuple[Employment, ...] = ()
    flag: LeaverFlag | None = None
    job_role: str | None = None
    priority: int | None = None


class AccountRecord(msgspec.Struct, frozen=True, gc=False):
    """An account as declared: `name` as account_key, `system` empty where it is valid everywhere. `owners`,
    `knowers`: bindings in no particular order. rotated_at: ms UTC."""

    name: str
    system: str = ""
    kind: AccountKind = "personal"
    rotated_at: int | None = None
    owners: tuple[Binding, ...] = ()
    knowers: tuple[Binding, ...] = ()


def load_records(connection: Connection, ids: Sequence[str] | None = None) -> list[PersonRecord]:
    """By id: everybody, or these people."""

    def of(column: Column[str]) -> ColumnElement[bool]:
        return true() if ids is None else column.in_(ids)

    worked: dict[str, list[Employment]] = {}
    for row in connection.execute(
        select(employments).where(of(employments.c.person_id)).order_by(employments.c.number)
    ):
        worked.setdefault(row.person_id, []).append(Employment(*tuple(row)[1:]))
    flags = {
        row.person_id: leaver_flag(row)
        for row in connection.execute(select(leaver_flags).where(of(leaver_flags.c.person_id)))
    }
    return [
        PersonRecord(
            row.id,
            row.department,
            row.manager_id,
            row.time_zone,
            tuple(worked.get(row.id, ())),
            flags.get(row.id),
            row.job_role,
            row.priority,
        )
        for row in connection.execute(select(people).where(of(people.c.id)).order_by(people.c.id))
    ]


class KnownBindings:
    """Most are alike but for the person: those are made once."""

    def __init__(self) -> None:
        self._ever: dict[str, Binding] = {}

    def of(self, row: Sequence[Any]) -> Binding:
        """From person, validity, source and confidence."""
        person_id, since, until, source, confidence = row
        if since is None and until is None and source == "import":
            found = self._ever.get(person_id)
            if found is None:
                found = self._ever[person_id] = Binding(person_id)
            return found
        return Binding(person_id, since, until, source, confidence)


def load_accounts(
    connection: Connection, known_as: KnownBindings, names: Sequence[str] | None = None
) -> Iterator[AccountRecord]:
    """Every account that is declared, or those of these names."""
    bound = account_bindings.c
    owners: dict[tuple[str, str], tuple[Binding, ...]] = {}
    knowers: dict[tuple[str, str], tuple[Binding, ...]] = {}
    columns = (bound.person_id, bound.valid_from, bound.valid_until, bound.source, bound.confidence)
    for relation, found in (("owner", owners), ("knows", knowers)):
        query = select(bound.system, bound.account, *columns).where(bound.relation == relation)
        if names is not None:
            query = query.where(bound.account.in_(names))
        for row in connection.execute(query.order_by(bound.id)):
            key = (row[0], row[1])
            found[key] = (*found.get(key, ()), known_as.of(row[2:]))
    stored = accounts.c
    listed = select(stored.system, stored.account, stored.kind, stored.rotated_at)
    if names is not None:
        listed = listed.where(stored.account.in_(names))
    for system, name, kind, rotated_at in connection.execute(listed):
        key = (system, name)
        yield AccountRecord(name, system, kind, rotated_at, owners.get(key, ()), knowers.get(key, ()))


def load_traits(
    connection: Connection, known_as: KnownBindings, traits: Sequence[str] | None = None
) -> dict[str, tuple[Binding, ...]]:
    """Who holds what besides accounts: all of it, or these."""
    bound = trait_bindings.c
    columns = (bound.person_id, bound.valid_from, bound.valid_until, bound.source, bound.confidence)
    found: dict[str, tuple[Binding, ...]] = {}
    query = select(bound.id, bound.trait, *columns).order_by(bound.id)
    if traits is not None:
        query = query.where(bound.trait.in_(traits))
    for row in connection.execute(query):
        found[row[1]] = (*found.get(row[1], ()), known_as.of(row[2:]))
    return found


def leaver_flag(row: Row[Any]) -> LeaverFlag:
    """A row of `leaver_flags`."""
    return LeaverFlag(
        row.last_day, row.notice_day, row.last_minute, row.leaving_type, row.flagged_at, row.note
    )
