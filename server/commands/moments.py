"""Days and times of day on the command line: 2026-11-13, "2026-11-13 17:30", now."""

from __future__ import annotations

import click

from server.people.dates import UnreadableDate, read_day, read_minute
from server.people.local_time import MINUTE_MS, end_of_minute, first_moment


def read_moment(option: str, written: str, zone: str, now: int) -> int:
    """ms UTC of what was given to an option; a day begins with its first moment in the time zone. Wrong usage
    where it is neither."""
    if written == "now":
        return now
    day_part, _, hour_part = written.strip().partition(" ")
    try:
        day, minute = read_day(day_part), read_minute(hour_part)
    except UnreadableDate as error:
        raise click.UsageError(f"{option}: {error}") from None
    if day is None:
        raise click.UsageError(f"{option}: is no day")
    # Where clocks show a minute twice, the later one, as a last hour is read (people/standing.py).
    return first_moment(zone, day) if minute is None else end_of_minute(zone, day, minute) - MINUTE_MS
