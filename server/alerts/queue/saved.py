"""Filters of the queue that somebody gave a name; each account has its own."""

from __future__ import annotations

from typing import Final

import msgspec
from sqlalchemy import Connection, delete, func, insert, select

from server import audit
from server.alerts.queue.filters import QueueFilter
from server.store.column_types import is_storable
from server.store.tables import saved_views

VIEWS_MAX: Final = 30
NAME_CHARACTERS: Final = 80
QUERY_CHARACTERS: Final = 1000


class ViewRefused(Exception):
    """The view cannot be kept; the message says why."""


class SavedView(msgspec.Struct, frozen=True):
    id: int
    name: str
    query: str
    """As in the queue's address."""


def saved_of(connection: Connection, owner: str) -> list[SavedView]:
    """By name."""
    at = saved_views.c
    query = select(at.id, at.name, at.query).where(at.owner == owner).order_by(at.name).limit(VIEWS_MAX)
    return [SavedView(*row) for row in connection.execute(query)]


def save_view(
    connection: Connection, owner: str, name: str, wanted: QueueFilter, *, actor: str, at: int
) -> SavedView:
    """One of this name is replaced. Needs a write transaction. Raises ViewRefused."""
    name = " ".join(name.split())
    if not 1 <= len(name) <= NAME_CHARACTERS or not is_storable(name):
        raise ViewRefused(f"a name of 1 to {NAME_CHARACTERS} characters is needed")
    query = wanted.query()
    if len(query) > QUERY_CHARACTERS:
        raise ViewRefused("these filters are too long to keep")
    mine = saved_views.c.owner == owner
    connection.execute(delete(saved_views).where(mine, saved_views.c.name == name))
    known = connection.execute(select(func.count()).select_from(saved_views).where(mine)).scalar_one()
    if known >= VIEWS_MAX:
        raise ViewRefused(f"{VIEWS_MAX} views are kept at most: delete one first")
    made = {"owner": owner, "name": name, "query": query, "created_at": at}
    number = connection.execute(insert(saved_views).values(made).returning(saved_views.c.id)).scalar_one()
    audit.append(connection, at=at, actor=actor, action="view.save", object=f"view:{number}")
    return SavedView(int(number), name, query)


def delete_view(connection: Connection, owner: str, number: int, *, actor: str, at: int) -> bool:
    """Whether there was one. Needs a write transaction."""
    own = (saved_views.c.owner == owner) & (saved_views.c.id == number)
    gone = connection.execute(delete(saved_views).where(own)).rowcount > 0
    if gone:
        audit.append(connection, at=at, actor=actor, action="view.delete", object=f"view:{number}")
    return gone
