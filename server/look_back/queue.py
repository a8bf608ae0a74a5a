"""What waits to be looked back at, and how far it is: `look_backs`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec
from sqlalchemy import Connection, case, func, select, update

from event_schema.struct_base import Milliseconds
from server.store.tables import look_backs

Account = tuple[str, str]
"""(system, name as account_key)."""
_COLUMNS: Final = ("id", "person_id", "accounts", "left_at", "failures", "failed_at")
_GROUPS_MAX = 5_000
FIRST_PAUSE_MS: Final = 60_000
LONGEST_PAUSE_MS: Final = 6 * 3_600_000
"""After a failure; it doubles with each."""


class Waiting(msgspec.Struct, frozen=True):
    """People who are looked at together, since accounts went from one to another. `ids`: their rows.
    left_at: since when the first of them has left; None: nobody has. due_at: not before. ms UTC."""

    ids: tuple[int, ...]
    people: tuple[str, ...]
    accounts: tuple[Account, ...]
    left_at: int | None = None
    due_at: int = 0


class LookBackState(msgspec.Struct, frozen=True):
    """`waiting`: people, with whoever is looked back at now. `events`: scored again so far of those that are
    begun. The others are of all that is on record: how often, events scored again, alerts opened, open ones
    that say something else since. `failed`: of those that wait, people at whom looking back failed."""

    waiting: int
    oldest_at: Milliseconds | None
    events: int
    finished: int
    last_at: Milliseconds | None
    events_finished: int
    opened: int
    joined: int
    failed: int = 0


def waiting_groups(connection: Connection) -> list[Waiting]:
    """Those that a person marked first, then imports; in each the oldest first."""
    rows = connection.execute(
        select(*(look_backs.c[name] for name in _COLUMNS))
        .where(look_backs.c.finished_at.is_(None))
        .order_by(case((look_backs.c.way == "import", 1), else_=0), look_backs.c.id)
        .limit(_GROUPS_MAX)
    ).all()
    return _groups(
        [_Row(id, person, tuple(map(tuple, accounts)), *others) for id, person, accounts, *others in rows]
    )


def note_failure(connection: Connection, group: Waiting, now: int) -> None:
    """In a write transaction. What HR says of these people from now on is tried at once."""
    waiting = look_backs.c.id.in_(group.ids) & look_backs.c.finished_at.is_(None)
    failures = {"failures": look_backs.c.failures + 1, "failed_at": now}
    connection.execute(update(look_backs).where(waiting).values(failures))


class _Row(NamedTuple):
    id: int
    person: str
    accounts: tuple[Account, ...]
    left_at: int | None
    failures: int
    failed_at: int | None

    @property
    def due_at(self) -> int:
        if self.failed_at is None:
            return 0
        # The exponent is bound, for it outlives the longest pause.
        return self.failed_at + min(FIRST_PAUSE_MS << min(self.failures - 1, 20), LONGEST_PAUSE_MS)


def _groups(rows: Sequence[_Row]) -> list[Waiting]:
    """Joined where they share a person or an account."""
    group_of: dict[str | Account, int] = {}
    members: dict[int, list[int]] = {}
    for index, row in enumerate(rows):
        keys: list[str | Account] = [row.person, *row.accounts]
        mine = min((group_of[key] for key in keys if key in group_of), default=index)
        members.setdefault(mine, []).append(index)
        for other in {group_of[key] for key in keys if key in group_of} - {mine}:
            members[mine] += members.pop(other)
            group_of.update((key, mine) for key, group in list(group_of.items()) if group == other)
        group_of.update((key, mine) for key in keys)
    return [_waiting([rows[index] for index in sorted(members[number])]) for number in sorted(members)]


def _waiting(rows: Sequence[_Row]) -> Waiting:
    return Waiting(
        tuple(row.id for row in rows),
        tuple(sorted({row.person for row in rows})),
        tuple(sorted({account for row in rows for account in row.accounts})),
        min((row.left_at for row in rows if row.left_at is not None), default=None),
        min(row.due_at for row in rows),
    )


def look_back_state(connection: Connection) -> LookBackState:
    at = look_backs.c
    waiting = connection.execute(
        select(
            func.count(at.person_id.distinct()),
            func.min(at.queued_at),
            func.coalesce(func.sum(at.events), 0),
            func.count(case((at.failures > 0, at.person_id)).distinct()),
        ).where(at.finished_at.is_(None))
    ).one()
    done = connection.execute(
        select(
            func.count(),
            func.max(at.finished_at),
            func.coalesce(func.sum(at.events), 0),
            func.coalesce(func.sum(at.opened), 0),
            func.coalesce(func.sum(at.joined), 0),
        ).where(at.finished_at.is_not(None))
    ).one()
    return LookBackState(
        int(waiting[0]),
        waiting[1],
        int(waiting[2]),
        int(done[0]),
        done[1],
        int(done[2]),
        int(done[3]),
        int(done[4]),
        int(waiting[3]),
    )
