"""Until when an alert sleeps, as people say it. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

MORNING: Final = time(9)
HOURS: Final = {"1h": 1, "4h": 4}
DAYS: Final = {"tomorrow": 1, "3d": 3, "week": 7}
PRESETS: Final = (*HOURS, *DAYS)


def snooze_until(given: str, now: int, zone: ZoneInfo) -> int:
    """ms UTC. `given`: one of PRESETS, ms UTC, or a local time such as 2026-11-24T09:00. Days end at nine in
    the viewer's morning. Raises ValueError."""
    if given in HOURS:
        return now + HOURS[given] * 3_600_000
    if given in DAYS:
        day = datetime.fromtimestamp(now / 1000, zone).date() + timedelta(days=DAYS[given])
        return _milliseconds(datetime.combine(day, MORNING, zone))
    if given.isascii() and given.isdigit() and len(given) <= 15:
        return int(given)
    if len(given) > 32:
        raise ValueError("this is no time")
    local = datetime.fromisoformat(given)
    return _milliseconds(local if local.tzinfo is not None else local.replace(tzinfo=zone))


def _milliseconds(moment: datetime) -> int:
    return int(moment.astimezone(UTC).timestamp() * 1000)
