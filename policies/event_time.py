"""An event's time, however its source wrote it."""

from __future__ import annotations

import datetime
from typing import Any, Final

_EPOCH: Final = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_SECONDS_BELOW: Final = 10**11
"""As seconds this is the year 5138; the same number of milliseconds is 1973."""


def milliseconds(found: Any) -> int | None:
    """Milliseconds since 1970 UTC. None: not a time.

    A number below 10^11 is seconds, below 10^14 milliseconds, below 10^17 microseconds, else nanoseconds;
    text is such a number, or ISO 8601, in UTC where it names no zone.
    """
    if isinstance(found, str):
        text = found.strip()
        try:
            return _of_number(float(text))
        except ValueError:
            pass
        try:
            at = datetime.datetime.fromisoformat(text)
        except ValueError:
            return None
        if at.tzinfo is None:
            at = at.replace(tzinfo=datetime.UTC)
        try:
            return (at - _EPOCH) // datetime.timedelta(milliseconds=1)
        except OverflowError:
            return None
    if isinstance(found, bool) or not isinstance(found, int | float):
        return None
    return _of_number(found)


def _of_number(number: float) -> int | None:
    size = abs(number)
    if not size < 10**20:
        return None
    if size < _SECONDS_BELOW:
        return round(number * 1000)
    if size < _SECONDS_BELOW * 1000:
        return round(number)
    return round(number / 1000 if size < _SECONDS_BELOW * 10**6 else number / 10**6)
