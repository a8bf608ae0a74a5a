"""Scores snapshots of running days, many at once, into the days that anomaly_day.py describes.

Snapshots of a day count in the order in which they were taken: that decides which family a day belongs to
when its points first count (analytics/risk.py COUNTS_FROM). Numbers are rounded, so that the last bit
of a sum does not show.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from analytics.anomaly_model import AnomalyModel, Known, Today
from analytics.calmed_day import Accepted, calmed_values
from analytics.drift_features import DRIFT_DAYS
from analytics.measures import ACTIVITIES, SLOW
from analytics.panel import Counts, Floats
from analytics.risk import COUNTS_FROM
from server.detection.activity_families import FAMILIES
from server.detection.day_backgrounds import Records, activity_of, drift_of, group_of, usual_of
from server.detection.day_histories import Captured, Used
from server.pipeline.activity_history import values_of
from server.pipeline.anomaly_day import AnomalyDay
from server.pipeline.measuring import Prints
from server.pipeline.subject_state import SubjectState

_DIGITS: Final = 6
_DAY_ZERO: Final = date(1970, 1, 1).toordinal()
Held = tuple[tuple[int, ...], Prints]
"""(amounts, places) of an activity's day."""
NO_PLACES: Final[tuple[NDArray[np.int64], ...]] = ()


Judged = tuple[str, int, int | None]
"""(subject, local day, by when it must have been judged; None: by now): whose verdicts calm a snapshot."""


class Running:
    """A day of a subject that is being scored, and what it is measured against, once that is known."""

    __slots__ = ("_kind", "_record", "captured", "day", "off", "peer_group", "places", "subject", "used")

    def __init__(self, subject: str, day: int, off: bool, peer_group: str, captured: Captured) -> None:
        self.subject = subject
        self.day = day
        self.off = off
        self.peer_group = peer_group
        self.captured: Captured | None = captured
        self.used: Used = {}
        self.places = 0
        self._record = b""
        self._kind: np.dtype[np.void] = np.dtype([])

    def know(self, record: bytes, kind: np.dtype[np.void], used: Used) -> None:
        self._record, self._kind, self.used = record, kind, used
        self.places = sum(len(each) for kinds in used.values() for each in kinds)
        self.captured = None

    @staticmethod
    def records(runnings: Sequence[Running]) -> Records:
        joined = b"".join([each._record for each in runnings])
        return np.frombuffer(joined, dtype=runnings[0]._kind)


class Snapshot:
    """An activity's day as it stood. `whole`: all of the day, where drift is to be scored."""

    __slots__ = ("activity", "amounts", "as_of", "places", "running", "state", "weight", "whole")

    def __init__(
        self,
        running: Running,
        state: SubjectState,
        activity: str,
        amounts: tuple[int, ...],
        places: Prints,
        weight: float,
        whole: Mapping[str, Held] | None,
        as_of: int | None = None,
    ) -> None:
        self.running = running
        self.state = state
        self.activity = activity
        self.amounts = amounts
        self.places = places
        self.weight = weight
        self.whole = whole
        self.as_of = as_of

    @property
    def judged(self) -> Judged:
        return self.running.subject, self.running.day, self.as_of

    def values(self) -> Counts:
        return self._values(self.activity, (self.amounts, self.places))

    def _values(self, activity: str, held: Held) -> Counts:
        return values_of(activity, *held, self.running.used.get(activity, NO_PLACES))

    def all_values(self, activity: str) -> Counts | None:
        held = (self.whole or {}).get(activity)
        return None if held is None else self._values(activity, held)


def score_snapshots(
    model: AnomalyModel,
    model_id: int | None,
    snapshots: Sequence[Snapshot],
    accepted: Mapping[Judged, Sequence[Accepted]],
) -> None:
    """Into the snapshots' states. `accepted`: what verdicts calm."""
    values = [each.values() for each in snapshots]
    raw = _evidence(model, snapshots, values)
    calmed = raw.copy()
    calm = _calmed(snapshots, values, accepted)
    if calm:
        rows = list(calm)
        calmed[rows] = _evidence(model, [snapshots[row] for row in rows], [calm[row] for row in rows])
    points = _day_points(model, model_id, snapshots, calmed, calmed=True)
    uncalmed = points
    if accepted:
        uncalmed = _day_points(model, model_id, snapshots, raw, calmed=False)
    slow, slow_activity = _slow_points(model, snapshots)
    for row, each in enumerate(snapshots):
        _apply(
            each,
            model_id,
            (float(calmed[row]), float(raw[row])),
            (float(points[row]), float(uncalmed[row])),
            float(slow[row]),
            slow_activity.get(row),
        )


def _rows_by_off(snapshots: Sequence[Snapshot], rows: Sequence[int]) -> list[tuple[bool, list[int]]]:
    found = [(off, [row for row in rows if snapshots[row].running.off == off]) for off in (False, True)]
    return [(off, rows) for off, rows in found if rows]


def _records(snapshots: Sequence[Snapshot], rows: Sequence[int]) -> Records:
    return Running.records([snapshots[row].running for row in rows])


def _evidence(model: AnomalyModel, snapshots: Sequence[Snapshot], values: Sequence[Counts]) -> Floats:
    found = np.zeros(len(snapshots))
    of_activity: dict[str, list[int]] = {}
    for row, each in enumerate(snapshots):
        of_activity.setdefault(each.activity, []).append(row)
    for activity, all_rows in of_activity.items():
        for off, rows in _rows_by_off(snapshots, all_rows):
            records = _records(snapshots, rows)
            today = np.stack([values[row] for row in rows])
            background = activity_of(records, activity)
            found[rows] = model.activity_evidence(activity, today, background, off, group_of(records))
    return found.round(_DIGITS)


def _calmed(
    snapshots: Sequence[Snapshot],
    values: Sequence[Counts],
    accepted: Mapping[Judged, Sequence[Accepted]],
) -> dict[int, Counts]:
    found = {}
    for row, each in enumerate(snapshots):
        judged = accepted.get(each.judged)
        if judged:
            usual = usual_of(Running.records([each.running]), each.activity)[0]
            day = each.running.day + _DAY_ZERO
            less, because = calmed_values(each.activity, values[row], usual, day, judged)
            if because:
                found[row] = less
    return found


def _day_points(
    model: AnomalyModel,
    model_id: int | None,
    snapshots: Sequence[Snapshot],
    evidence: Floats,
    *,
    calmed: bool,
) -> Floats:
    """Of each snapshot with all highest e of its day up to it."""
    place = {name: at for at, name in enumerate(model.activities)}
    highest = np.zeros((len(snapshots), len(place)))
    reached: dict[tuple[str, int], Floats] = {}
    for row, each in enumerate(snapshots):
        key = each.running.subject, each.running.day
        known = reached.get(key)
        if known is None:
            known = reached[key] = _reached(each, model_id, place, calmed=calmed)
        at = place[each.activity]
        known[at] = max(known[at], evidence[row])
        highest[row] = known
    found = np.zeros(len(snapshots))
    for off, rows in _rows_by_off(snapshots, range(len(snapshots))):
        group = group_of(_records(snapshots, rows))
        weight = np.array([snapshots[row].weight for row in rows])
        found[rows] = model.day_points(highest[rows], off, group, weight)
    return found.round(_DIGITS)


def _reached(each: Snapshot, model_id: int | None, place: Mapping[str, int], *, calmed: bool) -> Floats:
    found = np.zeros(len(place))
    day = each.state.anomalies.get(each.running.day)
    if day is not None and day.model_id == model_id:
        for stored in (day.evidence, {} if calmed else day.uncalmed_evidence):
            for activity, strength in stored.items():
                if activity in place:
                    found[place[activity]] = max(found[place[activity]], strength)
    return found


def _slow_points(model: AnomalyModel, snapshots: Sequence[Snapshot]) -> tuple[Floats, dict[int, str]]:
    """(points, the activity that drifts most by snapshot)."""
    found = np.zeros(len(snapshots))
    leading: dict[int, str] = {}
    whole = [row for row, each in enumerate(snapshots) if each.whole is not None]
    for off, rows in _rows_by_off(snapshots, whole):
        records = _records(snapshots, rows)
        known = Known(off, group_of(records), {}, drift_of(records))
        features = model.slow_features(_today([snapshots[row] for row in rows]), known)
        if features is None:
            continue
        weight = np.array([snapshots[row].weight for row in rows])
        found[rows] = model.slow_points(features, off, known.group, weight)
        strongest = features.reshape(len(rows), len(DRIFT_DAYS), len(SLOW)).max(axis=1).argmax(axis=1)
        leading.update((row, SLOW[at].activity) for row, at in zip(rows, strongest.tolist(), strict=True))
    return found.round(_DIGITS), leading


def _today(snapshots: Sequence[Snapshot]) -> dict[str, Today]:
    found = {}
    for activity, measures in ACTIVITIES.items():
        values = np.zeros((len(snapshots), len(measures)), dtype=np.int64)
        seen = np.zeros(len(snapshots), dtype=np.bool_)
        for row, each in enumerate(snapshots):
            held = each.all_values(activity)
            if held is not None:
                values[row], seen[row] = held, True
        found[activity] = Today(values, seen)
    return found


def _apply(
    each: Snapshot,
    model_id: int | None,
    evidence: tuple[float, float],
    points: tuple[float, float],
    slow_points: float,
    slow_activity: str | None,
) -> None:
    """evidence, points: as verdicts calm them, and as if there were none."""
    day = each.running.day
    row = each.state.anomalies.get(day) or AnomalyDay(day)
    before = msgspec.structs.replace(row)
    if row.model_id != model_id:
        row.evidence, row.uncalmed_evidence, row.model_id = {}, {}, model_id
    e, raw = evidence
    if e > row.evidence.get(each.activity, 0.0):
        row.evidence = row.evidence | {each.activity: e}
    counted = row.evidence.get(each.activity, 0.0)
    if raw > max(counted, row.uncalmed_evidence.get(each.activity, 0.0)):
        row.uncalmed_evidence = row.uncalmed_evidence | {each.activity: raw}
    if row.points < COUNTS_FROM and row.evidence:
        # Of equals the first of the registry.
        leading = max(ACTIVITIES, key=lambda activity: row.evidence.get(activity, 0.0))
        row.family = FAMILIES[leading]
    row.points = max(row.points, points[0])
    row.uncalmed = max(row.uncalmed, row.points, points[1])
    if slow_points > row.slow_points:
        if row.slow_points < COUNTS_FROM and slow_activity is not None:
            row.slow_family = FAMILIES[slow_activity]
        row.slow_points = slow_points
    if row != before:
        each.state.anomalies[day] = row
        each.state.anomaly_day(day)
