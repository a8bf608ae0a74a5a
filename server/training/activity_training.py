"""Trains the anomaly models over all activities on the last 143 complete days: 28 that are scored, and the
115 before the first of these.

Reads one snapshot, an activity at a time, and writes once at the end: the stream goes on meanwhile.
"""

from __future__ import annotations

import time
from typing import Final

import msgspec
from sqlalchemy import Connection, select

from analytics.alert_queues import BUDGET
from analytics.anomaly_model import AnomalyModel
from analytics.anomaly_training import CALIBRATION_DAYS, TRAINING_DAYS, Progress, train_and_score
from analytics.drift_features import HISTORY_DAYS
from server import audit
from server.retention import ACTIVITY_DAYS, first_activity_day
from server.store import tables
from server.store.database import Database
from server.training.company_days import DAY_ZERO, company_days, days_over
from server.training.past_risks import fitted_line
from server.training.stored_models import (
    ModelSummary,
    StoredModel,
    active_model,
    is_usable,
    keep_model,
    stored_models,
)

DUE_AFTER_MS: Final = 7 * 86_400_000
COLD_START_DUE_AFTER_MS: Final = 86_400_000


class NothingMeasured(Exception):
    """There is no day to learn from yet."""


def is_due(connection: Connection, now: int) -> bool:
    """No model yet, or the last one is a week old; a cold-start model is tried again after a day. At once
    where this program cannot use the active one: another version made it."""
    last = next(iter(stored_models(connection, 1)), None)
    if last is None:
        at, end = tables.activity_days.c, days_over(now)
        anything = select(at.day).where(at.day >= end - HISTORY_DAYS, at.day < end).limit(1)
        return connection.execute(anything).first() is not None
    active = active_model(connection)
    if active is not None and not is_usable(connection, active.id):
        return True
    return now - last.created_at > (COLD_START_DUE_AFTER_MS if last.summary.cold_start else DUE_AFTER_MS)


def train_activities(
    database: Database,
    *,
    now: int,
    seed: int = 1,
    trees: int = 100,
    alerts_per_1000_a_day: float | None = None,
    actor: str | None = None,
    activity_days: int = ACTIVITY_DAYS,
    progress: Progress = lambda what, part: None,
) -> StoredModel:
    """Learns, stores the model, and makes it the active one as stored_models.py says. `actor`: who asked for
    it, for the audit trail; None: the schedule. Without a budget that of the active model stays.
    `activity_days`: for how many days sums count.

    Raises NothingMeasured.
    """
    begun = time.process_time()
    budget = alerts_per_1000_a_day
    with database.read() as connection:
        company = company_days(
            connection,
            end=days_over(now),
            days=TRAINING_DAYS,
            since=first_activity_day(now, activity_days),
        )
        if not company.panel.subjects:
            raise NothingMeasured("no day that is over was measured yet: nothing to learn from")
        if budget is None:
            before = active_model(connection)
            budget = BUDGET if before is None else before.summary.alerts_per_1000_a_day
        model, past = train_and_score(
            company.panel,
            seed=seed,
            trees=trees,
            alerts_per_1000_a_day=budget,
            weights=company.weights(CALIBRATION_DAYS),
            progress=progress,
        )
        line = fitted_line(connection, company.panel.subjects, past, budget)
    progress("storing", 1.0)
    content = msgspec.structs.replace(model.content, risk_line=line.line)
    summary = ModelSummary(
        subjects=content.subjects,
        days=content.days_seen,
        first_day=content.first_day - DAY_ZERO,
        last_day=content.last_day - DAY_ZERO,
        cold_start=model.cold_start,
        seed=seed,
        alerts_per_1000_a_day=budget,
        line=model.line,
        slow_line=model.slow_line,
        risk_line=line.line,
        risk_alerts_a_day=line.alerts_a_day,
        risk_alerts_allowed=line.allowed_a_day,
        software=content.software,
        cpu_seconds=round(time.process_time() - begun, 2),
    )
    state = AnomalyModel(content).to_bytes()
    with database.begin() as connection:
        made = keep_model(connection, state, summary, now=now, by_hand=actor is not None)
        if actor is not None:
            detail = {"seed": seed, "subjects": summary.subjects, "active": made.active}
            audit.append(
                connection,
                at=now,
                actor=actor,
                action="model.train",
                object=f"model:{made.id}",
                detail=detail,
            )
    return made
