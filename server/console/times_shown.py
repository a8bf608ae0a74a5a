"""Times as people read them: relative or in the viewer's zone, with UTC on hover."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Final
from zoneinfo import ZoneInfo

from markupsafe import Markup

from server.console.phrases import Language, phrase

MINUTE: Final = 60_000
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
_MONTHS: Final = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]


def when(at: int | None, now: int, zone: ZoneInfo, language: Language) -> Markup:
    """A <time>: how long ago, or the day where that is longer than six days; at, now: ms UTC."""
    if at is None:
        return Markup("–")
    ago = now - at
    if -MINUTE < ago < MINUTE:
        words = phrase("just now", language)
    elif 0 < ago < 6 * DAY:
        words = phrase("{span} ago", language, span=span(ago, language))
    elif -6 * DAY < ago < 0:
        words = phrase("in {span}", language, span=span(-ago, language))
    else:
        return _time(at, day(datetime.fromtimestamp(at / 1000, zone).date(), language), zone)
    return _time(at, words, zone, is_relative=True)


def moment(at: int | None, zone: ZoneInfo, language: Language) -> Markup:
    """A <time> with day and time of the day."""
    if at is None:
        return Markup("–")
    local = datetime.fromtimestamp(at / 1000, zone)
    return _time(at, f"{day(local.date(), language)} {local:%H:%M}", zone)


def second(at: int, zone: ZoneInfo, language: Language) -> Markup:
    """A <time> of day and second, for rows of events."""
    local = datetime.fromtimestamp(at / 1000, zone)
    date_ = f"{local.month}月{local.day}日" if language == "zh" else f"{local.day} {_MONTHS[local.month - 1]}"
    return _time(at, f"{date_} {local:%H:%M:%S}", zone)


def day(date_: date | None, language: Language) -> str:
    """`26 Nov 2026`, or `2026年11月26日`."""
    if date_ is None:
        return "–"
    if language == "zh":
        return f"{date_.year}年{date_.month}月{date_.day}日"
    return f"{date_.day} {_MONTHS[date_.month - 1]} {date_.year}"


def span(ms: int, language: Language) -> str:
    """The greatest whole unit: `27 min`, `3 h`, `6 d`."""
    if ms < MINUTE:
        return phrase("{n} s", language, n=max(0, ms) // 1000)
    if ms < HOUR:
        return phrase("{n} min", language, n=ms // MINUTE)
    if ms < 2 * DAY:
        return phrase("{n} h", language, n=ms // HOUR)
    return phrase("{n} d", language, n=ms // DAY)


def _time(at: int, words: str, zone: ZoneInfo, *, is_relative: bool = False) -> Markup:
    """`is_relative`: times.js says it anew while the page is open."""
    utc = datetime.fromtimestamp(at / 1000, UTC)
    local = datetime.fromtimestamp(at / 1000, zone)
    return Markup('<time datetime="{}"{} title="{} · {} UTC">{}</time>').format(
        utc.isoformat(timespec="seconds"),
        Markup(" data-relative") if is_relative else "",
        local.strftime("%Y-%m-%d %H:%M:%S %Z"),
        utc.strftime("%Y-%m-%d %H:%M:%S"),
        words,
    )
