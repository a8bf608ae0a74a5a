"""All that is told of an alert's strangest day beside its sentence: what stood out, what rose over weeks, the
check that it is that, the smallest change to a normal day, what verdicts calmed, what nobody watched.

The day is explained as it counts: with what verdicts of harmless calm at its usual (calmed_day.py). Numbers
alone; explanation_words.py words them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np

from analytics.anomaly_explanation import Change, Reason, Subject, explain_day
from analytics.anomaly_model import AnomalyModel
from analytics.calmed_day import Accepted, CalmedDay, calmed_day
from analytics.measures import ACTIVITIES
from analytics.slow_explanation import SlowReason, explain_drift

_DIGITS: Final = 3


class AlertExplanation(msgspec.Struct, frozen=True):
    points: float
    """The day's anomaly as it counts, 0-100: the highest that it reached."""
    uncalmed: float
    """The same as if nothing had been judged harmless."""
    slow_points: float
    """The drift's, 0-100."""
    reasons: tuple[Reason, ...] = ()
    """Strongest first; empty where the day's anomaly is no part of the alert."""
    explained: float = 0.0
    """Part of the surprise (0-1) that goes away with them."""
    unusual_combination: bool = False
    changes: tuple[Change, ...] = ()
    """Together the smallest change that makes the day normal; empty where none of this day alone does."""
    changed_points: float = 0.0
    """The day's anomaly after the change, scored again."""
    slow_reasons: tuple[SlowReason, ...] = ()
    slow_explained: float = 0.0
    slow_unusual_combination: bool = False
    calmed: tuple[Accepted, ...] = ()
    """Judgements that made part of the day count as usual."""
    unseen: tuple[str, ...] = ()
    """Activities that nobody watched that day, but on others."""
    never_seen: tuple[str, ...] = ()
    """Activities that nobody watched on any day that is known of the subject."""


def explain_alert(
    model: AnomalyModel,
    subject: Subject,
    day: int,
    accepted: Sequence[Accepted] = (),
    *,
    points: float,
    uncalmed: float,
    slow_points: float,
) -> AlertExplanation:
    """`day`: ordinal, as `accepted` has it. points, uncalmed, slow_points: what the day reached while it ran,
    as far as it counts in the alert; of what is 0 nothing is explained."""
    unseen, never_seen = _not_watched(model, subject)
    found = AlertExplanation(
        round(points, _DIGITS),
        round(uncalmed, _DIGITS),
        round(slow_points, _DIGITS),
        unseen=unseen,
        never_seen=never_seen,
    )
    if max(points, uncalmed) > 0:
        found = _with_day(found, model, subject, calmed_day(subject, day, accepted))
    if slow_points > 0:
        slow = explain_drift(model, subject)
        found = msgspec.structs.replace(
            found,
            slow_reasons=slow.reasons,
            slow_explained=round(slow.explained, _DIGITS),
            slow_unusual_combination=slow.unusual_combination,
        )
    return found


def _with_day(
    found: AlertExplanation, model: AnomalyModel, subject: Subject, calmed: CalmedDay
) -> AlertExplanation:
    told = explain_day(model, msgspec.structs.replace(subject, today=calmed.today))
    return msgspec.structs.replace(
        found,
        reasons=tuple(_with_all(reason, subject, calmed) for reason in told.reasons),
        explained=round(told.explained, _DIGITS),
        unusual_combination=told.unusual_combination,
        changes=told.changes,
        changed_points=round(told.changed_points, _DIGITS),
        calmed=calmed.because,
    )


def _with_all(reason: Reason, subject: Subject, calmed: CalmedDay) -> Reason:
    """A sum over days is told with today's calmed amount as well: it happened."""
    at = [measure.name for measure in ACTIVITIES[reason.activity]].index(reason.measure)
    left_out = subject.today[reason.activity].values[0, at] - calmed.today[reason.activity].values[0, at]
    return msgspec.structs.replace(reason, value=reason.value + int(left_out)) if left_out else reason


def _not_watched(model: AnomalyModel, subject: Subject) -> tuple[tuple[str, ...], tuple[str, ...]]:
    not_today = [name for name in model.activities if not subject.today[name].seen[0]]
    never = tuple(name for name in not_today if not np.any(subject.history[name].seen))
    return tuple(name for name in not_today if name not in never), never
