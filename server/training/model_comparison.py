"""Two models on the same past days: how many alerts each would raise, and which ones only one of them.

Only the anomaly's alerts, without policies and judgements. A model knows the days that it was trained on:
that makes it look a little quieter there than it will be.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import msgspec
import numpy as np

from analytics.anomaly_model import AnomalyModel
from analytics.drift_features import HISTORY_DAYS
from analytics.panel_scores import PanelScores, RaisedAlert, raised_alerts
from server.retention import ACTIVITY_DAYS, first_activity_day
from server.store.database import Database
from server.training.company_days import company_days, days_over, loaded_days
from server.training.company_scores import score_company

DAYS: Final = 28

Progress = Callable[[int, int], None]
"""(done, of)."""


class ModelAlerts(msgspec.Struct, frozen=True):
    """One model's."""

    model_id: int
    day: int
    """Alerts of the day queue."""
    slow: int
    most_on_a_day: int
    due: float
    """What its budget allows for these days."""


class DifferingAlert(msgspec.Struct, frozen=True):
    """Raised by `model_id` alone, or on another day. `day`: local, since 1970-01-01; `p` and `other_p`: under
    either model, on that day; the lower, the stranger."""

    subject: str
    day: int
    queue: str
    model_id: int
    p: float
    other_p: float


class Comparison(msgspec.Struct, frozen=True):
    first_day: int
    last_day: int
    subjects: int
    subject_days: int
    models: tuple[ModelAlerts, ModelAlerts]
    both: int
    """Alerts of the same subject, day and queue."""
    differing: tuple[DifferingAlert, ...]


def compare_models(
    database: Database,
    models: Mapping[int, AnomalyModel],
    *,
    now: int,
    days: int = DAYS,
    activity_days: int = ACTIVITY_DAYS,
    progress: Progress = lambda done, of: None,
) -> Comparison:
    """The two models by their numbers, on the last `days` that are over everywhere. `activity_days`: for how
    many sums count. Raises ValueError where nothing was measured, or the models are not two."""
    (first_id, first), (second_id, second) = models.items()
    end = days_over(now)
    with database.read() as connection:
        company = company_days(
            connection,
            end=end,
            days=HISTORY_DAYS + days,
            since=first_activity_day(now, activity_days),
        )
        if not company.panel.subjects:
            raise ValueError("no day that is over was measured yet: nothing to compare on")
        loaded = loaded_days(company, days)
    of = 2 * len(loaded.subjects)
    a = score_company(first, loaded, HISTORY_DAYS, lambda done: progress(done, of))
    b = score_company(second, loaded, HISTORY_DAYS, lambda done: progress(of // 2 + done, of))
    alerts = [
        raised_alerts(model, scores, loaded.subjects, model.content.alerts_per_1000_a_day)
        for model, scores in ((first, a), (second, b))
    ]
    keys = [{(each.queue, each.row, each.day) for each in found} for found in alerts]
    begin = end - days
    differing = [
        DifferingAlert(
            loaded.subjects[each.row], begin + each.day, each.queue, model_id, each.p, _p(other, each)
        )
        for model_id, found, others, other in (
            (first_id, alerts[0], keys[1], b),
            (second_id, alerts[1], keys[0], a),
        )
        for each in found
        if (each.queue, each.row, each.day) not in others
    ]
    seen = int(a.seen.sum())
    return Comparison(
        begin,
        end - 1,
        len(loaded.subjects),
        seen,
        (
            _counted(first_id, first, alerts[0], days, seen),
            _counted(second_id, second, alerts[1], days, seen),
        ),
        len(keys[0] & keys[1]),
        tuple(sorted(differing, key=lambda each: (-each.day, each.p, each.subject))),
    )


def _counted(
    model_id: int, model: AnomalyModel, alerts: list[RaisedAlert], days: int, seen: int
) -> ModelAlerts:
    by_day = np.bincount(np.array([each.day for each in alerts], dtype=np.intp), minlength=days)
    return ModelAlerts(
        model_id,
        sum(each.queue == "day" for each in alerts),
        sum(each.queue == "slow" for each in alerts),
        int(by_day.max()),
        round(0.0 if model.cold_start else model.content.alerts_per_1000_a_day * seen / 1000, 2),
    )


def _p(scores: PanelScores, alert: RaisedAlert) -> float:
    p = scores.p_day if alert.queue == "day" else scores.p_slow
    return float(p[alert.row, alert.day])
