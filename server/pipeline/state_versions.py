"""Versions of what workers keep in memory: so that none computes from, or writes over, what it did not see.

A subject may be seen on agents whose records different workers read, so its state can change behind a
worker's back. Each commit that changes a subject or an agent raises its version in the same transaction;
memory holds the version that it was loaded at. At the start of a batch stale states are forgotten (they
are loaded anew), and the commit goes through only where every version is still the one that the batch was
worked out from. Else StaleState: roll back, forget, do the batch again, this time with the rows of its keys
locked before anything is read, so that nobody can overtake it.

`state_versions` has a row for each key that was ever written: 'person:…' and 'account:…' for subjects,
'agent:…' for agents. A missing row is version 0. Rows are locked in the order of their keys.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from sqlalchemy import Connection, insert, select, update

from server.store.tables import state_versions
from server.store.upsert import insert_missing

AGENT = "agent:"
_KEYS_PER_QUERY = 500


class StaleState(Exception):
    """What a batch was worked out from has changed meanwhile. `keys`: what is known to be stale."""

    def __init__(self, reason: str, keys: Collection[str] = ()) -> None:
        super().__init__(reason)
        self.keys = frozenset(keys)


def agent_key(name: str) -> str:
    return AGENT + name


def versions_of(connection: Connection, keys: Iterable[str]) -> dict[str, int]:
    """As the connection's snapshot has them, with 0 for keys that were never written."""
    wanted = sorted(set(keys))
    found = dict.fromkeys(wanted, 0)
    for start in range(0, len(wanted), _KEYS_PER_QUERY):
        part = wanted[start : start + _KEYS_PER_QUERY]
        rows = connection.execute(select(state_versions).where(state_versions.c.key.in_(part)))
        found.update({row.key: row.version for row in rows})
    return found


def lock_versions(connection: Connection, keys: Iterable[str]) -> dict[str, int]:
    """Like `versions_of`, in a write transaction: nobody else changes these until it ends. Makes missing
    rows."""
    wanted = sorted(set(keys))
    found = _locked(connection, wanted)
    new = [key for key in wanted if key not in found]
    if new:
        insert_missing(connection, state_versions, [{"key": key, "version": 0} for key in new])
        found |= _locked(connection, new)
    return found


def _locked(connection: Connection, keys: Sequence[str]) -> dict[str, int]:
    """Of those that have a row, which is locked. `keys`: sorted."""
    locked: dict[str, int] = {}
    for start in range(0, len(keys), _KEYS_PER_QUERY):
        rows = connection.execute(
            select(state_versions)
            .where(state_versions.c.key.in_(keys[start : start + _KEYS_PER_QUERY]))
            .order_by(state_versions.c.key)
            .with_for_update()
        )
        locked.update({row.key: row.version for row in rows})
    return locked


def raise_versions(
    connection: Connection, expected: Mapping[str, int], others: Collection[str] = ()
) -> dict[str, int]:
    """Raises the versions of all keys by one, in the caller's write transaction, and returns them.

    `expected`: by key, where memory stands. `others`: their states did not change, but something that
    memory of them depends on did. Raises StaleState; an IntegrityError of the database says the same.
    """
    keys = sorted({*expected, *others})
    locked = _locked(connection, keys)
    stale = [key for key, version in expected.items() if locked.get(key, 0) != version]
    if stale:
        raise StaleState(f"another worker changed {len(stale)} of {len(expected)} states", stale)
    known = [key for key in keys if key in locked]
    for start in range(0, len(known), _KEYS_PER_QUERY):
        part = known[start : start + _KEYS_PER_QUERY]
        connection.execute(
            update(state_versions)
            .where(state_versions.c.key.in_(part))
            .values(version=state_versions.c.version + 1)
        )
    # Two workers may make the same row: the later one gets an IntegrityError.
    new = [{"key": key, "version": 1} for key in keys if key not in locked]
    if new:
        connection.execute(insert(state_versions), new)
    return {key: locked.get(key, 0) + 1 for key in keys}
