"""Lines that syslog daemons write, in both forms. Pure.

    Nov 22 02:01:54 host sshd[123]: …
    2026-11-22T02:01:54.123456+01:00 host sshd[123]: …

The older form names neither year nor time zone: the year is the one that brings the line nearest to the
present, the zone is told. In the hour that autumn repeats, the log's own order decides.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Final

import msgspec

_LINE: Final = re.compile(
    rb"(?:<\d{1,3}>)?(?P<when>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d(?:\.\d{1,9})?|\d{4}-\d\d-\d\dT\S{8,24}) "
    rb"(?P<host>\S+) (?P<program>[^\s\[:]{1,64})(?:\[(?P<pid>\d{1,10})\])?: (?P<message>.*)",
    re.DOTALL,
)
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_FUTURE: Final = timedelta(days=2)
"""A log may be a little ahead of our clock, or of our idea of its zone; never by months."""


class SyslogLine(msgspec.Struct, frozen=True):
    """time: ms since 1970 UTC."""

    time: int
    program: str
    pid: int
    message: str


def parse_syslog(content: bytes, now_ms: int, zone: tzinfo | None, latest_ms: int) -> SyslogLine | None:
    """None: no line of that kind. zone None: this machine's. latest_ms: of the line before."""
    found = _LINE.fullmatch(content)
    if found is None:
        return None
    when = found["when"].decode()
    time = _iso_ms(when) if when[0].isdigit() else _traditional_ms(when, now_ms, zone, latest_ms)
    if time is None:
        return None
    # The names of programs do not matter beyond ASCII; a message may quote anything.
    return SyslogLine(
        time,
        found["program"].decode("ascii", "replace"),
        int(found["pid"] or 0),
        found["message"].decode("utf-8", "backslashreplace"),
    )


def _iso_ms(when: str) -> int | None:
    try:
        moment = datetime.fromisoformat(when)
    except ValueError:
        return None
    return None if moment.tzinfo is None else _ms(moment)


def _traditional_ms(when: str, now_ms: int, zone: tzinfo | None, latest_ms: int) -> int | None:
    whole, _, fraction = when.partition(".")
    found = _twice(whole, now_ms // 86_400_000, zone)
    if found is None:
        return None
    first, second = found
    # Only in the repeated hour do the two differ.
    time = second if first < latest_ms - 60_000 <= second else first
    return time + int(fraction.ljust(3, "0")[:3] or 0)


@lru_cache(maxsize=64)
def _twice(when: str, today: int, zone: tzinfo | None) -> tuple[int, int] | None:
    """The first and the second moment at which clocks there showed this time; today: days since 1970."""
    now = datetime.fromtimestamp(today * 86_400, UTC)
    year_now = (now + _FUTURE).year
    try:
        month, day = _MONTHS.index(when[:3]) + 1, int(when[4:6])
        hour, minute, second = map(int, when[7:].split(":"))
    except ValueError:
        return None
    for year in (year_now, year_now - 1, year_now - 2, year_now - 3, year_now - 4):
        try:
            moment = datetime(year, month, day, hour, minute, min(second, 59), tzinfo=zone)
        except ValueError:
            continue
        if zone is None:
            moment = moment.astimezone()
        if moment <= now + _FUTURE:
            naive = moment.replace(tzinfo=zone)
            return _ms(naive), _ms(naive.replace(fold=1))
    return None


def _ms(moment: datetime) -> int:
    return max(0, int(moment.timestamp() * 1000))
