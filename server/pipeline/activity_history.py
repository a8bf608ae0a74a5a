"""A subject's days by activity as arrays, as models are trained on them and score from them.

A place is new on a day when the subject did not use it for that activity on the NEW_AFTER_DAYS days before.
What a day says so depends on nothing but that day's and those days' events.

A day is seen when all collectors that feed the activity (SOURCES) ran on it, of those that ran on any day of
the range, and the subject was known by then: before the first day of which anything is known, be it a
newcomer's, or one before the server counted activities, nothing is known to be zero. A day with an event is
seen. Days of heartbeats are UTC's, those of subjects local: as near as it can be told.

A collector on an endpoint must have run where the subject was seen. One on a server sees whoever works
there: it must have run on any machine of the company. Where several such servers are and one is silent,
nobody can tell what is missing, and the day counts as seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from analytics.drift_features import HISTORY_DAYS
from analytics.measures import ACTIVITIES
from analytics.panel import ActivityDays, Counts, Flags
from server.pipeline.measuring import PLACE_KINDS, Prints
from server.pipeline.subject_activities import ActivityDay, SubjectActivities

NEW_AFTER_DAYS: Final = 60
_NEVER: Final = -(2**62)


class Source(msgspec.Struct, frozen=True):
    """Collectors that feed an activity. `own`: on endpoints. `company`: on servers. `or_company`: on servers
    where those on the subject's endpoints never ran."""

    own: frozenset[str] = frozenset()
    company: frozenset[str] = frozenset()
    or_company: frozenset[str] = frozenset()


SOURCES: Final[Mapping[str, Source]] = {
    "removable_storage": Source(own=frozenset({"removable_storage"})),
    "messaging": Source(own=frozenset({"uploads"})),
    "cloud": Source(own=frozenset({"uploads", "sync_folders"})),
    "mail": Source(company=frozenset({"mail"})),
    "web_upload": Source(own=frozenset({"uploads"})),
    "database": Source(company=frozenset({"mariadb", "postgresql"})),
    "files": Source(
        own=frozenset({"removable_storage"}), company=frozenset({"access_log", "export_folders"})
    ),
    "logins": Source(own=frozenset({"logins"}), or_company=frozenset({"logins"})),
    "application": Source(company=frozenset({"access_log"})),
    "code": Source(own=frozenset({"uploads"})),
    "printing": Source(company=frozenset({"printing"})),
    "screenshots": Source(own=frozenset({"screenshots"})),
}
FEEDING: Final = frozenset(
    channel for source in SOURCES.values() for channel in (*source.own, *source.company, *source.or_company)
)

ANYWHERE: Final = frozenset(
    channel for source in SOURCES.values() for channel in (*source.company, *source.or_company)
)
"""Of these those that see whoever works at their server."""

Watched = Mapping[str, Flags]
"""By collector, the days of the range on which it ran."""


class _Layout(msgspec.Struct, frozen=True):
    """Where a day's places stand among the measures of an activity. `new`: by kind. `used`: (measure, kind)
    of those that count all places of the day."""

    measures: int
    new: tuple[int, ...]
    used: tuple[tuple[int, int], ...]


def _layout(activity: str) -> _Layout:
    names = [measure.name for measure in ACTIVITIES[activity]]
    used = ((names.index("hosts"), 0),) if activity == "logins" else ()
    return _Layout(len(names), tuple(names.index(kind) for kind in PLACE_KINDS[activity]), used)


_LAYOUTS: Final = {activity: _layout(activity) for activity in ACTIVITIES}


def activity_history(
    activities: SubjectActivities,
    until_day: int,
    own: Watched,
    company: Watched,
    *,
    days: int = HISTORY_DAYS,
) -> dict[str, ActivityDays]:
    """Of one subject, by activity: arrays of one row, the `days` local days before `until_day`. own, company:
    of collectors on endpoints where the subject was seen, and on any machine."""
    first_day = until_day - days
    known_from = activities.first_day(first_day - NEW_AFTER_DAYS)
    found: dict[str, ActivityDays] = {}
    for activity in ACTIVITIES:
        rows = activities.days(activity)
        wanted = sorted(day for day in rows if first_day - NEW_AFTER_DAYS <= day < until_day)
        values, has_row = filled(activity, ((day, rows[day]) for day in wanted), first_day, days)
        seen = seen_days(
            activity, own, company, has_row, None if known_from is None else known_from - first_day
        )
        found[activity] = ActivityDays(values[np.newaxis], seen[np.newaxis])
    return found


def running_day(activities: SubjectActivities, activity: str, day: int) -> tuple[int, ...]:
    """What one local day adds up to by now, in the registry's order."""
    rows = activities.days(activity)
    wanted = sorted(each for each in rows if day - NEW_AFTER_DAYS <= each <= day)
    values, _ = filled(activity, ((each, rows[each]) for each in wanted), day, 1)
    return tuple(values[0].tolist())


def values_of(
    activity: str, amounts: Sequence[int], places: Prints, used: Sequence[NDArray[np.int64]]
) -> Counts:
    """(measures,) of a day. `used`: by kind, the places of the NEW_AFTER_DAYS days before."""
    layout = _LAYOUTS[activity]
    values: Counts = np.array(amounts, dtype=np.int64)
    if places:
        for measure, known, prints in zip(layout.new, used, places, strict=True):
            values[measure] = len(prints) - int(np.isin(prints, known).sum())
        for measure, kind in layout.used:
            values[measure] = len(places[kind])
    return values


def filled(
    activity: str, rows: Iterable[tuple[int, ActivityDay]], first_day: int, days: int
) -> tuple[Counts, Flags]:
    """(values (days, measures), days with a row (days,)). `rows`: (local day, row), oldest first, from
    NEW_AFTER_DAYS days before `first_day` on."""
    layout = _LAYOUTS[activity]
    values = np.zeros((days, layout.measures), dtype=np.int64)
    has_row = np.zeros(days, dtype=np.bool_)
    last_used: list[dict[int, int]] = [{} for _ in layout.new]
    for day, row in rows:
        place = day - first_day
        if place >= 0:
            values[place] = row.amounts
            has_row[place] = True
            if row.places:
                for measure, used, prints in zip(layout.new, last_used, row.places, strict=True):
                    is_new = (day - used.get(each, _NEVER) > NEW_AFTER_DAYS for each in prints)
                    values[place, measure] = sum(is_new)
                for measure, kind in layout.used:
                    values[place, measure] = len(row.places[kind])
        for used, prints in zip(last_used, row.places, strict=False):
            used.update(dict.fromkeys(prints, day))
    return values, has_row


def seen_days(activity: str, own: Watched, company: Watched, has_row: Flags, known_from: int | None) -> Flags:
    """Of the days of a range, those on which the activity was watched. `known_from`: the place of the first
    day of which anything is known of the subject; None: there is none."""
    source = SOURCES[activity]
    ran = [own[each] for each in source.own if each in own and own[each].any()]
    more = source.company if ran or not source.or_company else source.or_company
    ran += [company[each] for each in more if each in company and company[each].any()]
    seen = has_row.copy()
    if ran and known_from is not None:
        watched = np.logical_and.reduce(ran)
        watched[: max(0, known_from)] = False
        seen |= watched
    return seen


def flags(watched: Iterable[int], first_day: int, days: int) -> Flags:
    """Days as places of a range."""
    found = np.zeros(days, dtype=np.bool_)
    for day in watched:
        if 0 <= day - first_day < days:
            found[day - first_day] = True
    return found
