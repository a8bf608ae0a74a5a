"""Local days and minutes of a time zone as moments, and back. Right on the nights when clocks are set."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

DAY_ZERO = date(1970, 1, 1).toordinal()
MINUTE_MS = 60_000
_DAYS_KEPT = 16_384
"""Days of time zones: people begin and leave on few of them."""


@lru_cache(maxsize=1024)
def zone(name: str) -> ZoneInfo:
    """Raises ZoneInfoNotFoundError for an unknown zone."""
    return ZoneInfo(name)


def local_day_and_hour(zone_name: str, time_ms: int) -> tuple[int, int]:
    """(day since 1970-01-01, hour) in a time zone."""
    day, minute = local_day_and_minute(zone_name, time_ms)
    return day, minute // 60


def local_day_and_minute(zone_name: str, time_ms: int) -> tuple[int, int]:
    """(day since 1970-01-01, minute of the day) in a time zone."""
    seconds = time_ms // 1000
    offset = datetime.fromtimestamp(seconds, zone(zone_name)).utcoffset()
    assert offset is not None
    local = seconds + int(offset.total_seconds())
    return local // 86_400, local % 86_400 // 60


@lru_cache(maxsize=_DAYS_KEPT)
def first_moment(zone_name: str, day: int) -> int:
    """When the local day begins, ms UTC: the first time that clocks show it, also where midnight is skipped
    or comes twice."""
    return _moment(zone_name, day, 0, fold=0)


@lru_cache(maxsize=_DAYS_KEPT)
def end_of_day(zone_name: str, day: int) -> int:
    """When the local day is over for good, ms UTC. Where the next midnight comes twice, it is the second one
    only if clocks went back behind it (to 23:01, as St. John's did): on the Azores they go from 01:00 back to
    00:00, and the day before does not come again."""
    midnights = [_moment(zone_name, day + 1, 0, fold=fold) for fold in (0, 1)]
    return max(each for each in midnights if local_day_and_minute(zone_name, each - 1)[0] <= day)


def end_of_minute(zone_name: str, day: int, minute: int) -> int:
    """When this minute of the local day is over for good, ms UTC: where clocks show it twice, the later one;
    where they skip it, as much after the midnight before."""
    return max(_moment(zone_name, day, minute, fold=fold) for fold in (0, 1)) + MINUTE_MS


def _moment(zone_name: str, day: int, minute: int, *, fold: int) -> int:
    local = datetime.fromordinal(day + DAY_ZERO) + timedelta(minutes=minute)
    return int(local.replace(tzinfo=zone(zone_name), fold=fold).timestamp()) * 1000
