"""The hours in which a company works, where each person is. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable

from server.people.calendar import DayType
from server.people.local_time import local_day_and_minute

_HOURS = re.compile(r"([01]\d|2[0-3]):(00|15|30|45)-([01]\d|2[0-4]):(00|15|30|45)")
_SLOT_MS = 15 * 60 * 1000
_SLOTS_KEPT = 200_000
_DAY_MINUTES = 1440


class WorkingHours:
    """`text`: "08:00-19:00", in quarters of an hour, the end exclusive; what ends before it begins goes over
    midnight, and belongs to the day on which it began. `day_type`: of a local day. Raises ValueError."""

    def __init__(self, text: str, day_type: Callable[[int], DayType]) -> None:
        self._first, self._end = parse_hours(text)
        self._day_type = day_type
        self._known: dict[tuple[str, int], bool] = {}

    def is_off(self, time_zone: str, time_ms: int) -> bool:
        """Whether nobody there is supposed to work: outside these hours, or on a day off."""
        slot = (time_zone, time_ms // _SLOT_MS)
        found = self._known.get(slot)
        if found is None:
            if len(self._known) >= _SLOTS_KEPT:
                self._known.clear()
            found = self._known[slot] = self._look_up(*local_day_and_minute(time_zone, time_ms))
        return found

    def _look_up(self, day: int, minute: int) -> bool:
        if self._first < self._end:
            return not self._first <= minute < self._end or self._day_type(day) == "off"
        if minute < self._end:
            return self._day_type(day - 1) == "off"
        return minute < self._first or self._day_type(day) == "off"


def parse_hours(text: str) -> tuple[int, int]:
    """(first, end), in minutes of the day. Raises ValueError."""
    found = _HOURS.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not like 08:00-19:00, in quarters of an hour")
    first, end = (int(found[n]) * 60 + int(found[n + 1]) for n in (1, 3))
    if end > _DAY_MINUTES or first == end:
        raise ValueError(f"{text!r} holds no hours, or more than a day has")
    return first, end
