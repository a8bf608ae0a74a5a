"""One subject's history as bytes: what is kept of a person, a few kilobytes for 115 days.

Stored form: MessagePack [version, first day (ordinal), days, {activity: [seen, [[day, values …], …]]}];
`seen` is a bitmap, day 0 the highest bit of the first byte; only days with any value are listed, day counted
from the first. Activities of an earlier registry are dropped on reading, new ones begin as not seen; an
activity whose number of measures changed counts as new.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec
import numpy as np

from analytics.measures import ACTIVITIES, VALUE_MAX
from analytics.panel import DAYS_MAX, ActivityDays, checked
from analytics.sealed_bytes import StoredStateError

FORMAT_VERSION: Final = 1


class _Activity(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    seen: bytes
    days: list[list[int]]


class _Stored(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    version: int
    first_day: int
    days: int
    activities: dict[str, _Activity]


def history_to_bytes(first_day: int, history: Mapping[str, ActivityDays]) -> bytes:
    """Of one subject: arrays of one row."""
    days = next(iter(history.values())).seen.shape[1]
    found = {}
    for name, each in history.items():
        values = each.values[0]
        busy = np.flatnonzero(values.any(axis=1)).tolist()
        listed = [[day, *values[day].tolist()] for day in busy]
        found[name] = _Activity(np.packbits(each.seen[0]).tobytes(), listed)
    return msgspec.msgpack.encode(_Stored(FORMAT_VERSION, first_day, days, found))


def history_from_bytes(data: bytes) -> tuple[int, dict[str, ActivityDays]]:
    """(first day, days by activity). Raises StoredStateError on damage or another version."""
    try:
        stored = msgspec.msgpack.decode(data, type=_Stored)
    except msgspec.DecodeError as error:
        raise StoredStateError(f"a subject's history: {error}") from error
    if stored.version != FORMAT_VERSION or not 0 <= stored.days <= DAYS_MAX:
        raise StoredStateError(f"a subject's history of version {stored.version}, {stored.days} days")
    return stored.first_day, {
        name: _activity(stored.activities.get(name), stored.days, len(measures), name)
        for name, measures in ACTIVITIES.items()
    }


def _activity(found: _Activity | None, days: int, measures: int, name: str) -> ActivityDays:
    values = np.zeros((1, days, measures), dtype=np.int64)
    seen = np.zeros((1, days), dtype=np.bool_)
    if found is None or any(len(row) != measures + 1 for row in found.days):
        return ActivityDays(values, seen)
    if len(found.seen) != -(-days // 8):
        raise StoredStateError(f"a subject's history: seen days of {name} are cut short")
    seen[0] = np.unpackbits(np.frombuffer(found.seen, dtype=np.uint8), count=days).astype(np.bool_)
    for day, *row in found.days:
        if not 0 <= day < days or min(row) < 0 or max(row) > VALUE_MAX:
            raise StoredStateError(f"a subject's history: day {day} of {name} is none")
        values[0, day] = row
    return checked(ActivityDays(values, seen), name, 1, days)
