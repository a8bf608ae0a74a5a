"""What an import changed, told afterwards from the history that is kept: whoever was erased is not in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, select

from server.people.facts import PersonFacts
from server.people.facts_store import load_facts
from server.people.import_plan import is_leaving
from server.people.import_report import PersonChange, field_changes
from server.people.undo import PastImport, UnknownImport, find_import
from server.store.tables import people_changes

CHANGES_MAX = 1000


class ImportChanges(msgspec.Struct, frozen=True):
    """An import and, from `after` on (0: all), what it changed of people. `next`: the `after` of what comes
    behind these; None: nothing does."""

    imported: PastImport
    changes: tuple[PersonChange, ...]
    next: int | None


def import_changes(
    connection: Connection, import_id: int, *, after: int = 0, limit: int = CHANGES_MAX
) -> ImportChanges:
    """Raises UnknownImport."""
    imported = find_import(connection, import_id)
    if imported is None:
        raise UnknownImport(f"there is no import {import_id}: leaver people imports list")
    changed = people_changes.c
    of_import = (changed.import_id == import_id) & (changed.way == "import")
    query = select(changed.id, changed.person_id, changed.before).where(of_import, changed.id > after)
    rows = connection.execute(query.order_by(changed.id).limit(limit + 1)).all()
    page = rows[:limit]
    afterwards = _afterwards(connection, page)
    changes = tuple(_change(row, afterwards.get(row.person_id)) for row in page)
    return ImportChanges(imported, changes, page[-1].id if len(rows) > limit else None)


def _afterwards(connection: Connection, page: Sequence[Row[Any, Any, Any]]) -> dict[str, PersonFacts | None]:
    """What was so once the import was done: what the next change found, else what is so now."""
    if not page:
        return {}
    own = {row.person_id: row.id for row in page}
    found: dict[str, PersonFacts | None] = {**load_facts(connection, sorted(own))}
    changed = people_changes.c
    later = select(changed.id, changed.person_id, changed.before).where(
        changed.person_id.in_(own), changed.id > page[0].id
    )
    for row in connection.execute(later.order_by(changed.id.desc())):
        if row.id > own[row.person_id]:
            found[row.person_id] = _facts(row.before)
    return found


def _change(row: Row[int, str, str | None], after: PersonFacts | None) -> PersonChange:
    before = _facts(row.before)
    leaves = after is not None and is_leaving(after) and not (before is not None and is_leaving(before))
    return PersonChange(None, row.person_id, before is None, leaves, field_changes(before, after))


def _facts(written: str | None) -> PersonFacts | None:
    return None if written is None else msgspec.json.decode(written, type=PersonFacts)
