"""Taking an import back: every person that it changed is again as before, as long as nothing stands on it.

Nothing of it is taken back where one of these people was changed since (by a later import, a flag), where
another person has an account by now that would go back, or is led by somebody whom the import brought.
Whom it took back though they were erased is erased again: the next file does not bring them in unnoticed, and
what was typed meanwhile forgets their names. Of all others whom it takes away the mask of texts keeps these.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec
from sqlalchemy import Connection, exists, select, update

from event_schema.struct_base import Milliseconds
from server import audit
from server.people.erased import erased_digest, load_erased
from server.people.facts import LEARNED, SCIM, PersonFacts
from server.people.facts_store import Change, load_facts, write_facts
from server.people.history import forget_manager
from server.people.pseudonyms import person_subject
from server.people.removed import forget_removed
from server.store.tables import account_bindings, erasures, people, people_changes, people_imports

_SHOWN = 5
_AT_ONCE = 500


FOLDER_ACTOR = "leaver up (watched folder)"


class FolderState(msgspec.Struct, frozen=True):
    """What became of the last file of the watched folder. `stopped`: why nothing of it was taken over."""

    import_id: int
    at: Milliseconds
    refused: int
    stopped: str | None


def folder_state(connection: Connection) -> FolderState | None:
    """None: no file came yet, or the last one was undone."""
    found = next((each for each in list_imports(connection, 50) if each.imported_by == FOLDER_ACTOR), None)
    if found is None or found.undone_at is not None:
        return None
    return FolderState(found.id, found.imported_at, found.refused, found.stopped)


class PastImport(msgspec.Struct, frozen=True):
    """`stopped`: why nothing of it was taken over."""

    id: int
    imported_at: Milliseconds
    imported_by: str
    file_sha256: str
    added: int
    changed: int
    unchanged: int
    refused: int
    stopped: str | None
    undone_at: Milliseconds | None


class UnknownImport(Exception):
    """There is none of this number."""


class CannotUndo(Exception):
    """Something stands on it; the message says what."""


class Undone(msgspec.Struct, frozen=True):
    import_id: int
    removed: int
    restored: int


def list_imports(connection: Connection, limit: int = 1000) -> list[PastImport]:
    """The latest first."""
    columns = [people_imports.c[name] for name in PastImport.__struct_fields__]
    query = select(*columns).order_by(people_imports.c.id.desc()).limit(limit)
    return [PastImport(*row) for row in connection.execute(query)]


def find_import(connection: Connection, import_id: int) -> PastImport | None:
    columns = [people_imports.c[name] for name in PastImport.__struct_fields__]
    row = connection.execute(select(*columns).where(people_imports.c.id == import_id)).first()
    return None if row is None else PastImport(*row)


Forget = Callable[[Connection, str, int], dict[str, int]]
"""What was typed about a person of this id since a time (ms UTC), blanked: rows, by table."""


def take_back(connection: Connection, import_id: int, *, actor: str, at: int, forget: Forget) -> Undone:
    """In a write transaction that is alone. `forget`: of the erased whom the import had taken back. Raises
    UnknownImport, CannotUndo; nothing is changed then. Others call erasure/undone_imports.py."""
    changes = _changes_back(connection, import_id)
    removed = sum(after is None for _, after in changes)
    write_facts(connection, changes, at=at, actor=actor, way="undo", import_id=import_id)
    gone = [old.id for old, new in changes if old and not new]
    _keep_out(connection, import_id, gone, actor, at, forget)
    connection.execute(update(people_imports).where(people_imports.c.id == import_id).values(undone_at=at))
    counts = {"import": import_id, "removed": removed, "restored": len(changes) - removed}
    audit.append(
        connection, at=at, actor=actor, action="people.undo", object=f"import:{import_id}", detail=counts
    )
    return Undone(import_id, removed, len(changes) - removed)


def check_undo(connection: Connection, import_id: int) -> Undone:
    """What `take_back` would do; raises what it raises. Reads only."""
    changes = _changes_back(connection, import_id)
    removed = sum(after is None for _, after in changes)
    return Undone(import_id, removed, len(changes) - removed)


def _changes_back(connection: Connection, import_id: int) -> list[Change]:
    done = connection.execute(select(people_imports).where(people_imports.c.id == import_id)).first()
    if done is None:
        raise UnknownImport(f"there is no import {import_id}: leaver people imports list")
    if done.stopped is not None:
        raise CannotUndo(f"nothing of import {import_id} was taken over: {done.stopped}")
    if done.undone_at is not None:
        raise CannotUndo(f"import {import_id} was undone before")
    rows = connection.execute(
        select(people_changes.c.id, people_changes.c.person_id, people_changes.c.before)
        .where(people_changes.c.import_id == import_id, people_changes.c.way == "import")
        .order_by(people_changes.c.id)
    ).all()
    if len(rows) < done.added + done.changed:
        missing = done.added + done.changed - len(rows)
        raise CannotUndo(
            f"of import {import_id} the history of {missing:,} people is gone:"
            " they were erased, or it is too old"
        )
    before = {row.person_id: _facts(row.before) for row in rows}
    now = load_facts(connection, list(before))
    last = max((row.id for row in rows), default=0)
    _refuse_later_changes(connection, import_id, now, last)
    _refuse_lost_accounts(connection, import_id, before)
    _refuse_leaders(connection, import_id, before, last)
    return [(now[person_id], facts) for person_id, facts in before.items() if now[person_id] != facts]


def _keep_out(
    connection: Connection, import_id: int, gone: list[str], actor: str, at: int, forget: Forget
) -> None:
    """The erased whom this import had taken back: on the record. What was typed about them is found by what
    was kept of their names as they went."""
    taken_back = select(people_imports.c.imported_at).where(people_imports.c.id == import_id)
    moment = connection.execute(taken_back).scalar_one()
    key = load_erased(connection).key
    for person_id in gone:
        digest = erased_digest(key, person_subject(person_id))
        restored = (erasures.c.digest == digest) & (erasures.c.restored_at == moment)
        if connection.execute(update(erasures).where(restored).values(restored_at=None)).rowcount:
            blanked = forget(connection, person_id, moment)
            forget_manager(connection, person_id)
            forget_removed(connection, person_id)
            audit.append(
                connection,
                at=at,
                actor=actor,
                action="erasure.undo_restore",
                object=f"person:{digest}",
                detail={"rows": blanked} if blanked else None,
            )


def _facts(written: str | None) -> PersonFacts | None:
    return None if written is None else msgspec.json.decode(written, type=PersonFacts)


def _refuse_later_changes(
    connection: Connection, import_id: int, now: Mapping[str, PersonFacts], last: int
) -> None:
    """What came after, and was taken back by now, is no change."""
    changed = people_changes.c
    ids = sorted(now)
    then: dict[str, PersonFacts | None] = {}
    how: dict[str, str] = {}
    for start in range(0, len(ids), _AT_ONCE):
        query = (
            select(changed.person_id, changed.way, changed.import_id, changed.before)
            .where(changed.id > last, changed.person_id.in_(ids[start : start + _AT_ONCE]))
            .order_by(changed.id)
        )
        for row in connection.execute(query):
            if row.person_id not in then:
                then[row.person_id] = _facts(row.before)
            how[row.person_id] = f"import {row.import_id}" if row.way == "import" else row.way
    later = sorted(person_id for person_id, facts in then.items() if facts != now[person_id])
    if later:
        shown = ", ".join(f"{person_id} ({how[person_id]})" for person_id in later[:_SHOWN])
        more = f" and {len(later) - _SHOWN:,} more" if len(later) > _SHOWN else ""
        raise CannotUndo(
            f"import {import_id} cannot be undone: {len(later):,} of its people were changed since:"
            f" {shown}{more}"
        )


def _refuse_lost_accounts(
    connection: Connection, import_id: int, before: dict[str, PersonFacts | None]
) -> None:
    back = {
        (held.system, held.name): person_id
        for person_id, facts in before.items()
        if facts is not None
        for held in facts.accounts
        if held.until is None
    }
    bound = account_bindings.c
    names = sorted({name for _, name in back})
    for start in range(0, len(names), _AT_ONCE):
        query = select(bound.system, bound.account, bound.person_id).where(
            bound.account.in_(names[start : start + _AT_ONCE]),
            bound.relation == "owner",
            bound.valid_until.is_(None),
            bound.source.not_in((SCIM, LEARNED)),
        )
        for row in connection.execute(query):
            owner = back.get((row.system, row.account))
            if owner is not None and row.person_id != owner and row.person_id not in before:
                raise CannotUndo(
                    f"import {import_id} cannot be undone: {row.person_id} has the account {row.account}"
                    f" by now, which would go back to {owner}"
                )


def _refuse_leaders(
    connection: Connection, import_id: int, before: dict[str, PersonFacts | None], last: int
) -> None:
    later = exists().where(people_changes.c.person_id == people.c.id, people_changes.c.id > last)
    new = sorted(person_id for person_id, facts in before.items() if facts is None)
    for start in range(0, len(new), _AT_ONCE):
        query = select(people.c.id, people.c.manager_id).where(
            people.c.manager_id.in_(new[start : start + _AT_ONCE]), later
        )
        for row in connection.execute(query):
            if row.id not in before:
                raise CannotUndo(
                    f"import {import_id} cannot be undone: {row.id} is led by {row.manager_id},"
                    " whom it brought"
                )
