"""All subjects' days by activity, as models are trained on them: read from the database one activity at a
time, so that a large company fits in memory.

A panel reads from the connection that it was made with, as long as it is used: all activities are of one
snapshot.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from functools import lru_cache
from typing import Final

import numpy as np
from sqlalchemy import Connection, func, select

from analytics.activity_peers import group_name
from analytics.drift_features import HISTORY_DAYS
from analytics.measures import ACTIVITIES
from analytics.panel import ActivityDays, Flags, Panel
from server.people.company import load_company
from server.people.pseudonyms import person_subject
from server.pipeline.activity_history import FEEDING, NEW_AFTER_DAYS, SOURCES, filled, seen_days
from server.pipeline.subject_activities import ActivityDay, is_known, stored_day
from server.retention import EVER
from server.store.tables import activity_days, collector_days, people, subject_agents

SUBJECTS_A_QUERY: Final = 500
_DAY_ZERO: Final = date(1970, 1, 1).toordinal()
_ROWS_AT_ONCE: Final = 10_000


def activity_panel(
    connection: Connection,
    until_day: int,
    *,
    days: int = HISTORY_DAYS,
    missing: Mapping[str, Collection[int]] | None = None,
    since: int = EVER,
) -> Panel:
    """The `days` local days before `until_day` of all subjects of which anything is known. `missing`: local
    days by subject that nobody's usual may learn from. `since`: the oldest local day that counts."""
    stored = _Stored(connection, until_day - days, days, missing or {}, since)
    named = select(people.c.id, people.c.department, people.c.job_role)
    groups = {
        person_subject(row.id): group_name(row.department, row.job_role) for row in connection.execute(named)
    }
    calendar = load_company(connection).calendar
    return Panel(
        subjects=stored.subjects,
        peer_groups=[groups.get(subject, "") for subject in stored.subjects],
        first_day=stored.first_day + _DAY_ZERO,
        day_types=[calendar.day_type(stored.first_day + place) for place in range(days)],
        load=stored.load,
    )


class _Stored:
    def __init__(
        self,
        connection: Connection,
        first_day: int,
        days: int,
        missing: Mapping[str, Collection[int]],
        since: int,
    ) -> None:
        self._connection = connection
        self.first_day = first_day
        self._since = max(first_day - NEW_AFTER_DAYS, since)
        self._days = days
        self._missing = missing
        row = activity_days.c
        within = (row.day >= self._since) & (row.day < first_day + days)
        known = (
            select(row.subject, func.min(row.day)).where(within).group_by(row.subject).order_by(row.subject)
        )
        found = connection.execute(known).all()
        self.subjects: Sequence[str] = [subject for subject, _ in found]
        self._known_from = [day - first_day for _, day in found]
        self._agents = self._seen_on()
        self._watched = lru_cache(len(FEEDING))(self._watched_days)

    def load(self, activity: str) -> ActivityDays:
        values = np.zeros((len(self.subjects), self._days, len(ACTIVITIES[activity])), dtype=np.int64)
        seen = np.zeros((len(self.subjects), self._days), dtype=np.bool_)
        source = SOURCES[activity]
        company = {name: self._anywhere(name) for name in source.company | source.or_company}
        for start in range(0, len(self.subjects), SUBJECTS_A_QUERY):
            part = self.subjects[start : start + SUBJECTS_A_QUERY]
            rows = self._rows(activity, part)
            for number, subject in enumerate(part, start):
                own = {name: self._at(subject, name) for name in source.own}
                filling = filled(activity, rows.get(subject, ()), self.first_day, self._days)
                values[number], has_row = filling
                seen[number] = seen_days(activity, own, company, has_row, self._known_from[number])
                for day in self._missing.get(subject, ()):
                    if 0 <= day - self.first_day < self._days:
                        seen[number, day - self.first_day] = False
        return ActivityDays(values, seen)

    def _rows(self, activity: str, part: Sequence[str]) -> dict[str, list[tuple[int, ActivityDay]]]:
        row = activity_days.c
        query = (
            select(row.subject, row.day, row.day_type, row.amounts, row.places, row.events)
            .where(
                row.subject.in_(part),
                row.activity == activity,
                row.day >= self._since,
                row.day < self.first_day + self._days,
            )
            .order_by(row.subject, row.day)
        )
        found: dict[str, list[tuple[int, ActivityDay]]] = {}
        for subject, day, *rest in self._connection.execute(query):
            stored = stored_day(*rest)
            if is_known(activity, stored):
                found.setdefault(subject, []).append((day, stored))
        return found

    def _seen_on(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        query = select(subject_agents.c.subject, subject_agents.c.agent)
        for subject, agent in self._connection.execute(query):
            found.setdefault(subject, []).append(agent)
        return found

    def _at(self, subject: str, collector: str) -> Flags:
        """Where the subject was seen."""
        watched = self._watched(collector)
        ran = [watched[agent] for agent in self._agents.get(subject, ()) if agent in watched]
        return np.logical_or.reduce(ran) if ran else np.zeros(self._days, dtype=np.bool_)

    def _anywhere(self, collector: str) -> Flags:
        ran = list(self._watched(collector).values())
        return np.logical_or.reduce(ran) if ran else np.zeros(self._days, dtype=np.bool_)

    def _watched_days(self, collector: str) -> dict[str, Flags]:
        """By agent."""
        row = collector_days.c
        query = (
            select(row.agent, row.day)
            .where(
                row.collector == collector,
                row.day >= self.first_day,
                row.day < self.first_day + self._days,
            )
            .execution_options(yield_per=_ROWS_AT_ONCE)
        )
        found: dict[str, Flags] = {}
        for agent, day in self._connection.execute(query):
            if agent not in found:
                found[agent] = np.zeros(self._days, dtype=np.bool_)
            found[agent][day - self.first_day] = True
        return found
