"""Days (since 1970-01-01) as charts write them, and where ticks of an axis of days stand. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from typing import Final

from server.console.charts.svg import Text

DAYS_MAX: Final = 400
"""More days are not drawn; the latest are."""
_DAY_ZERO: Final = date(1970, 1, 1).toordinal()
_FIRST, _LAST = 1 - _DAY_ZERO, date.max.toordinal() - _DAY_ZERO
_MONDAY_OFFSET: Final = 3
_LABELS_MAX: Final = 14


_IN_MONTH: Final[tuple[Callable[[Text, int], str], ...]] = (
    lambda text, d: text("{d} Jan", d=d),
    lambda text, d: text("{d} Feb", d=d),
    lambda text, d: text("{d} Mar", d=d),
    lambda text, d: text("{d} Apr", d=d),
    lambda text, d: text("{d} May", d=d),
    lambda text, d: text("{d} Jun", d=d),
    lambda text, d: text("{d} Jul", d=d),
    lambda text, d: text("{d} Aug", d=d),
    lambda text, d: text("{d} Sep", d=d),
    lambda text, d: text("{d} Oct", d=d),
    lambda text, d: text("{d} Nov", d=d),
    lambda text, d: text("{d} Dec", d=d),
)
_WEEKDAYS: Final[tuple[Callable[[Text], str], ...]] = (
    lambda text: text("Mon"),
    lambda text: text("Tue"),
    lambda text: text("Wed"),
    lambda text: text("Thu"),
    lambda text: text("Fri"),
    lambda text: text("Sat"),
    lambda text: text("Sun"),
)


def date_of(day: int) -> date:
    """Days that no calendar has count as its first or last."""
    return date.fromordinal(min(max(day, _FIRST), _LAST) + _DAY_ZERO)


def weekday_of(day: int) -> int:
    """0 is Monday."""
    return (day + _MONDAY_OFFSET) % 7


def short_day(text: Text, day: int) -> str:
    """28 Oct."""
    when = date_of(day)
    return _IN_MONTH[when.month - 1](text, when.day)


def weekday_text(text: Text, weekday: int) -> str:
    """Mon; 0 is Monday."""
    return _WEEKDAYS[weekday % 7](text)


def day_title(text: Text, day: int) -> str:
    """Wed 28 Oct."""
    return f"{weekday_text(text, weekday_of(day))} {short_day(text, day)}"


def ticks(first: int, last: int) -> Iterator[int]:
    """Mondays, every so many of them that their words do not meet."""
    mondays = [day for day in range(first, last + 1) if weekday_of(day) == 0]
    step = max(1, -(-len(mondays) // _LABELS_MAX))
    # Counted from the latest, so that the end of the axis always has one.
    yield from reversed(mondays[::-1][::step])
