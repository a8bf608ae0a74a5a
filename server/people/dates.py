"""Dates as people write them in HR files, read without guessing.

| written | read as |
|---|---|
| 2026-11-28, 2026/11/28, 2026.11.28, 20261128, 2026年11月28日 | year, month, day |
| 28.11.2026 | day, month, year |
| 28/11/2026, 11/28/2026, 28-11-2026 | whichever is possible; both (03/04/2026): as told, else refused |
| any of these with a time of day behind it | the day |
| 2026-11-30T16:00:00Z, or with +05:30 instead of Z | the day that it is then in the time zone given |
| 2026-11-30T00:00:00Z | the day as written, whatever the offset: so programs write a date without a time |
| 9999-12-31 | no date: what several HR systems write for "no end" |

Full-width digits count as digits. Years from 1970 to 2199.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Literal

from server.people.local_time import zone

YEAR_FIRST, YEAR_LAST = 1970, 2199

_WITH_TIME = re.compile(
    r"(.+?)[T ](\d{1,2}):(\d{2})(?::(\d{2})(?:\.\d+)?)?(?: ?(?:(Z|[+-]\d{2}:?\d{2})|[AP]M))?", re.I
)
_YEAR_MONTH_DAY = re.compile(r"(\d{4})(?:-(\d{1,2})-|/(\d{1,2})/|\.(\d{1,2})\.)(\d{1,2})")
_COMPACT = re.compile(r"(\d{4})(\d{2})(\d{2})")
_CHINESE = re.compile(r"(\d{4}) ?年 ?(\d{1,2}) ?月 ?(\d{1,2}) ?[日号號]")
_DOTTED = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})")
_YEAR_AT_END = re.compile(r"(\d{1,2})([/-])(\d{1,2})\2(\d{4})")
_SHORT_YEAR = re.compile(r"\d{1,2}[./-]\d{1,2}[./-]\d{2}")
_SPREADSHEET_DAY = re.compile(r"\d{5}(?:\.\d+)?")
_TIME = re.compile(
    r"(上午|下午)?(\d{1,2})(?:(?::|[点點时時])(\d{2})?分?(?::(\d{2})(?:\.\d+)?)?)? ?([AP]M)?", re.IGNORECASE
)
_DAY_ZERO = date(1970, 1, 1).toordinal()


class UnreadableDate(ValueError):
    """Not a date, an impossible one, or one that can be read in two ways; the message says which."""


DayOrder = Literal["day-first", "month-first"]


def read_day(written: str, order: DayOrder | None = None, zone_name: str | None = None) -> int | None:
    """Days since 1970-01-01; None for an empty text or "no end". `order`: of dates that can be read in two
    ways. `zone_name`: whose day it is where a moment is written; without one moments are refused.
    Raises UnreadableDate."""
    text = unicodedata.normalize("NFKC", written).strip()
    if not text:
        return None
    timed = _WITH_TIME.fullmatch(text)
    year, month, day = _parts(timed[1] if timed else text, order)
    if (year, month, day) == (9999, 12, 31):
        return None
    if not YEAR_FIRST <= year <= YEAR_LAST:
        raise UnreadableDate(f"year {year} is not within {YEAR_FIRST} to {YEAR_LAST}")
    try:
        found = date(year, month, day)
    except ValueError:
        raise UnreadableDate(f"there is no day {year:04}-{month:02}-{day:02}") from None
    if timed is not None and timed[5]:
        found = _day_of_moment(found, int(timed[2]), int(timed[3]), int(timed[4] or 0), timed[5], zone_name)
    return found.toordinal() - _DAY_ZERO


def read_minute(written: str) -> int | None:
    """Minute of the day of a time as people write it: 17:30, 17:30:00, 5:30 PM, 17点30分, 17. None for an
    empty text; 24:00 is the end of the day, 23:59. Raises UnreadableDate."""
    text = unicodedata.normalize("NFKC", written).strip()
    if not text:
        return None
    found = _TIME.fullmatch(text)
    if not found:
        raise UnreadableDate("not a time of day: write it as 17:30")
    hour, minute = int(found[2]), int(found[3] or 0)
    late = (found[5] or "").lower() == "pm" or found[1] == "下午"
    early = (found[5] or "").lower() == "am" or found[1] == "上午"
    if (late or early) and hour == 12:
        hour = 0
    hour += 12 if late and hour < 12 else 0
    if (hour, minute) == (24, 0):
        return 24 * 60 - 1
    if hour > 23 or minute > 59:
        raise UnreadableDate(f"there is no time {hour}:{minute:02}")
    return hour * 60 + minute


def minute_text(minute: int) -> str:
    """HH:MM of a minute of the day."""
    return f"{minute // 60:02}:{minute % 60:02}"


def day_text(day: int) -> str:
    """ISO date of days since 1970-01-01."""
    return date.fromordinal(day + _DAY_ZERO).isoformat()


def _parts(text: str, order: DayOrder | None) -> tuple[int, int, int]:
    if found := _YEAR_MONTH_DAY.fullmatch(text):
        return int(found[1]), int(found[2] or found[3] or found[4]), int(found[5])
    if found := _COMPACT.fullmatch(text) or _CHINESE.fullmatch(text):
        return int(found[1]), int(found[2]), int(found[3])
    if found := _DOTTED.fullmatch(text):
        return int(found[3]), int(found[2]), int(found[1])
    if found := _YEAR_AT_END.fullmatch(text):
        return _without_guessing(int(found[1]), int(found[3]), int(found[4]), order)
    if _SHORT_YEAR.fullmatch(text):
        raise UnreadableDate("the year needs four digits")
    if _SPREADSHEET_DAY.fullmatch(text):
        raise UnreadableDate("this is a spreadsheet's day number: format the column as a date")
    raise UnreadableDate("not a date: write it as 2026-11-28")


def _day_of_moment(
    day: date, hour: int, minute: int, second: int, offset: str, zone_name: str | None
) -> date:
    if (hour, minute, second) == (0, 0, 0):
        return day
    try:
        moment = datetime(day.year, day.month, day.day, hour, minute, second, tzinfo=_offset(offset))
    except ValueError:
        raise UnreadableDate(f"there is no time {hour}:{minute:02}:{second:02}{offset}") from None
    if zone_name is None:
        raise UnreadableDate("a moment and no day: write the day alone")
    return moment.astimezone(zone(zone_name)).date()


def _offset(written: str) -> timezone:
    if written in {"Z", "z"}:
        return UTC
    east = timedelta(hours=int(written[1:3]), minutes=int(written[-2:]))
    return timezone(east if written[0] == "+" else -east)


def _without_guessing(first: int, second: int, year: int, order: DayOrder | None) -> tuple[int, int, int]:
    if order is not None and first <= 12 and second <= 12:
        return (year, second, first) if order == "day-first" else (year, first, second)
    if first <= 12 and second <= 12 and first != second:
        raise UnreadableDate(
            f"can be read in two ways, {year}-{second:02}-{first:02} or {year}-{first:02}-{second:02}: "
            "write the year first, or name the order in a mapping"
        )
    return (year, second, first) if second <= 12 else (year, first, second)
