"""Everybody who leaves or has left, with their dates: worked out once for a version of the people, and again
when a status may be another one.

Days and statuses change at the last minute of somebody's last day, and at a midnight, which is at a full
quarter of an hour everywhere.
"""

from __future__ import annotations

import threading
import weakref
from typing import Final

import msgspec

from server.people.directory import people_version
from server.people.hr_view import hr_reading
from server.people.leaver_ledger import KnownDates, leaver_dates
from server.people.leaving import Leaver
from server.store.database import Database

QUARTER_MS: Final = 15 * 60 * 1000


class _Known(msgspec.Struct, frozen=True):
    """`since`, `until` (exclusive): when it holds, ms UTC."""

    version: int
    since: int
    until: int
    dates: KnownDates
    leavers: tuple[Leaver, ...]


_known: weakref.WeakKeyDictionary[Database, _Known] = weakref.WeakKeyDictionary()
_lock = threading.Lock()


def known_dates(database: Database, now: int) -> tuple[Leaver, ...]:
    """By id, without what they have. now: ms UTC. Raises StoreUnavailable."""
    with database.read() as connection:
        version = people_version(connection)
    with _lock:
        found = _known.get(database)
    if found is not None and found.version == version and found.since <= now < found.until:
        return found.leavers
    before = found.dates if found is not None and found.since <= now < found.until else None
    with hr_reading(database) as connection:
        dates = leaver_dates(connection, now, before)
    leavers = tuple(each for _, each in dates.values() if each is not None)
    ends = [each.left_at for each in leavers if each.left_at is not None and each.left_at > now]
    until = min([(now // QUARTER_MS + 1) * QUARTER_MS, *ends])
    with _lock:
        # Read behind the version: what somebody changed between is only asked for once more.
        _known[database] = _Known(version, now, until, dates, leavers)
    return leavers
