"""What was declared of people before: taking a manager who was erased out of it."""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection, select, update

from server.people.facts import PersonFacts
from server.store.tables import people_changes


def forget_manager(connection: Connection, person_id: str) -> int:
    """Nobody was ever led by this person. How many entries named them."""
    # As the JSON has it, which escapes some letters.
    written = msgspec.json.encode(person_id).decode()
    query = select(people_changes.c.id, people_changes.c.before).where(
        people_changes.c.before.contains(written, autoescape=True)
    )
    rewritten = 0
    for row in connection.execute(query).all():
        before = msgspec.json.decode(row.before, type=PersonFacts)
        if before.manager_id != person_id:
            continue
        after = msgspec.json.encode(msgspec.structs.replace(before, manager_id=None)).decode()
        connection.execute(update(people_changes).where(people_changes.c.id == row.id).values(before=after))
        rewritten += 1
    return rewritten
