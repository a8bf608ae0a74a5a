"""Days (since 1970-01-01) as charts write them, and where ticks of an axis of days stand. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Final

from server.console.charts.svg import Text

DAYS_MAX: Final = 400
"""More days are not drawn; the latest are."""
_DAY_ZERO: Final = date(1970, 1, 1).toordinal()
_FIRST, _LAST = 1 - _DAY_ZERO, date.max.toordinal() - _DAY_ZERO
_MONDAY_OFFSET: Final = 3
_LABELS_MAX: Final = 14


def date_of(day: int) -> date:
    """Days that no calendar has count as its first or last."""
    return date.fromordinal(min(max(day, _FIRST), _LAST) + _DAY_ZERO)


def weekday_of(day: int) -> int:
    """0 is Monday."""
    return (day + _MONDAY_OFFSET) % 7


def short_day(text: Text, day: int) -> str:
    """28 Oct."""
    when = date_of(day)
    months = (
        text("{d} Jan", d=when.day),
        text("{d} Feb", d=when.day),
        text("{d} Mar", d=when.day),
        text("{d} Apr", d=when.day),
        text("{d} May", d=when.day),
        text("{d} Jun", d=when.day),
        text("{d} Jul", d=when.day),
        text("{d} Aug", d=when.day),
        text("{d} Sep", d=when.day),
        text("{d} Oct", d=when.day),
        text("{d} Nov", d=when.day),
        text("{d} Dec", d=when.day),
    )
    return months[when.month - 1]


def weekday_text(text: Text, weekday: int) -> str:
    """Mon; 0 is Monday."""
    names = (text("Mon"), text("Tue"), text("Wed"), text("Thu"), text("Fri"), text("Sat"), text("Sun"))
    return names[weekday % 7]


def day_title(text: Text, day: int) -> str:
    """Wed 28 Oct."""
    return f"{weekday_text(text, weekday_of(day))} {short_day(text, day)}"


def ticks(first: int, last: int) -> Iterator[int]:
    """Mondays, every so many of them that their words do not meet."""
    mondays = [day for day in range(first, last + 1) if weekday_of(day) == 0]
    step = max(1, -(-len(mondays) // _LABELS_MAX))
    # Counted from the latest, so that the end of the axis always has one.
    yield from reversed(mondays[::-1][::step])
