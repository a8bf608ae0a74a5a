"""Why the model finds a day strange: the strongest measures, a check that they are it, and the smallest
change that would have made the day normal.

Measures are ranked by their strongest one-sided feature among the two activities that made the score. The
check (occlusion) sets the three shown to the subject's own 90th percentile and scores again: where less than
a quarter of the surprise goes away, it is an unusual combination. The smallest change only ever makes today
smaller, and is scored again before it is told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from analytics.anomaly_model import AnomalyModel, Known, Today
from analytics.measures import ACTIVITIES, MEGABYTE, Measure
from analytics.own_history import BURST_DAYS, OWN_DAYS, SUM_DAYS, own_usual
from analytics.panel import ActivityDays, Counts, Flags, Floats, log_values
from analytics.smallest_change import Place, smallest_change

SHOWN: Final = 3
ALERT_POINTS: Final = 50.0
_EXPLAINED_MIN: Final = 0.25
_CHANGED_MAX: Final = 12
"""Measures that a smallest change may touch; a day that needs more is not made normal by a change."""
FIRST_SEEN_DAYS: Final = 60


class Reason(msgspec.Struct, frozen=True):
    activity: str
    measure: str
    strength: float
    """Of its strongest feature, in that feature's units."""
    days: int
    """Over so many days the value is taken: 1, 7 or 28."""
    value: int
    """Bytes or a count."""
    usual: float | None
    """Median of the subject's days with any in the last 28 (of a day; of the sum for longer); None: none."""
    peers_percentile: float | None
    """Share (0-100) of the peers' days below the value; 100 is above all; None for longer than a day."""
    first_in_days: int | None
    """None: there was some within the last 60 days; else how many of them were seen."""


class Change(msgspec.Struct, frozen=True):
    activity: str
    measure: str
    value: int
    normal: int
    """At most so much, and the day would have been normal."""


class DayExplanation(msgspec.Struct, frozen=True):
    points: float
    """A_day (0–100) of the day as it is."""
    reasons: tuple[Reason, ...]
    """Strongest first."""
    explained: float
    """Part of the surprise (0-1) that goes away with them."""
    unusual_combination: bool
    changes: tuple[Change, ...]
    """Together the smallest change; empty where the day is normal or no change of today alone suffices."""
    changed_points: float
    """A_day after the change, scored again."""


class Subject(msgspec.Struct, frozen=True, eq=False):
    """One subject's history (one row each, oldest day first, the last is yesterday) and running day."""

    history: Mapping[str, ActivityDays]
    off: Flags
    today: Mapping[str, Today]
    off_today: bool
    peer_group: str
    weight: float = 1.0


def explain_day(model: AnomalyModel, subject: Subject, *, shown: int = SHOWN) -> DayExplanation:
    """Empty under a cold-start model and for a day on which nothing stands out."""
    known = model.known(subject.history, subject.off, subject.off_today, [subject.peer_group])
    scores = model.score(subject.today, known, np.array([subject.weight]))
    points = float(scores.a_day[0])
    features = model.features(subject.today, known)
    ranked = _ranked(features)
    order = np.argsort(-scores.evidence[0], kind="stable")[:2]
    leading = {model.activities[i] for i in order if scores.evidence[0][i] > 0}
    top = [each for each in ranked if each.activity in leading][:shown]
    if model.cold_start or not top:
        return DayExplanation(points, (), 0.0, False, (), points)
    usual = usual_values(subject)
    explained = _explained(model, subject, known, features, top, usual, float(scores.p_day[0]))
    changes, changed = _smallest_change(
        model, subject, known, scores.evidence, ranked[:_CHANGED_MAX], usual, points
    )
    reasons = tuple(_reason(model, subject, each) for each in top)
    return DayExplanation(points, reasons, explained, explained < _EXPLAINED_MIN, changes, changed)


class _Ranked(msgspec.Struct, frozen=True):
    activity: str
    measure: int
    strength: float
    days: int


def _ranked(features: Mapping[str, Floats]) -> list[_Ranked]:
    """Measures by their strongest feature, each with that feature's window."""
    found = []
    for name, matrix in features.items():
        measures = ACTIVITIES[name]
        row, count = matrix[0], len(measures)
        volumes = [i for i, measure in enumerate(measures) if measure.volume]
        windows = {i: [(float(max(row[i], row[count + i])), 1)] for i in range(count)}
        sums = row[2 * count :].reshape(len(SUM_DAYS), 2, len(volumes)).max(axis=1)
        for w, width in enumerate(SUM_DAYS):
            for v, i in enumerate(volumes):
                windows[i].append((float(sums[w, v]), width))
        for i, each in windows.items():
            strength, days = max(each, key=lambda one: (one[0], -one[1]))
            if strength > 0:
                found.append(_Ranked(name, i, strength, days))
    return sorted(found, key=lambda one: (-one.strength, one.activity, one.measure))


def usual_values(subject: Subject) -> dict[str, Counts]:
    """Each measure's own 90th percentile on days of today's type, never above today's value."""
    usual = usual_amounts(subject.history, subject.off, subject.off_today)
    return {name: np.minimum(usual[name][0], subject.today[name].values[0]) for name in ACTIVITIES}


def usual_amounts(history: Mapping[str, ActivityDays], off: Flags, off_today: bool) -> dict[str, Counts]:
    """The same of many subjects, whatever today brings: (subjects, measures)."""
    found = {}
    same = off[-OWN_DAYS:] == off_today
    for name, measures in ACTIVITIES.items():
        days, seen = history[name].values[:, -OWN_DAYS:], history[name].seen[:, -OWN_DAYS:]
        q90 = own_usual(log_values(days, measures), seen, same).q90
        units = np.array([MEGABYTE if m.unit == "bytes" else 1 for m in measures], dtype=np.float64)
        found[name] = np.round(np.expm1(q90) * units).astype(np.int64)
    return found


def _explained(
    model: AnomalyModel,
    subject: Subject,
    known: Known,
    features: Mapping[str, Floats],
    top: Sequence[_Ranked],
    usual: Mapping[str, Counts],
    p: float,
) -> float:
    changed = {name: day.values[0].copy() for name, day in subject.today.items()}
    for each in top:
        changed[each.activity][each.measure] = usual[each.activity][each.measure]
    seen = {name: day.seen for name, day in subject.today.items()}
    today = {name: Today(row[None], seen[name]) for name, row in changed.items()}
    reset = model.features(today, known)
    for each in top:
        # Sums hold earlier days as well: what is explained by the measure goes with it.
        measures = ACTIVITIES[each.activity]
        volumes = [i for i, measure in enumerate(measures) if measure.volume]
        if each.measure in volumes:
            at = 2 * len(measures) + volumes.index(each.measure)
            reset[each.activity][:, at :: len(volumes)] = 0.0
    after = model.score_features(reset, seen, None, known, np.array([subject.weight])).p_day[0]
    before = -np.log(p)
    return float(np.clip(1 + np.log(after) / before, 0.0, 1.0)) if before > 0 else 0.0


def _smallest_change(
    model: AnomalyModel,
    subject: Subject,
    known: Known,
    evidence: Floats,
    ranked: Sequence[_Ranked],
    usual: Mapping[str, Counts],
    points: float,
) -> tuple[tuple[Change, ...], float]:
    """And A_day with it, scored again; nothing where no change of today alone suffices."""
    today = {(r.activity, r.measure): int(subject.today[r.activity].values[0, r.measure]) for r in ranked}
    if points < ALERT_POINTS:
        return (), points

    def scored(variants: Sequence[Mapping[Place, int]]) -> Floats:
        return _variants(model, subject, known, evidence, variants)

    own = {(activity, measure): int(usual[activity][measure]) for activity, measure in today}
    change = smallest_change(scored, today, own, ALERT_POINTS)
    verified = float(scored([change])[0]) if change else points
    if verified >= ALERT_POINTS:
        return (), points
    return tuple(
        Change(place[0], ACTIVITIES[place[0]][place[1]].name, today[place], normal)
        for place, normal in change.items()
    ), verified


def _variants(
    model: AnomalyModel,
    subject: Subject,
    known: Known,
    evidence: Floats,
    variants: Sequence[Mapping[Place, int]],
) -> Floats:
    """A_day of today with single values changed, one a variant. `evidence`: of today as it is, which all
    activities keep that nothing is changed of."""
    n = len(variants)
    rows: NDArray[np.intp] = np.zeros(n, dtype=np.intp)
    group = known.group[rows]
    found = np.repeat(evidence, n, axis=0)
    for name in sorted({activity for variant in variants for activity, _ in variant}):
        day = subject.today[name]
        if not day.seen[0]:
            continue
        values = np.repeat(day.values, n, axis=0)
        for i, variant in enumerate(variants):
            for (activity, measure), value in variant.items():
                if activity == name:
                    values[i, measure] = value
        background = known.activities[name].of(rows)
        e = model.activity_evidence(name, values, background, known.off, group)
        found[:, model.activities.index(name)] = e
    return model.day_points(found, known.off, group, np.full(n, subject.weight))


def _reason(model: AnomalyModel, subject: Subject, ranked: _Ranked) -> Reason:
    measure: Measure = ACTIVITIES[ranked.activity][ranked.measure]
    days = subject.history[ranked.activity]
    values, seen = days.values[0, :, ranked.measure], days.seen[0]
    today = int(subject.today[ranked.activity].values[0, ranked.measure])
    earlier = values[max(len(values) - ranked.days + 1, 0) :] if ranked.days > 1 else values[:0]
    value = today + int(earlier.sum())
    recent = values[-FIRST_SEEN_DAYS:]
    percentile = None
    if ranked.days == 1:
        percentile = peers_percentile(model, subject.peer_group, ranked.activity, ranked.measure, value)
    first = int(seen[-FIRST_SEEN_DAYS:].sum()) if not recent.any() else None
    usual = _usual_sum(values, ranked.days)
    return Reason(
        ranked.activity, measure.name, ranked.strength, ranked.days, value, usual, percentile, first
    )


def peers_percentile(
    model: AnomalyModel, peer_group: str, activity: str, measure: int, value: float
) -> float:
    """Share (0-100) of the peers' days below the value; 100 only if it is above all of them. `measure`: its
    place in the activity."""
    column = model.peers(activity).percentiles[int(model.group_rows([peer_group])[0]), measure]
    below = int(np.searchsorted(column, value, side="left"))
    return 100.0 if value > column[-1] else float(max(below - 1, 0))


def _usual_sum(values: NDArray[np.int64], days: int) -> float | None:
    if days == 1:
        active = values[-BURST_DAYS:]
        active = active[active > 0]
        return float(np.median(active)) if len(active) else None
    # Windows that do not overlap the one that ends today.
    before = values[: max(len(values) - days + 1, 0)]
    if len(before) < days:
        return None
    running = np.concatenate([[0], np.cumsum(before)])
    usual = float(np.median(running[days:] - running[:-days]))
    return usual if usual > 0 else None
