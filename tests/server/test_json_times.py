"""Times in JSON for programs: milliseconds, and beside them the same moment in RFC 3339."""

from __future__ import annotations

import msgspec

from event_schema.struct_base import MILLISECONDS_MAX, Milliseconds
from server.json_times import rfc3339, with_datetimes

MIDNIGHT = 1_795_305_600_123


class Part(msgspec.Struct, frozen=True, omit_defaults=True):
    at: Milliseconds
    until: Milliseconds | None
    seconds: int
    note: str | None = None


class Whole(msgspec.Struct, frozen=True):
    parts: tuple[Part, ...]
    event: dict[str, int]


def test_each_time_stands_there_twice_and_nothing_else_does() -> None:
    at = {"at": MIDNIGHT, "at_dt": "2026-11-22T00:00:00.123Z"}
    assert with_datetimes(Whole((Part(MIDNIGHT, None, 7),), {"time": MIDNIGHT})) == {
        "parts": [{**at, "until": None, "until_dt": None, "seconds": 7}],
        "event": {"time": MIDNIGHT},
    }


def test_the_last_moment_that_the_schema_allows_can_be_told() -> None:
    assert rfc3339(MILLISECONDS_MAX) == "9999-12-31T23:59:59.999Z"
    assert rfc3339(MILLISECONDS_MAX + 1) is None
