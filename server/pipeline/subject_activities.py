"""What a subject did by activity and day: rows of `activity_days`, loaded with the subject, written with the
batch.

Sums and sets over the subject's events, so neither order nor batches show. What was used for the first time
is not counted up but read off the sets (activity_history.py): an event that comes late needs no correction.
Of a set the PRINTS_MAX smallest numbers stay, which are the same whatever came first.

Columns `amounts` and `places` are JSON: [whole number, …] in the order of analytics/measures.py, and a list
of ascending 48-bit numbers for each of measuring.PLACE_KINDS ([[…], …]; [] where none was used).

What somebody is suspected to have done through accounts of others counts for the account's subject alone:
their own days stay what they did by their own accounts, and models know no others.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from analytics.measures import ACTIVITIES, VALUE_MAX
from server.pipeline.measuring import PLACE_KINDS, Measured, Prints
from server.store.column_types import WHOLE_MAX

PRINTS_MAX: Final = 100
"""Places of one kind, activity and day."""
_AMOUNTS: Final = msgspec.json.Decoder(tuple[int, ...])
_PLACES: Final = msgspec.json.Decoder(tuple[tuple[int, ...], ...])
_JSON: Final = msgspec.json.Encoder()


class ActivityDay(msgspec.Struct, gc=False):
    """One day of a subject and activity. `day_type`: when its first event came."""

    day_type: str
    amounts: tuple[int, ...]
    places: Prints = ()
    events: int = 0


ActivityPlace = tuple[str, int]
"""(activity, local day)."""


class SubjectActivities:
    """Mutable. `rows` are what the next commit has to write; `written` forgets them."""

    __slots__ = ("_days", "_dirty")

    def __init__(self, days: dict[str, dict[int, ActivityDay]] | None = None) -> None:
        self._days = {} if days is None else days
        self._dirty: set[ActivityPlace] = set()

    def days(self, activity: str) -> Mapping[int, ActivityDay]:
        """By local day. To be read only."""
        return self._days.get(activity, {})

    def first_day(self, since: int) -> int | None:
        """The first local day from `since` on of which anything is known."""
        return min((day for days in self._days.values() for day in days if day >= since), default=None)

    def add(self, found: Measured, day: int, day_type: str, prints: Prints = (), events: int = 1) -> None:
        """What one event, or several together, add."""
        activity, increments = found
        days = self._days.setdefault(activity, {})
        row = days.get(day)
        if row is None:
            row = days[day] = ActivityDay(day_type, (0,) * len(increments))
        row.amounts = tuple(
            [min(old + more, VALUE_MAX) for old, more in zip(row.amounts, increments, strict=True)]
        )
        row.events = min(row.events + events, WHOLE_MAX)
        if prints and prints != row.places:
            row.places = _united(row.places, prints)
        self._dirty.add((activity, day))

    def restore(self, activity: str, day: int, row: ActivityDay) -> None:
        """As it is stored."""
        if is_known(activity, row):
            self._days.setdefault(activity, {})[day] = row

    def before(self, day: int) -> SubjectActivities:
        """The same without this day and those after it, nothing to write."""
        return SubjectActivities(
            {
                activity: {each: row for each, row in days.items() if each < day}
                for activity, days in self._days.items()
            }
        )

    def keep(self, stored: SubjectActivities, days: Collection[int]) -> None:
        """Of these days, the rows that more events stand behind: these, or those that are stored."""
        for activity, rows in stored._days.items():
            own = self._days.setdefault(activity, {})
            for day in rows.keys() & set(days):
                if day not in own or own[day].events < rows[day].events:
                    own[day] = rows[day]
                    self._dirty.add((activity, day))

    def drop_before(self, day: int) -> None:
        """Late events of days that are past their end: neither kept nor written."""
        if min((d for _, d in self._dirty), default=day) >= day:
            return
        self._days = {
            activity: {d: row for d, row in days.items() if d >= day} for activity, days in self._days.items()
        }
        self._dirty = {place for place in self._dirty if place[1] >= day}

    def rows(self) -> Iterator[dict[str, Any]]:
        """As the table has them, without the subject."""
        for activity, day in self._dirty:
            row = self._days[activity][day]
            yield {
                "activity": activity,
                "day": day,
                "day_type": row.day_type,
                "amounts": _JSON.encode(row.amounts).decode(),
                "places": _JSON.encode(row.places).decode(),
                "events": row.events,
            }

    def written(self) -> None:
        self._dirty.clear()


def stored_day(day_type: str, amounts: str, places: str, events: int) -> ActivityDay:
    """A row of the table. Raises msgspec.DecodeError."""
    return ActivityDay(day_type, _AMOUNTS.decode(amounts), _PLACES.decode(places), events)


def is_known(activity: str, row: ActivityDay) -> bool:
    """Not of another registry, with more or fewer measures."""
    return (
        activity in ACTIVITIES
        and len(row.amounts) == len(ACTIVITIES[activity])
        and len(row.places) in (0, len(PLACE_KINDS[activity]))
    )


def _united(known: Prints, more: Sequence[Sequence[int]]) -> Prints:
    if not known:
        known = ((),) * len(more)
    return tuple(
        old if set(new) <= set(old) else tuple(sorted({*old, *new})[:PRINTS_MAX])
        for old, new in zip(known, more, strict=True)
    )
