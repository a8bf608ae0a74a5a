"""Which days people work. Monday to Friday until a company calendar with holidays is loaded."""

from __future__ import annotations

from typing import Literal

DayType = Literal["work", "off"]

_FRIDAY = 4
_WEEKDAY_OF_DAY_ZERO = 3  # 1970-01-01 was a Thursday; Monday is 0


def day_type(local_day: int) -> DayType:
    """Whether a local day (days since 1970-01-01) is a working day."""
    return "work" if (local_day + _WEEKDAY_OF_DAY_ZERO) % 7 <= _FRIDAY else "off"
