"""What was known of a subject when a day of theirs was first scored: its days before, by activity.

What memory knows by itself (the last days; in a look-back all from its first day on) is taken as it stands
then, so that what comes later of the same batch does not show. The rest lies in the database, and is read for
many subjects at once.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from analytics.drift_features import HISTORY_DAYS
from analytics.measures import ACTIVITIES
from analytics.panel import ActivityDays, Flags
from server.people.calendar import Calendar
from server.pipeline.activity_history import NEW_AFTER_DAYS, Watched, activity_history, flags
from server.pipeline.measuring import PLACE_KINDS
from server.pipeline.subject_activities import ActivityDay, SubjectActivities, load_activities

DAYS_READ: Final = HISTORY_DAYS + NEW_AFTER_DAYS
RanOn = Mapping[str, Collection[int]]
"""By collector, UTC days."""
Used = dict[str, tuple[NDArray[np.int64], ...]]
"""Places of the NEW_AFTER_DAYS days before, by activity and kind, ascending."""


class Captured(msgspec.Struct, frozen=True, eq=False):
    """Of one subject and local day. `rows`: of the days that memory alone tells of. own, anywhere: where the
    subject was seen, and on any machine."""

    subject: str
    day: int
    rows: dict[str, dict[int, ActivityDay]]
    alone_from: int
    whole: frozenset[int]
    own: Watched
    anywhere: Watched


class History(msgspec.Struct, frozen=True, eq=False):
    """One subject's days before: arrays of one row, oldest first."""

    days: dict[str, ActivityDays]
    used: Used


def capture(activities: SubjectActivities, subject: str, day: int, own: RanOn, anywhere: RanOn) -> Captured:
    first = day - DAYS_READ
    rows = {}
    for activity in ACTIVITIES:
        there = activities.days(activity)
        rows[activity] = {
            each: ActivityDay(row.day_type, row.amounts, row.places, row.events)
            for each, row in there.items()
            if first <= each < day and activities.is_whole(each)
        }
    return Captured(
        subject,
        day,
        rows,
        activities.alone_from,
        activities.whole_days,
        watched(own, day),
        watched(anywhere, day),
    )


def watched(ran_on: RanOn, until_day: int, days: int = HISTORY_DAYS) -> dict[str, Flags]:
    return {collector: flags(on, until_day - days, days) for collector, on in ran_on.items()}


def read_histories(
    connection: Connection,
    captured: Sequence[Captured],
    confirmed: Mapping[str, Collection[int]],
    first_day: int,
) -> list[History]:
    """In their order. `confirmed`: days of confirmed leaks by subject (confirmed_days.py). `first_day`: older
    ones do not count, though they may be stored still."""
    first = max(min(each.day for each in captured) - DAYS_READ, first_day)
    last = max(min(each.day, each.alone_from) for each in captured)
    subjects = sorted({each.subject for each in captured})
    stored = load_activities(connection, subjects, first, until=last)
    return [_history(each, stored[each.subject], confirmed.get(each.subject, ())) for each in captured]


def _history(captured: Captured, stored: SubjectActivities, confirmed: Collection[int]) -> History:
    first, day = captured.day - DAYS_READ, captured.day
    together: dict[str, dict[int, ActivityDay]] = {}
    for activity in ACTIVITIES:
        older = {
            each: row
            for each, row in stored.days(activity).items()
            if first <= each < min(day, captured.alone_from) and each not in captured.whole
        }
        together[activity] = older | captured.rows[activity]
    activities = SubjectActivities(first, together)
    days = activity_history(activities, day, captured.own, captured.anywhere)
    return History(without(days, confirmed, day), _used(together, day))


def without(
    days: dict[str, ActivityDays], confirmed: Collection[int], until_day: int
) -> dict[str, ActivityDays]:
    """Days of a confirmed leak stand as missing: nobody's leak becomes their usual."""
    places = [place for day in confirmed if 0 <= (place := day - until_day + HISTORY_DAYS) < HISTORY_DAYS]
    for each in days.values():
        each.seen[:, places] = False
        each.values[~each.seen] = 0
    return days


def off_days(calendar: Calendar, until_day: int, days: int = HISTORY_DAYS) -> Flags:
    """Of the days before, which are off."""
    each = range(until_day - days, until_day)
    return np.array([calendar.day_type(day) == "off" for day in each], dtype=np.bool_)


def _used(rows: Mapping[str, Mapping[int, ActivityDay]], day: int) -> Used:
    found: Used = {}
    for activity, kinds in PLACE_KINDS.items():
        if not kinds:
            continue
        recent = [row.places for each, row in rows[activity].items() if each >= day - NEW_AFTER_DAYS]
        found[activity] = tuple(
            np.array(sorted({each for places in recent if places for each in places[kind]}), dtype=np.int64)
            for kind in range(len(kinds))
        )
    return found
