"""Whom an undone import takes away, as far as the mask of texts needs it: what was typed about them stays,
and would name them from then on.

A row holds what somebody was called and had at one time, as `people_changes.before` does: whoever reads that
reads these too. An erasure takes them, and housekeeping at the end of `retention.alerts_days`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
from sqlalchemy import Column, Connection, delete, select

from server.people.facts import PersonFacts
from server.store.tables import account_bindings, people_changes, removed_people, trait_bindings
from server.store.upsert import insert_new

_AT_ONCE = 500


class Called(msgspec.Struct, frozen=True):
    name: str


class Telling(msgspec.Struct, frozen=True, omit_defaults=True):
    """Of PersonFacts, what tells of a person."""

    name: str | None = None
    accounts: tuple[Called, ...] = ()
    traits: tuple[Called, ...] = ()


def read_telling(stored: str) -> Telling:
    """`before` of a row of `people_changes`, or `told` of one of `removed_people`."""
    return msgspec.json.decode(stored, type=Telling)


def keep_removed(connection: Connection, gone: Sequence[PersonFacts], *, at: int) -> None:
    """In the transaction in which they go, before they do. at: ms UTC."""
    for start in range(0, len(gone), _AT_ONCE):
        part = gone[start : start + _AT_ONCE]
        ids = [person.id for person in part]
        # By its JSON, each once.
        told: dict[tuple[str, str], None] = {}
        accounts = _bound(connection, account_bindings.c.person_id, account_bindings.c.account, ids)
        traits = _bound(connection, trait_bindings.c.person_id, trait_bindings.c.trait, ids)
        changes = select(people_changes.c.person_id, people_changes.c.before).where(
            people_changes.c.person_id.in_(ids), people_changes.c.before.is_not(None)
        )
        for row in connection.execute(changes.order_by(people_changes.c.id)):
            told[row.person_id, _written(read_telling(row.before))] = None
        for person in part:
            now = (
                person.id,
                _written(Telling(person.name, accounts.get(person.id, ()), traits.get(person.id, ()))),
            )
            # The latest is the last.
            told.pop(now, None)
            told[now] = None
        rows = [{"person_id": person_id, "removed_at": at, "told": each} for person_id, each in told]
        insert_new(connection, removed_people, rows)


def forget_removed(connection: Connection, person_id: str) -> None:
    connection.execute(delete(removed_people).where(removed_people.c.person_id == person_id))


def all_removed(connection: Connection) -> list[tuple[str, str]]:
    """(person id, what `read_telling` reads), of everybody."""
    query = select(removed_people.c.person_id, removed_people.c.told).distinct()
    return [(row.person_id, row.told) for row in connection.execute(query)]


def removed(connection: Connection, person_ids: Iterable[str]) -> list[tuple[str, str]]:
    """Of these people, the latest last."""
    wanted = list(person_ids)
    found: list[tuple[str, str]] = []
    for start in range(0, len(wanted), _AT_ONCE):
        some = removed_people.c.person_id.in_(wanted[start : start + _AT_ONCE])
        query = select(removed_people.c.person_id, removed_people.c.told).where(some)
        rows = connection.execute(query.order_by(removed_people.c.id))
        found += [(row.person_id, row.told) for row in rows]
    return found


def _bound(
    connection: Connection, person: Column[str], what: Column[str], ids: Sequence[str]
) -> dict[str, tuple[Called, ...]]:
    """Also what was only learned, or known to them: it was hidden as theirs."""
    query = select(person.label("person"), what.label("what")).where(person.in_(ids)).distinct()
    found: dict[str, tuple[Called, ...]] = {}
    for row in connection.execute(query.order_by(person, what)):
        found[row.person] = (*found.get(row.person, ()), Called(row.what))
    return found


def _written(told: Telling) -> str:
    return msgspec.json.encode(told).decode()
