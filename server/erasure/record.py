"""What was erased: the list for `leaver erase list`, what status shows, and the end of shut-out accounts."""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection, delete, func, select

from event_schema.struct_base import Milliseconds
from server.people.directory import raise_people_version
from server.store.database import Database
from server.store.tables import block_seals, erased_accounts, erasures


class Erasure(msgspec.Struct, frozen=True):
    """Days are UTC. `digest`: server/people/erased.py."""

    id: int
    kind: str
    digest: str | None
    first_day: int | None
    last_day: int | None
    begun_at: Milliseconds
    finished_at: Milliseconds | None
    restored_at: Milliseconds | None
    removed: dict[str, int]


class ErasureState(msgspec.Struct, frozen=True):
    """`last_at`: when the last one was finished. `unfinished`: begun and not finished. `accounts`: whose
    events are dropped as they come; `events_dropped`: how many were. `events_taken`: taken out of blocks that
    hold events of others."""

    last_at: Milliseconds | None
    unfinished: int
    accounts: int
    events_dropped: int
    events_taken: int


def list_erasures(connection: Connection) -> list[Erasure]:
    """The latest first."""
    columns = [erasures.c[name] for name in Erasure.__struct_fields__]
    return [Erasure(*row) for row in connection.execute(select(*columns).order_by(erasures.c.id.desc()))]


def erasure_state(connection: Connection) -> ErasureState:
    last = connection.execute(select(func.max(erasures.c.finished_at))).scalar()
    unfinished = select(func.count()).select_from(erasures).where(erasures.c.finished_at.is_(None))
    shut = connection.execute(
        select(func.count(), func.coalesce(func.sum(erased_accounts.c.dropped), 0)).select_from(
            erased_accounts
        )
    ).one()
    taken = connection.execute(select(func.coalesce(func.sum(block_seals.c.erased), 0))).scalar_one()
    number = int(connection.execute(unfinished).scalar_one())
    return ErasureState(last, number, int(shut[0]), int(shut[1]), int(taken))


def let_accounts_go(database: Database, now: int) -> int:
    """Accounts whose time is over are no longer shut out. now: ms UTC."""
    over = erased_accounts.c.until < now
    with database.read() as connection:
        if connection.execute(select(erased_accounts.c.digest).where(over).limit(1)).first() is None:
            return 0
    with database.begin() as connection:
        gone = connection.execute(delete(erased_accounts).where(over)).rowcount
        if gone:
            raise_people_version(connection)
    return gone
