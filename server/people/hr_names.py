"""What people are called, for HR and administrators, who see names; and finding somebody by a part of it.

Reads HR's tables alone (hr_view.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec
from sqlalchemy import Connection, func, or_, select

from server.store.tables import people, person_names

FOUND_MAX: Final = 20
QUERY_CHARACTERS: Final = 100
_AT_ONCE: Final = 500


class FoundPerson(msgspec.Struct, frozen=True):
    """Whom somebody may mean."""

    id: str
    name: str | None
    department: str | None


def names_of(connection: Connection, person_ids: Iterable[str]) -> dict[str, str]:
    """By id; who has no name is not in it."""
    wanted = sorted(set(person_ids))
    found: dict[str, str] = {}
    for start in range(0, len(wanted), _AT_ONCE):
        some = person_names.c.person_id.in_(wanted[start : start + _AT_ONCE])
        found |= {row.person_id: row.name for row in connection.execute(select(person_names).where(some))}
    return found


def find_people(connection: Connection, written: str, limit: int = FOUND_MAX) -> list[FoundPerson]:
    """Those whose id begins with it or whose name has each of its words, by name. Nobody for an empty one."""
    text = written.strip()[:QUERY_CHARACTERS]
    if not text:
        return []
    name = func.lower(person_names.c.name)
    words = [name.contains(word.lower(), autoescape=True) for word in text.split()]
    by_id = func.lower(people.c.id).startswith(text.lower(), autoescape=True)
    by_name = words[0]
    for each in words[1:]:
        by_name &= each
    query = (
        select(people.c.id, person_names.c.name, people.c.department)
        .select_from(people.outerjoin(person_names, person_names.c.person_id == people.c.id))
        .where(or_(by_id, by_name))
        .order_by(person_names.c.name, people.c.id)
        .limit(limit)
    )
    return [FoundPerson(*row) for row in connection.execute(query)]
