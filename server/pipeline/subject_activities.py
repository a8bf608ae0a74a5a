"""What a subject did by activity and day: rows of `activity_days`, loaded with the subject, written with the
batch.

Sums and sets over the subject's events, so neither order nor batches show. What was used for the first time
is not counted up but read off the sets (activity_history.py): an event that comes late needs no correction.
Of a set the PRINTS_MAX smallest numbers stay, which are the same whatever came first.

Columns `amounts` and `places` are JSON: [whole number, …] in the order of analytics/measures.py, and a list
of ascending 48-bit numbers for each of measuring.PLACE_KINDS ([[…], …]; [] where none was used).

In memory are the days that most events are of, from `since` on. What comes for an older day is kept apart and
put together with the stored row when it is written, under the subject's version like all else: sums and sets
can be, and a person's days of half a year would take a quarter of a megabyte.

What somebody is suspected to have done through accounts of others counts for the account's subject alone:
their own days stay what they did by their own accounts, and models know no others.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from sys import intern
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, select

from analytics.measures import ACTIVITIES, VALUE_MAX
from server.pipeline.measuring import PLACE_KINDS, Measured, Prints
from server.store.column_types import WHOLE_MAX
from server.store.tables import activity_days

_SUBJECTS_A_QUERY: Final = 500
NOT_LOADED: Final = 2**31
"""After all days."""
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
    """Mutable. `written` forgets what the last commit wrote. `since`: the local day from which on it knows
    what is stored."""

    __slots__ = ("_days", "_dirty", "_since", "alone_from", "whole_days")

    def __init__(
        self, since: int = NOT_LOADED, days: dict[str, dict[int, ActivityDay]] | None = None
    ) -> None:
        self._since = since
        self._days = {} if days is None else days
        self._dirty: set[ActivityPlace] = set()
        self.alone_from = since
        """From this local day on nothing is stored that counts and is not here."""
        self.whole_days: frozenset[int] = frozenset()
        """The same of older days, until what they are is written."""

    def days(self, activity: str) -> Mapping[int, ActivityDay]:
        """By local day. To be read only."""
        return self._days.get(activity, {})

    def first_day(self, since: int) -> int | None:
        """The first local day from `since` on of which anything is known."""
        return min((day for days in self._days.values() for day in days if day >= since), default=None)

    def is_whole(self, day: int) -> bool:
        """Whether all of the local day is here."""
        return day >= self.alone_from or day in self.whole_days

    def take_older(self, day: int, stored: SubjectActivities) -> None:
        """What is stored of a day that is not whole here."""
        for activity, rows in stored._days.items():
            row = rows.get(day)
            if row is not None:
                own = self._days.setdefault(activity, {})
                if day in own:
                    _add(row, own[day].amounts, own[day].places, own[day].events)
                own[day] = row
        self.whole_days |= {day}

    def add(self, found: Measured, day: int, day_type: str, prints: Prints = (), events: int = 1) -> None:
        """What one event, or several together, add."""
        activity, increments = found
        days = self._days.setdefault(activity, {})
        row = days.get(day)
        if row is None:
            row = days[day] = ActivityDay(day_type, (0,) * len(increments))
        _add(row, increments, prints, events)
        self._dirty.add((activity, day))

    def restore(self, activity: str, day: int, row: ActivityDay) -> None:
        """As it is stored."""
        if is_known(activity, row):
            self._days.setdefault(activity, {})[day] = row

    def before(self, day: int) -> SubjectActivities:
        """The same without this day and those after it, nothing to write."""
        days = {
            activity: {each: row for each, row in rows.items() if each < day}
            for activity, rows in self._days.items()
        }
        earlier = SubjectActivities(self._since, days)
        earlier.alone_from = min(self.alone_from, day)
        return earlier

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

    def older_days(self) -> set[int]:
        """Of what is to be written, the days of which it does not know what is stored."""
        return {day for _, day in self._dirty if day < self._since and day not in self.whole_days}

    def rows(self, stored: SubjectActivities) -> Iterator[dict[str, Any]]:
        """What is to be written, as the table has it, without the subject. `stored`: of `older_days`."""
        for activity, day in self._dirty:
            row = self._days[activity][day]
            known = day >= self._since or day in self.whole_days
            older = None if known else stored.days(activity).get(day)
            if older is not None:
                _add(older, row.amounts, row.places, row.events)
                row = older
            yield {
                "activity": activity,
                "day": day,
                "day_type": row.day_type,
                "amounts": _JSON.encode(row.amounts).decode(),
                "places": _JSON.encode(row.places).decode(),
                "events": row.events,
            }

    def written(self) -> None:
        older = {day for _, day in self._dirty if day < self._since} | self.whole_days
        if older:
            self._days = {
                activity: {day: row for day, row in days.items() if day not in older}
                for activity, days in self._days.items()
            }
            self.whole_days = frozenset()
        self._dirty.clear()


def load_activities(
    connection: Connection,
    subjects: Sequence[str],
    since: int,
    *,
    until: int | None = None,
    days: Collection[int] = (),
) -> dict[str, SubjectActivities]:
    """Of all these subjects, empty for new ones. since, until: local days, the latter not itself. `days`:
    only these."""
    found = {subject: SubjectActivities(since) for subject in subjects}
    row = activity_days.c
    query = select(activity_days).where(row.day >= since)
    if until is not None:
        query = query.where(row.day < until)
    if days:
        query = query.where(row.day.in_(sorted(days)))
    for start in range(0, len(subjects), _SUBJECTS_A_QUERY):
        part = subjects[start : start + _SUBJECTS_A_QUERY]
        for subject, activity, day, *rest in connection.execute(query.where(row.subject.in_(part))):
            found[subject].restore(activity, day, stored_day(*rest))
    return found


def activity_rows(
    connection: Connection, activities: Mapping[str, SubjectActivities]
) -> list[dict[str, Any]]:
    """What is to be written of these subjects, as the table has it. In the transaction that writes it, with
    the subjects' versions raised."""
    days = {subject: older for subject, each in activities.items() if (older := each.older_days())}
    stored: dict[str, SubjectActivities] = {}
    if days:
        oldest = min(map(min, days.values()))
        stored = load_activities(connection, sorted(days), oldest, days=set().union(*days.values()))
    return [
        {"subject": subject} | row
        for subject, each in activities.items()
        for row in each.rows(stored.get(subject, _NOTHING))
    ]


def stored_day(day_type: str, amounts: str, places: str, events: int) -> ActivityDay:
    """A row of the table. Raises msgspec.DecodeError."""
    return ActivityDay(intern(day_type), _AMOUNTS.decode(amounts), _PLACES.decode(places), events)


def is_known(activity: str, row: ActivityDay) -> bool:
    """Not of another registry, with more or fewer measures."""
    return (
        activity in ACTIVITIES
        and len(row.amounts) == len(ACTIVITIES[activity])
        and len(row.places) in (0, len(PLACE_KINDS[activity]))
    )


def _add(row: ActivityDay, increments: tuple[int, ...], prints: Prints, events: int) -> None:
    row.amounts = tuple(
        [min(old + more, VALUE_MAX) for old, more in zip(row.amounts, increments, strict=True)]
    )
    row.events = min(row.events + events, WHOLE_MAX)
    if prints and prints != row.places:
        row.places = _united(row.places, prints)


def _united(known: Prints, more: Sequence[Sequence[int]]) -> Prints:
    if not known:
        known = ((),) * len(more)
    return tuple(
        old if set(new) <= set(old) else tuple(sorted({*old, *new})[:PRINTS_MAX])
        for old, new in zip(known, more, strict=True)
    )


_NOTHING: Final = SubjectActivities()
