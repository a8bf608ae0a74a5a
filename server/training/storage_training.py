"""Trains the removable-storage model on the last 88 complete days and makes it the active one.

Days are local ones: the last day is one that is over in every time zone.
Days of alerts that a person confirmed stand as missing: nobody's leak becomes their usual. The worker
takes over the active model with its next batch.
"""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection, insert, select, update

from analytics.storage_day import HistoryDay
from analytics.storage_features import HISTORY_DAYS
from analytics.storage_model import CALIBRATION_DAYS, StorageModel, SubjectHistory
from server.alerts.queries import Verdict
from server.detection.storage_anomaly import CHANNEL, storage_history
from server.people.company import load_company
from server.pipeline.agent_state import load_agents
from server.pipeline.subject_state import load_subjects
from server.store.database import Database
from server.store.tables import alert_days, alerts, models, people, subject_agents

TRAINING_DAYS = HISTORY_DAYS + CALIBRATION_DAYS
MODELS_KEPT = 10
DUE_AFTER_MS = 7 * 86_400_000
_DAY_MS = 86_400_000
_FURTHEST_WEST_MS = 12 * 3_600_000
"""UTC-12: where every day ends last."""


class TrainedModel(msgspec.Struct, frozen=True):
    """What was made. `days`: with data, in the training range."""

    id: int
    subjects: int
    days: int
    cold_start: bool
    last_day: int


def is_due(connection: Connection, now: int) -> bool:
    """No model yet, or the last one is a week old; a cold-start model is tried again after a day."""
    last = connection.execute(
        select(models.c.created_at, models.c.summary)
        .where(models.c.kind == CHANNEL)
        .order_by(models.c.id.desc())
        .limit(1)
    ).first()
    if last is None:
        return connection.execute(select(subject_agents.c.subject).limit(1)).first() is not None
    return bool(now - last.created_at > (_DAY_MS if last.summary.get("cold_start") else DUE_AFTER_MS))


def train_storage_model(database: Database, *, now: int, seed: int = 1) -> TrainedModel:
    """Learns from the days that are over everywhere, stores the model and activates it."""
    end = (now - _FURTHEST_WEST_MS) // _DAY_MS
    with database.read() as connection:
        histories = training_histories(connection, end)
    model = StorageModel.train(histories, seed=seed)
    subjects, days = model.trained_on
    summary = {
        "subjects": subjects,
        "days": days,
        "last_day": end - 1,
        "cold_start": model.cold_start,
        "tau": model.tau,
        "seed": seed,
    }
    with database.begin() as connection:
        connection.execute(update(models).where(models.c.kind == CHANNEL).values(active=False))
        model_id = connection.execute(
            insert(models)
            .values(kind=CHANNEL, created_at=now, active=True, summary=summary, state=model.to_bytes())
            .returning(models.c.id)
        ).scalar_one()
        old = select(models.c.id).where(models.c.kind == CHANNEL).order_by(models.c.id.desc())
        for stale in connection.execute(old.offset(MODELS_KEPT)).scalars().all():
            connection.execute(models.delete().where(models.c.id == stale))
    return TrainedModel(model_id, subjects, days, model.cold_start, end - 1)


def training_histories(connection: Connection, end: int) -> dict[str, SubjectHistory]:
    """Every subject's local days before `end`, most recent first."""
    subjects = list(
        connection.execute(select(subject_agents.c.subject).distinct().order_by(subject_agents.c.subject))
        .scalars()
        .all()
    )
    groups = {
        f"person:{row.id}": row.department or ""
        for row in connection.execute(select(people.c.id, people.c.department))
    }
    confirmed = _confirmed_days(connection)
    calendar = load_company(connection).calendar
    states = load_subjects(connection, subjects)
    seen_on = {agent for state in states.values() for agent in state.agents}
    watched = {agent.name: agent.watched.get(CHANNEL, set()) for agent in load_agents(connection, seen_on)}
    histories = {}
    for subject, state in states.items():
        own = set().union(*(watched[agent] for agent in state.agents))
        days = storage_history(state, end, own, TRAINING_DAYS, day_type=calendar.day_type)
        leaks = confirmed.get(subject, set())
        histories[subject] = SubjectHistory(
            groups.get(subject, ""),
            tuple(
                HistoryDay(day.day_type, None) if end - 1 - back in leaks else day
                for back, day in enumerate(days)
            ),
        )
    return histories


def _confirmed_days(connection: Connection) -> dict[str, set[int]]:
    found: dict[str, set[int]] = {}
    query = (
        select(alerts.c.subject, alert_days.c.day)
        .join(alert_days, alert_days.c.alert == alerts.c.id)
        .where(alerts.c.verdict == Verdict.CONFIRMED.value, alert_days.c.channel == CHANNEL)
    )
    for subject, day in connection.execute(query):
        found.setdefault(subject, set()).add(day)
    return found
