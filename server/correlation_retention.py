"""What correlations remember of days that are past their end goes, where a window holds younger ones too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from sqlalchemy import Connection, Row, delete, select, tuple_, update

from policies.correlation.group_state import days_of, decode_group, encode_group, without_days_before
from policies.correlation.state import StateError
from server.pipeline.state_versions import raise_versions
from server.store.database import Database
from server.store.tables import correlation_groups

_AT_ONCE: Final = 100
_KEY: Final = (
    correlation_groups.c.subject,
    correlation_groups.c.fingerprint,
    correlation_groups.c.group_digest,
)


def shorten_windows(
    database: Database, first_day: int, *, stopped: Callable[[], bool] = lambda: False
) -> int:
    """Of windows that reach beyond `first_day` (local), the older part; how many. In small transactions."""
    reaching = (correlation_groups.c.first_day < first_day) & (correlation_groups.c.last_day >= first_day)
    total = 0
    while not stopped():
        with database.read() as connection:
            keys = [tuple(row) for row in connection.execute(select(*_KEY).where(reaching).limit(_AT_ONCE))]
        if not keys:
            break
        with database.begin() as connection:
            rows = connection.execute(select(correlation_groups).where(tuple_(*_KEY).in_(keys), reaching))
            for row in rows.all():
                _shorten(connection, row, first_day)
                total += 1
            # Whoever remembers them has them whole.
            raise_versions(connection, {}, {key[0] for key in keys})
    return total


def _shorten(connection: Connection, row: Row[tuple[object, ...]], first_day: int) -> None:
    this = tuple_(*_KEY) == (row.subject, row.fingerprint, row.group_digest)
    try:
        key, kept = decode_group(bytes(row.state))
    except StateError:
        connection.execute(delete(correlation_groups).where(this))
        return
    left = without_days_before(kept, first_day)
    days = days_of(left)
    if days is None:
        connection.execute(delete(correlation_groups).where(this))
        return
    values = {"state": encode_group(key, left), "first_day": days[0], "last_day": days[1]}
    connection.execute(update(correlation_groups).where(this).values(values))
