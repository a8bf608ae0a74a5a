"""How strange the running days of subjects become, over all activities: what `anomaly_days` holds.

Whenever an event moves a running day of an activity to the next step of the grid (activity_grid.py), what the
day holds then is noted. All that was noted is scored together, which costs a fraction: the activity's e
(analytics/anomaly_model.py), of which each activity keeps the highest of the day, and from those the day's
points; where a measure moved that is watched for drift, the slow points of the whole day. So neither batches
nor the interleaving of activities show; only where two agents feed one activity at once may their order.

What a day is measured against is taken when it is first noted, and again after an earlier day of the subject
changed, the machines where it was seen, or the days on which collectors are known to have run.

Days after the last working day are not scored: whatever is done then, rules say (decision 50).

A day that another model has scored, or none, is noted whole: evidence is of one model, points only rise.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

import numpy as np
from sqlalchemy import Connection

from analytics.anomaly_explanation import Subject, usual_amounts
from analytics.anomaly_model import AnomalyModel, Today
from analytics.calmed_day import Accepted
from analytics.drift_features import HISTORY_DAYS
from analytics.measures import ACTIVITIES
from analytics.panel import ActivityDays
from server.alerts.calming import accepted_of
from server.alerts.confirmed_days import confirmed_days
from server.detection.day_backgrounds import to_records
from server.detection.day_histories import (
    DAYS_READ,
    History,
    RanOn,
    capture,
    off_days,
    read_histories,
    watched,
    without,
)
from server.detection.day_scores import Judged, Running, Snapshot, score_snapshots
from server.enrich.enrichment import peer_group_of
from server.people.calendar import MONDAY_TO_FRIDAY, Calendar
from server.people.directory import PersonRecord
from server.pipeline.activity_history import activity_history
from server.pipeline.subject_activities import load_activities
from server.pipeline.subject_state import SubjectState
from server.retention import EVER

WAITING_MAX: Final = 2_048
"""So many snapshots are scored at the next opportunity; one event makes at most a few."""
DAYS_KEPT: Final = 20_000
"""Backgrounds: 60 MB."""
PLACES_KEPT: Final = 2_000_000
EXPLAINED_KEPT: Final = 512
"""Subjects with open alerts: 20 MB, and as much for each further day of theirs."""
_READ_AT_ONCE: Final = 500


class Surroundings(Protocol):
    """What memory knows beside the subject's state."""

    def watched_days(self, state: SubjectState) -> RanOn:
        """Of collectors on machines where the subject was seen."""

    def watched_anywhere(self) -> RanOn:
        """Of collectors on any machine."""

    def anomaly_weight(self, person: PersonRecord | None, day: int) -> float: ...

    @property
    def first_activity_day(self) -> int:
        """The oldest local day that counts."""

    def has_left(self, person: PersonRecord | None, day: int) -> bool:
        """Before this local day began."""


class AnomalyScoring:
    """With one model, or none."""

    def __init__(
        self,
        model: AnomalyModel | None,
        model_id: int | None,
        around: Surroundings,
        calendar: Calendar = MONDAY_TO_FRIDAY,
    ) -> None:
        self.model = model
        self.model_id = model_id
        self.calendar = calendar
        self._around = around
        self._waiting: list[Snapshot] = []
        self._noted: set[tuple[str, int]] = set()
        self._running: dict[str, dict[int, Running]] = {}
        self._newest = EVER
        """No running day is later."""
        self._days = 0
        self._places = 0
        self._explained: dict[str, dict[int, Subject]] = {}
        self.as_of: int | None = None
        """ms UTC: looking back, when the server took the events that are scored again. What was judged later
        calms nothing of theirs, as it did not then."""

    @property
    def is_full(self) -> bool:
        """`settle` is due."""
        return len(self._waiting) >= WAITING_MAX

    def note(
        self, state: SubjectState, activity: str, day: int, *, person: PersonRecord | None, slow: bool
    ) -> None:
        """The day as it stands, after it moved on the grid. `slow`: by a measure watched for drift."""
        activities = state.activities
        # In a look-back, what is older than its first day is only added to.
        if self.model is None or not activities.is_whole(day) or self._around.has_left(person, day):
            return
        running = self._known(state, day, peer_group_of(person))
        weight = self._around.anomaly_weight(person, day)
        here = {
            name: (row.amounts, row.places)
            for name in ACTIVITIES
            if (row := activities.days(name).get(day)) is not None
        }
        key = (state.subject, day)
        known = state.anomalies.get(day)
        is_first = key not in self._noted and (known is None or known.model_id != self.model_id)
        self._noted.add(key)
        last = list(here)[-1] if is_first else activity
        for name in here if is_first else (activity,):
            whole = here if name == last and (slow or is_first) else None
            self._waiting.append(Snapshot(running, state, name, *here[name], weight, whole, self.as_of))

    def _known(self, state: SubjectState, day: int, peer_group: str) -> Running:
        days = self._running.setdefault(state.subject, {})
        running = days.get(day)
        if running is None or running.peer_group != peer_group:
            captured = capture(
                state.activities,
                state.subject,
                day,
                self._around.watched_days(state),
                self._around.watched_anywhere(),
            )
            self._newest = max(self._newest, day)
            running = days[day] = Running(
                state.subject, day, self.calendar.day_type(day) == "off", peer_group, captured
            )
        return running

    def settle(self, connection: Connection) -> None:
        """Scores all that waits, into the states."""
        if self.model is None or not self._waiting:
            return
        waiting, self._waiting = self._waiting, []
        self._noted.clear()
        self._read(connection, self.model, waiting)
        score_snapshots(self.model, self.model_id, waiting, _accepted(connection, waiting))
        if self._days > DAYS_KEPT or self._places > PLACES_KEPT:
            self.forget_all()

    def _read(self, connection: Connection, model: AnomalyModel, waiting: Sequence[Snapshot]) -> None:
        """What those are measured against of whom it is not known yet."""
        new = {id(each.running): each.running for each in waiting if each.running.captured is not None}
        by_day: dict[int, list[Running]] = {}
        for running in new.values():
            by_day.setdefault(running.day, []).append(running)
        confirmed = confirmed_days(connection) if new else {}
        ordered = [running for _, runnings in sorted(by_day.items()) for running in runnings]
        for start in range(0, len(ordered), _READ_AT_ONCE):
            part = ordered[start : start + _READ_AT_ONCE]
            captured = [running.captured for running in part if running.captured is not None]
            histories = read_histories(connection, captured, confirmed, self._around.first_activity_day)
            self._know(model, part, histories)

    def _know(self, model: AnomalyModel, part: Sequence[Running], histories: Sequence[History]) -> None:
        for day in sorted({running.day for running in part}):
            rows = [row for row, running in enumerate(part) if running.day == day]
            history = _together([histories[row] for row in rows])
            off, off_today = off_days(self.calendar, day), self.calendar.day_type(day) == "off"
            known = model.known(history, off, off_today, [part[row].peer_group for row in rows])
            records = to_records(known, usual_amounts(history, off, off_today))
            for row, record in zip(rows, records, strict=True):
                part[row].know(record.tobytes(), records.dtype, histories[row].used)
                self._days += 1
                self._places += part[row].places

    def forget(self, subject: str, changed_day: int) -> None:
        """A day has changed: what later days are measured against is stale."""
        days = self._running.get(subject)
        if days is not None and any(day > changed_day for day in days):
            self._running[subject] = {day: running for day, running in days.items() if day <= changed_day}
        told = self._explained.get(subject)
        if told is not None and any(day >= changed_day for day in told):
            self._explained[subject] = {day: each for day, each in told.items() if day < changed_day}

    def known_since(self, changed_day: int) -> list[str]:
        """Subjects of which something is known that days up to this one say. A running day looks only at
        those before it, so where no later one runs these are few."""
        found = set(self._explained)
        if changed_day < self._newest:
            found.update(self._running)
        return sorted(found)

    def forget_subject(self, subject: str) -> None:
        """Its state is loaded anew, or it was seen on a further machine: other days count as watched."""
        self._running.pop(subject, None)
        self._explained.pop(subject, None)

    def forget_all(self) -> None:
        self._running.clear()
        self._explained.clear()
        self._newest = EVER
        self._days = self._places = 0

    def abandon(self) -> None:
        """What waits too: the batch that noted it has failed."""
        self.forget_all()
        self._waiting.clear()
        self._noted.clear()

    def explained(
        self, connection: Connection, state: SubjectState, day: int, *, person: PersonRecord | None
    ) -> Subject:
        """What a local day of the subject is explained from, as it is stored by now: after the batch was
        written. Needs no model. The same object until something of it changes."""
        peer_group, weight = peer_group_of(person), self._around.anomaly_weight(person, day)
        known = self._explained.get(state.subject, {}).get(day)
        if known is None or (known.peer_group, known.weight) != (peer_group, weight):
            if len(self._explained) >= EXPLAINED_KEPT:
                self._explained.clear()
            known = self._explain(connection, state, day, peer_group, weight)
            self._explained.setdefault(state.subject, {})[day] = known
        return known

    def _explain(
        self, connection: Connection, state: SubjectState, day: int, peer_group: str, weight: float
    ) -> Subject:
        subject = state.subject
        first = max(day - DAYS_READ - 1, self._around.first_activity_day)
        stored = load_activities(connection, [subject], first, until=day + 1)[subject]
        own, anywhere = self._around.watched_days(state), self._around.watched_anywhere()
        before = activity_history(stored, day, watched(own, day), watched(anywhere, day))
        days = HISTORY_DAYS + 1
        until = activity_history(
            stored, day + 1, watched(own, day + 1, days), watched(anywhere, day + 1, days), days=days
        )
        return Subject(
            history=without(before, confirmed_days(connection).get(subject, ()), day),
            off=off_days(self.calendar, day),
            today={name: Today(each.values[:, -1], each.seen[:, -1]) for name, each in until.items()},
            off_today=self.calendar.day_type(day) == "off",
            peer_group=peer_group,
            weight=weight,
        )

    def accepted(self, connection: Connection, state: SubjectState, day: int) -> tuple[Accepted, ...]:
        """What verdicts of harmless calm of a local day."""
        return accepted_of(connection, [state.subject], day).get(state.subject, ())


def _together(histories: Sequence[History]) -> dict[str, ActivityDays]:
    return {
        name: ActivityDays(
            np.concatenate([each.days[name].values for each in histories]),
            np.concatenate([each.days[name].seen for each in histories]),
        )
        for name in ACTIVITIES
    }


def _accepted(connection: Connection, waiting: Sequence[Snapshot]) -> dict[Judged, tuple[Accepted, ...]]:
    together: dict[tuple[int, int | None], set[str]] = {}
    for each in waiting:
        together.setdefault((each.running.day, each.as_of), set()).add(each.running.subject)
    return {
        (subject, day, until): accepted
        for (day, until), subjects in together.items()
        for subject, accepted in accepted_of(connection, sorted(subjects), day, until=until).items()
    }
