"""Why the slow queue finds somebody strange: which measures have risen over the last weeks, against a
baseline of weeks before, and by how much."""

from __future__ import annotations

import math
from typing import Final

import msgspec
import numpy as np

from analytics.anomaly_explanation import SHOWN, Subject
from analytics.anomaly_model import AnomalyModel, slow_history
from analytics.drift_features import DRIFT_DAYS, GAP_DAYS, REACH_DAYS
from analytics.measures import ACTIVITIES, SLOW

_EXPLAINED_MIN: Final = 0.25


class SlowReason(msgspec.Struct, frozen=True):
    activity: str
    measure: str
    strength: float
    """Σ z_gap / √n."""
    days: int
    """14 or 28."""
    value: int
    """Bytes or a count a day on which the subject was there, over these days: the mean."""
    usual: int
    """The same over the baseline's days."""


class SlowExplanation(msgspec.Struct, frozen=True):
    points: float
    """A_slow (0–100)."""
    reasons: tuple[SlowReason, ...]
    """Strongest first, one a measure."""
    explained: float
    """Part of the surprise (0-1) that goes away with them."""
    unusual_combination: bool


def explain_drift(model: AnomalyModel, subject: Subject, *, shown: int = SHOWN) -> SlowExplanation:
    """Empty under a model without drift and for a subject whose measures did not rise."""
    known = model.known(subject.history, subject.off, subject.off_today, [subject.peer_group])
    features = model.slow_features(subject.today, known)
    if features is None or not features.any():
        return SlowExplanation(0.0, (), 0.0, False)
    weight = np.array([subject.weight])
    day = model.features(subject.today, known)
    seen = {name: each.seen for name, each in subject.today.items()}
    before = model.score_features(day, seen, features, known, weight)
    by_window = features.reshape(len(DRIFT_DAYS), len(SLOW))
    strongest = by_window.max(axis=0)
    top = [int(i) for i in np.argsort(-strongest, kind="stable")[:shown] if strongest[i] > 0]
    reset = by_window.copy()
    reset[:, top] = 0.0
    after = model.score_features(day, seen, reset.reshape(1, -1), known, weight)
    surprise = -math.log(before.p_slow[0])
    gone = 1 + math.log(after.p_slow[0]) / surprise if surprise > 0 else 0.0
    explained = min(max(gone, 0.0), 1.0)
    reasons = tuple(
        _reason(subject, i, DRIFT_DAYS[int(by_window[:, i].argmax())], float(strongest[i])) for i in top
    )
    return SlowExplanation(float(before.a_slow[0]), reasons, explained, explained < _EXPLAINED_MIN)


def _reason(subject: Subject, index: int, days: int, strength: float) -> SlowReason:
    measure = SLOW[index]
    at = ACTIVITIES[measure.activity].index(measure)
    _, there = slow_history(subject.history)
    values = subject.history[measure.activity].values[0, :, at]
    today = int(subject.today[measure.activity].values[0, at])
    present = there[0]
    end = len(values)
    recent = slice(max(end - days + 1, 0), end)
    before = slice(max(end - GAP_DAYS + 1 - REACH_DAYS, 0), max(end - GAP_DAYS + 1, 0))
    now = [*values[recent][present[recent]].tolist(), today]
    earlier = values[before][present[before]]
    usual = round(float(earlier.mean())) if len(earlier) else 0
    return SlowReason(measure.activity, measure.name, strength, days, round(sum(now) / len(now)), usual)
