"""The anomaly models in the database (kind "activities"): kept, chosen, brought back. One is active.

A model that was trained on schedule takes over by itself, unless a person chose the active one
(`leaver model activate`, `rollback`): that one stays until a person chooses again or trains by hand.
A cold-start model never takes over from one that scores. One that this program cannot use holds nothing up.
"""

from __future__ import annotations

from typing import Final

import msgspec
from sqlalchemy import Connection, func, insert, select, update

from analytics.alert_queues import BUDGET
from analytics.anomaly_model import AnomalyModel
from analytics.risk_line import ALERT_LINE
from analytics.sealed_bytes import StoredStateError
from event_schema.struct_base import Milliseconds
from server import audit
from server.store.tables import models

KIND: Final = "activities"
MODELS_KEPT: Final = 10
"""The latest, and the active one."""
WEEKS_KEPT: Final = 12


class UnknownModel(Exception):
    """No anomaly model has this number, or none is there; the message says which."""


class WatchedWeek(msgspec.Struct, frozen=True):
    """How a week since the model was trained looks to it (analytics/drift_watch.py). first_day: local, since
    1970-01-01; `days`: how many of it are over. Alerts and those due are the day queue's."""

    first_day: int
    days: int
    subject_days: int
    alerts: int
    alerts_due: float
    stability: float
    shares: tuple[float, ...]
    verdict: str
    reason: str


class ModelSummary(msgspec.Struct, frozen=True, kw_only=True):
    """models.summary. Days are local ones, since 1970-01-01."""

    subjects: int
    days: int
    """On which anybody was seen."""
    first_day: int
    last_day: int
    cold_start: bool
    seed: int
    alerts_per_1000_a_day: float
    line: float
    slow_line: float
    risk_line: int = ALERT_LINE
    """Of the day queue, 0-100, rules included (analytics/risk_line.py)."""
    risk_alerts_a_day: float = 0.0
    """That the last 28 days would have raised at the risk line; more than allowed: it stands at its bound."""
    risk_alerts_allowed: float = 0.0
    software: dict[str, str]
    cpu_seconds: float
    activated_at: Milliseconds | None = None
    """When it was made the active one last; None: never."""
    chosen: bool = False
    """By a person, so that no schedule replaces it."""
    watched_to: int | None = None
    """The last day that `weeks` know of."""
    weeks: tuple[WatchedWeek, ...] = ()


class StoredModel(msgspec.Struct, frozen=True):
    id: int
    created_at: Milliseconds
    active: bool
    summary: ModelSummary
    bytes: int


def stored_models(connection: Connection, limit: int = 1000) -> list[StoredModel]:
    """The latest first."""
    query = (
        select(
            models.c.id,
            models.c.created_at,
            models.c.active,
            models.c.summary,
            func.length(models.c.state).label("bytes"),
        )
        .where(models.c.kind == KIND)
        .order_by(models.c.id.desc())
        .limit(limit)
    )
    return [msgspec.convert(row, StoredModel, from_attributes=True) for row in connection.execute(query)]


def active_model(connection: Connection) -> StoredModel | None:
    return next((model for model in stored_models(connection) if model.active), None)


class ActiveBudget(msgspec.Struct, frozen=True):
    """What queues take from the active model. Also of one that this program cannot use: until the next is
    trained, line and caps stay as they were."""

    alerts_per_1000_a_day: float = BUDGET
    subjects: int | None = None
    """None: of before summaries told."""
    risk_line: int = ALERT_LINE


def active_budget(connection: Connection) -> ActiveBudget | None:
    """None: there is no model."""
    query = select(models.c.summary).where(models.c.kind == KIND, models.c.active)
    summary = connection.execute(query).scalar()
    return None if summary is None else msgspec.convert(summary, ActiveBudget)


def active_risk_line(connection: Connection) -> int:
    """Of the day queue; without a model ALERT_LINE."""
    found = active_budget(connection)
    return ALERT_LINE if found is None else found.risk_line


def stored_model(connection: Connection, model_id: int) -> StoredModel:
    """Raises UnknownModel."""
    for model in stored_models(connection):
        if model.id == model_id:
            return model
    raise UnknownModel(f"there is no anomaly model {model_id}: leaver model list")


def load_model(connection: Connection, model_id: int) -> AnomalyModel:
    """Raises UnknownModel, and StoredStateError where this program cannot use it."""
    query = select(models.c.state).where(models.c.kind == KIND, models.c.id == model_id)
    state = connection.execute(query).scalar()
    if state is None:
        raise UnknownModel(f"there is no anomaly model {model_id}: leaver model list")
    return AnomalyModel.from_bytes(bytes(state))


def is_usable(connection: Connection, model_id: int) -> bool:
    """Whether this program can use it: it may be another version's. Raises UnknownModel."""
    try:
        load_model(connection, model_id)
    except StoredStateError:
        return False
    return True


def keep_model(
    connection: Connection, state: bytes, summary: ModelSummary, *, now: int, by_hand: bool
) -> StoredModel:
    """Adds it, and makes it the active one as the rules above say. In a write transaction that is alone."""
    active = active_model(connection)
    held = (active is not None and is_usable(connection, active.id)) and (
        (active.summary.chosen and not by_hand) or (summary.cold_start and not active.summary.cold_start)
    )
    values = {"kind": KIND, "created_at": now, "active": False, "state": state}
    model_id = connection.execute(
        insert(models).values(**values, summary=msgspec.to_builtins(summary)).returning(models.c.id)
    ).scalar_one()
    if not held:
        _make_active(connection, stored_model(connection, model_id), now, chosen=False)
    for old in stored_models(connection)[MODELS_KEPT:]:
        if not old.active:
            connection.execute(models.delete().where(models.c.id == old.id))
    return stored_model(connection, model_id)


def choose_model(connection: Connection, model_id: int, *, now: int, actor: str, reason: str) -> StoredModel:
    """Makes it the active one, and keeps it so. In a write transaction that is alone.

    Raises UnknownModel, and StoredStateError where this program cannot use it."""
    load_model(connection, model_id)
    before = active_model(connection)
    _make_active(connection, stored_model(connection, model_id), now, chosen=True)
    audit.append(
        connection,
        at=now,
        actor=actor,
        action="model.activate",
        object=f"model:{model_id}",
        reason=reason,
        detail={"before": None if before is None else before.id},
    )
    return stored_model(connection, model_id)


def model_before(connection: Connection) -> StoredModel:
    """The newest of those made before the active one that were in use once. Raises UnknownModel."""
    active = active_model(connection)
    if active is None:
        raise UnknownModel("there is no active anomaly model: leaver model train")
    for model in stored_models(connection):
        if model.id < active.id and model.summary.activated_at is not None:
            return model
    raise UnknownModel(f"no model before {active.id} was ever in use: leaver model list")


def keep_weeks(
    connection: Connection, model_id: int, weeks: tuple[WatchedWeek, ...], watched_to: int
) -> None:
    """The latest weeks of a model, in place of those known of it. In a write transaction that is alone."""
    summary = stored_model(connection, model_id).summary
    kept = msgspec.structs.replace(summary, weeks=weeks[-WEEKS_KEPT:], watched_to=watched_to)
    _write_summary(connection, model_id, kept)


def _make_active(connection: Connection, model: StoredModel, now: int, *, chosen: bool) -> None:
    connection.execute(update(models).where(models.c.kind == KIND, models.c.active).values(active=False))
    connection.execute(update(models).where(models.c.id == model.id).values(active=True))
    summary = msgspec.structs.replace(model.summary, activated_at=now, chosen=chosen)
    _write_summary(connection, model.id, summary)


def _write_summary(connection: Connection, model_id: int, summary: ModelSummary) -> None:
    values = msgspec.to_builtins(summary)
    connection.execute(update(models).where(models.c.id == model_id).values(summary=values))
