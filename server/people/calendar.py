"""Which days people work: Monday to Friday, or as the company's calendar says, with its holidays and the
working days that make up for them. One calendar for the company (`[people] calendar`), each day where the
person is.
"""

from __future__ import annotations

from datetime import date
from typing import Any, Literal

DayType = Literal["work", "off"]

_FRIDAY = 4
_WEEKDAY_OF_DAY_ZERO = 3  # 1970-01-01 was a Thursday; Monday is 0
_DAY_ZERO = date(1970, 1, 1).toordinal()
_DAYS_KEPT = 20_000


class UnknownCalendar(ValueError):
    """The message names the calendar, and those that are like it."""


class Calendar:
    """`name`: a country as ISO 3166 has it, with a part where it has holidays of its own: "CN", "DE-BE".
    Empty: Monday to Friday. Raises UnknownCalendar."""

    def __init__(self, name: str = "") -> None:
        self.name = name
        self._holidays = _holidays(name) if name else None
        self._types: dict[int, DayType] = {}

    def day_type(self, local_day: int) -> DayType:
        """Whether a local day (days since 1970-01-01) is a working day."""
        try:
            return self._types[local_day]
        except KeyError:
            if len(self._types) >= _DAYS_KEPT:
                self._types.clear()
            found = self._types[local_day] = self._look_up(local_day)
            return found

    def _look_up(self, local_day: int) -> DayType:
        known, ordinal = self._holidays, local_day + _DAY_ZERO
        if known is None or not 1 <= ordinal <= date.max.toordinal():
            return day_type(local_day)
        return "work" if known.is_working_day(date.fromordinal(ordinal)) else "off"


MONDAY_TO_FRIDAY = Calendar()


def day_type(local_day: int) -> DayType:
    """Monday to Friday."""
    return "work" if (local_day + _WEEKDAY_OF_DAY_ZERO) % 7 <= _FRIDAY else "off"


def _holidays(name: str) -> Any:
    import holidays  # noqa: PLC0415 - only where a calendar is set

    country, _, part = name.upper().partition("-")
    try:
        return holidays.country_holidays(country, subdiv=part or None)
    except NotImplementedError:
        known = holidays.list_supported_countries()
        parts = f"; its parts: {', '.join(known[country][:20])}" if known.get(country) else ""
        raise UnknownCalendar(
            f"{name!r} is no country (CN), nor a part of one (DE-BE), that is known{parts}"
        ) from None
