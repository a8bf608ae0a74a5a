"""A model's scores over past days, and the alerts that its queues would have raised of them. Pure.

Each day is scored from the days before it alone, as it stood at its end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from analytics.alert_queues import DAY_QUEUE, SLOW_QUEUE, Queue, admitted
from analytics.anomaly_model import AnomalyModel, Today
from analytics.drift_features import HISTORY_DAYS
from analytics.panel import ActivityDays, Flags, Floats

QueueName = Literal["day", "slow"]


class PanelScores(msgspec.Struct, frozen=True, eq=False):
    """(subjects, scored days), oldest day first."""

    p_day: Floats
    p_slow: Floats
    strength: Floats
    slow_strength: Floats
    seen: Flags
    """Of any activity; the others' p means nothing."""

    @classmethod
    def joined(cls, parts: Sequence[PanelScores]) -> PanelScores:
        """The subjects of all parts, which are scored for the same days."""
        fields = {name: [getattr(part, name) for part in parts] for name in cls.__struct_fields__}
        return cls(**{name: np.concatenate(each) for name, each in fields.items()})


class RaisedAlert(msgspec.Struct, frozen=True):
    """`row`: of the subject; `day`: counted from the first scored one."""

    queue: QueueName
    row: int
    day: int
    p: float


def score_past(
    model: AnomalyModel,
    history: Mapping[str, ActivityDays],
    off: Flags,
    first: int,
    peer_groups: Sequence[str],
    weights: Floats | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> PanelScores:
    """All subjects' days from the one with index `first` to the last. `off`: of each day of `history`;
    `weights`: (subjects, scored days), as in AnomalyModel.score. progress: after each scored day."""
    days: list[tuple[Floats, ...]] = []
    seen: list[Flags] = []
    for number, day in enumerate(range(first, len(off))):
        before = slice(max(day - HISTORY_DAYS, 0), day)
        earlier = {
            name: ActivityDays(each.values[:, before], each.seen[:, before]) for name, each in history.items()
        }
        today = {name: Today(each.values[:, day], each.seen[:, day]) for name, each in history.items()}
        known = model.known(earlier, off[before], bool(off[day]), peer_groups)
        scores = model.score(today, known, None if weights is None else weights[:, number])
        days.append((scores.p_day, scores.p_slow, scores.strength, scores.slow_strength))
        seen.append(np.logical_or.reduce([each.seen for each in today.values()]))
        progress(number + 1)
    p_day, p_slow, strength, slow_strength = (np.stack(each, axis=1) for each in zip(*days, strict=True))
    return PanelScores(p_day, p_slow, strength, slow_strength, np.stack(seen, axis=1))


def raised_alerts(
    model: AnomalyModel, scores: PanelScores, subjects: Sequence[str], alerts_per_1000_a_day: float
) -> list[RaisedAlert]:
    """What both queues let through, cool-down and cap included; by day, the strangest first. Nothing cools
    down when the days begin. A cold-start model raises none."""
    if model.cold_start:
        return []
    names = np.array(subjects, dtype=np.str_)
    slow = _raised(
        SLOW_QUEUE,
        "slow",
        (scores.p_slow, scores.slow_strength, scores.seen),
        model.slow_line,
        names,
        alerts_per_1000_a_day,
    )
    day = _raised(
        DAY_QUEUE,
        "day",
        (scores.p_day, scores.strength, scores.seen),
        model.line,
        names,
        alerts_per_1000_a_day,
    )
    return sorted(day + slow, key=lambda alert: (alert.day, alert.queue))


def _raised(
    queue: Queue,
    name: QueueName,
    scored: tuple[Floats, Floats, Flags],
    line: float,
    subjects: NDArray[np.str_],
    alerts_per_1000_a_day: float,
) -> list[RaisedAlert]:
    p, strength, seen = scored
    last = np.full(len(p), -(10**9))
    found = []
    for day in range(p.shape[1] if line > 0 else 0):
        ready = seen[:, day] & (day - last >= queue.cool_down_days)
        cap = queue.cap(alerts_per_1000_a_day, int(seen[:, day].sum()))
        rows = admitted(p[:, day], strength[:, day], ready, line, cap, subjects)
        last[rows] = day
        found += [RaisedAlert(name, int(row), day, float(p[row, day])) for row in rows]
    return found
