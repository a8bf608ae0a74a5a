"""Reading and writing what is declared of people, all of it or of some, with its history."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Table, bindparam, delete, exists, select, update

from server.people.directory import raise_people_version
from server.people.directory_rows import leaver_flag
from server.people.facts import LEARNED, Employment, Holding, PersonFacts, sorted_holdings
from server.people.look_back_queue import queue_look_backs
from server.people.pseudonyms import give_pseudonyms, person_subject
from server.people.removed import keep_removed
from server.store.tables import (
    account_bindings,
    accounts,
    employments,
    leaver_flags,
    people,
    people_changes,
    person_names,
    trait_bindings,
)
from server.store.upsert import insert_missing, insert_new

_AT_ONCE = 500

Change = tuple[PersonFacts | None, PersonFacts | None]
"""(before, after); None: not there."""


def load_facts(connection: Connection, ids: Sequence[str] | None = None) -> dict[str, PersonFacts]:
    """By id; of everybody, or of these people."""
    names = {row.person_id: row.name for row in _rows(connection, person_names, ids)}
    worked: dict[str, list[Employment]] = {}
    for row in _rows(connection, employments, ids):
        worked.setdefault(row.person_id, []).append(Employment(*tuple(row)[1:]))
    flags = {row.person_id: leaver_flag(row) for row in _rows(connection, leaver_flags, ids)}
    owned: dict[str, list[Holding]] = {}
    for row in _rows(connection, account_bindings, ids):
        if row.relation == "owner" and row.source != LEARNED:
            held = Holding(row.account, row.system, row.valid_from, row.valid_until, row.source)
            owned.setdefault(row.person_id, []).append(held)
    traits: dict[str, list[Holding]] = {}
    for row in _rows(connection, trait_bindings, ids):
        if row.source != LEARNED:
            held = Holding(row.trait, "", row.valid_from, row.valid_until, row.source)
            traits.setdefault(row.person_id, []).append(held)
    return {
        row.id: PersonFacts(
            id=row.id,
            time_zone=row.time_zone,
            name=names.get(row.id),
            department=row.department,
            job_role=row.job_role,
            manager_id=row.manager_id,
            priority=row.priority,
            employments=tuple(sorted(worked.get(row.id, ()), key=lambda each: each.number)),
            flag=flags.get(row.id),
            accounts=sorted_holdings(owned.get(row.id, ())),
            traits=sorted_holdings(traits.get(row.id, ())),
            scim_fields=tuple((row.scim_fields or "").split()),
        )
        for row in _rows(connection, people, ids, "id")
    }


def _rows(
    connection: Connection, table: Table, ids: Sequence[str] | None, column: str = "person_id"
) -> Iterator[Any]:
    if ids is None:
        yield from connection.execute(select(table))
        return
    for start in range(0, len(ids), _AT_ONCE):
        some = table.c[column].in_(ids[start : start + _AT_ONCE])
        yield from connection.execute(select(table).where(some)).all()


def write_facts(
    connection: Connection,
    changes: Sequence[Change],
    *,
    at: int,
    actor: str,
    way: str,
    import_id: int | None = None,
) -> None:
    """Makes what is stored of these people what it is after, and keeps what was before. In a write
    transaction that is alone; queues a look back at those whose past changed. at: ms UTC. `way`: as in
    `people_changes`."""
    if not changes:
        return
    gone = [before for before, after in changes if before is not None and after is None]
    wanted = [after for _, after in changes if after is not None]
    new = [after for before, after in changes if before is None and after is not None]
    changed = [after for before, after in changes if before is not None and after is not None]
    _clear(connection, [person.id for person in changed])
    keep_removed(connection, gone, at=at)
    for start in range(0, len(gone), _AT_ONCE):
        # All that hangs on the person goes with it (ON DELETE CASCADE).
        part = [person.id for person in gone[start : start + _AT_ONCE]]
        connection.execute(delete(people).where(people.c.id.in_(part)))
    insert_new(connection, people, [{"id": person.id, **_columns(person, at)} for person in new])
    if changed:
        # The parameter must not be called as the column that it is compared with.
        connection.execute(
            update(people).where(people.c.id == bindparam("person")),
            [{"person": person.id, **_columns(person, at)} for person in changed],
        )
    _insert_parts(connection, wanted, at)
    insert_new(
        connection,
        people_changes,
        [
            {
                "person_id": after.id,
                "changed_at": at,
                "changed_by": actor,
                "way": way,
                "import_id": import_id,
                "before": None if before is None else msgspec.json.encode(before).decode(),
            }
            for before, after in changes
            if after is not None
        ],
    )
    if gone:
        _drop_unbound(connection)
    queue_look_backs(connection, changes, at=at, way=way)
    give_pseudonyms(connection, [person_subject(person.id) for person in new])
    raise_people_version(connection, whole=bool(gone))


def _columns(person: PersonFacts, at: int) -> dict[str, object]:
    return {
        "department": person.department,
        "job_role": person.job_role,
        "manager_id": person.manager_id,
        "time_zone": person.time_zone,
        "priority": person.priority,
        "scim_fields": " ".join(person.scim_fields) or None,
        "changed_at": at,
    }


def _clear(connection: Connection, ids: Sequence[str]) -> None:
    owns = (account_bindings.c.relation == "owner") & (account_bindings.c.source != LEARNED)
    declared = trait_bindings.c.source != LEARNED
    for start in range(0, len(ids), _AT_ONCE):
        part = ids[start : start + _AT_ONCE]
        for table in (person_names, employments, leaver_flags):
            connection.execute(delete(table).where(table.c.person_id.in_(part)))
        connection.execute(delete(account_bindings).where(account_bindings.c.person_id.in_(part), owns))
        connection.execute(delete(trait_bindings).where(trait_bindings.c.person_id.in_(part), declared))


def _insert_parts(connection: Connection, wanted: Sequence[PersonFacts], at: int) -> None:
    named = [{"person_id": person.id, "name": person.name} for person in wanted if person.name]
    insert_new(connection, person_names, named)
    worked = [{"person_id": person.id, **_plain(each)} for person in wanted for each in person.employments]
    insert_new(connection, employments, worked)
    flags = [{"person_id": p.id, **_plain(p.flag)} for p in wanted if p.flag is not None]
    insert_new(connection, leaver_flags, flags)
    known = {
        (held.system, held.name): {
            "system": held.system,
            "account": held.name,
            "kind": account_kind(person),
            "rotated_at": None,
            "source": held.source,
            "changed_at": at,
        }
        for person in wanted
        for held in person.accounts
    }
    insert_missing(connection, accounts, list(known.values()))
    owned = [
        {"system": h.system, "account": h.name, "relation": "owner", **_validity(person.id, h)}
        for person in wanted
        for h in person.accounts
    ]
    insert_new(connection, account_bindings, owned)
    held = [{"trait": h.name, **_validity(person.id, h)} for person in wanted for h in person.traits]
    insert_new(connection, trait_bindings, held)


def account_kind(person: PersonFacts) -> str:
    """Of an account that becomes known as the person's."""
    only_partner = bool(person.employments) and all(each.kind == "partner" for each in person.employments)
    return "partner" if only_partner else "personal"


def _plain(values: msgspec.Struct) -> dict[str, Any]:
    return {str(key): value for key, value in msgspec.structs.asdict(values).items()}


def _validity(person_id: str, held: Holding) -> dict[str, object]:
    return {
        "person_id": person_id,
        "valid_from": held.since,
        "valid_until": held.until,
        "source": held.source,
        "confidence": 1.0,
    }


def _drop_unbound(connection: Connection) -> None:
    """Accounts that an import made and that nobody has now that it is undone."""
    bound = exists().where(
        account_bindings.c.system == accounts.c.system, account_bindings.c.account == accounts.c.account
    )
    connection.execute(delete(accounts).where(accounts.c.source == "import", ~bound))
