"""A company's days as the anomaly models take them (activity_panel.py), and who weighs how much on each.

Days are local ones; the last is one that is over in every time zone. Days of a leak that a person confirmed
stand as missing, for whoever did it and for whoever's account it was: nobody's leak becomes their usual.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from analytics.drift_features import HISTORY_DAYS
from analytics.measures import ACTIVITIES
from analytics.panel import ActivityDays, Counts, Flags, Floats, Panel
from analytics.risk import notice_weights
from event_schema.leaver_fields import PersonStatus
from server.alerts.confirmed_days import confirmed_days
from server.people.directory import Directory, load_directory
from server.people.pseudonyms import person_subject
from server.retention import EVER
from server.training.activity_panel import activity_panel

BLOCK: Final = 2_000
"""Subjects whose activities stand in memory all at once: a hundred megabytes."""
_DAY_MS: Final = 86_400_000
_FURTHEST_WEST_MS: Final = 12 * 3_600_000
"""UTC-12: where every day ends last."""
DAY_ZERO: Final = date(1970, 1, 1).toordinal()


class CompanyDays(msgspec.Struct, frozen=True, eq=False):
    """`panel` reads from the connection that all was made with."""

    panel: Panel
    directory: Directory

    @property
    def first_day(self) -> int:
        """Local, since 1970-01-01."""
        return self.panel.first_day - DAY_ZERO

    def weights(self, last: int) -> Floats:
        """(subjects, days): how much more likely a leak is before anything was seen, by who is on notice on
        each of the last so many days; 1 on those before."""
        panel = self.panel
        found = np.ones((len(panel.subjects), panel.days))
        row_of = {subject: row for row, subject in enumerate(panel.subjects)}
        everybody = list(self.directory.people())
        for index in range(max(panel.days - last, 0), panel.days):
            day = self.first_day + index
            on_notice = [
                person.id
                for person in everybody
                if self.directory.status_on(person, day)[0] is PersonStatus.NOTICE
            ]
            noticed, others = notice_weights(len(on_notice) / len(everybody) if everybody else 0.0)
            found[:, index] = others
            rows = [row_of.get(person_subject(person_id)) for person_id in on_notice]
            found[[row for row in rows if row is not None], index] = noticed
        return found


class LoadedDays(msgspec.Struct, frozen=True, eq=False):
    """A company's days apart from the database, in little memory: most people do few things on few days."""

    subjects: tuple[str, ...]
    peer_groups: tuple[str, ...]
    first_day: int
    off: Flags
    weights: Floats
    """(subjects, days)."""
    activities: Mapping[str, _Sparse]

    def blocks(self) -> Iterator[tuple[slice, dict[str, ActivityDays]]]:
        """All subjects with all activities, some at a time."""
        for start in range(0, len(self.subjects), BLOCK):
            rows = slice(start, min(start + BLOCK, len(self.subjects)))
            yield rows, {name: each.dense(rows) for name, each in self.activities.items()}


class _Sparse(msgspec.Struct, frozen=True, eq=False):
    """Of the days with anything: row (ascending), day, values."""

    rows: NDArray[np.intp]
    days: NDArray[np.intp]
    values: Counts
    seen: Flags

    def dense(self, rows: slice) -> ActivityDays:
        first, last = np.searchsorted(self.rows, [rows.start, rows.stop])
        seen = self.seen[rows]
        values = np.zeros((*seen.shape, self.values.shape[1]), dtype=np.int64)
        values[self.rows[first:last] - rows.start, self.days[first:last]] = self.values[first:last]
        return ActivityDays(values, seen)


def days_over(now: int) -> int:
    """The first local day that may still run somewhere. now: ms UTC."""
    return (now - _FURTHEST_WEST_MS) // _DAY_MS


def company_days(
    connection: Connection, *, end: int, days: int = HISTORY_DAYS, since: int = EVER
) -> CompanyDays:
    """The `days` before local day `end`, of all of whom anything is known. `since`: the oldest local day that
    counts."""
    panel = activity_panel(connection, end, days=days, missing=confirmed_days(connection), since=since)
    return CompanyDays(panel, load_directory(connection))


def loaded_days(company: CompanyDays, weighed: int) -> LoadedDays:
    """All of it; `weighed`: of so many last days it is asked who was on notice."""
    panel = company.panel
    activities = {}
    for name in ACTIVITIES:
        loaded = panel.activity(name)
        rows, days = np.nonzero(loaded.values.any(axis=2))
        activities[name] = _Sparse(rows, days, loaded.values[rows, days], loaded.seen)
    return LoadedDays(
        tuple(panel.subjects),
        tuple(panel.peer_groups),
        company.first_day,
        panel.off,
        company.weights(weighed),
        activities,
    )
