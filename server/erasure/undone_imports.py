"""Taking back an import of people. Who was erased, came back with it and goes again leaves no words behind.

What is declared of people (server/people) knows nothing of what was typed about alerts: so this stands here.
"""

from __future__ import annotations

from sqlalchemy import Connection

from server.erasure.named_in_texts import blank_texts, withhold_in_trail
from server.erasure.plan import Plan
from server.people.undo import Undone, take_back


def undo_import(connection: Connection, import_id: int, *, actor: str, at: int) -> Undone:
    """In a write transaction that is alone. Raises UnknownImport, CannotUndo; nothing is changed then."""
    return take_back(connection, import_id, actor=actor, at=at, forget=_forget_words)


def _forget_words(connection: Connection, person_id: str, since: int) -> dict[str, int]:
    plan = Plan(person=person_id)
    blanked = blank_texts(connection, plan, since=since)
    withhold_in_trail(connection, plan, since=since)
    return blanked
