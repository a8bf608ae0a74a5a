"""What is to be said of the active anomaly model: whether it still fits, and why not."""

from __future__ import annotations

from typing import Final

import msgspec
from sqlalchemy import Connection

from event_schema.struct_base import Milliseconds
from server.training.stored_models import StoredModel, WatchedWeek, active_model

OLD_AFTER_MS: Final = 28 * 86_400_000
"""A model that is older, though one is trained each week, is stale by its age."""


class ModelWatch(msgspec.Struct, frozen=True):
    """`week`: the latest that says something; `stale`: why, None while the model fits."""

    model_id: int
    trained_at: Milliseconds
    chosen: bool
    week: WatchedWeek | None
    stale: str | None
    risk_line: int
    """Of the day queue, 0-100."""
    over_budget: bool
    """Even at its highest line the last 28 days asked for more."""


def model_watch(connection: Connection, now: int) -> ModelWatch | None:
    """None: no anomaly model is in use."""
    active = active_model(connection)
    if active is None:
        return None
    week = next((each for each in reversed(active.summary.weeks) if each.verdict != "unknown"), None)
    summary = active.summary
    return ModelWatch(
        active.id,
        active.created_at,
        summary.chosen,
        week,
        _stale(active, week, now),
        summary.risk_line,
        summary.risk_alerts_a_day > summary.risk_alerts_allowed,
    )


def _stale(active: StoredModel, week: WatchedWeek | None, now: int) -> str | None:
    if week is not None and week.verdict == "stale":
        return week.reason
    if now - active.created_at > OLD_AFTER_MS:
        return f"it is {(now - active.created_at) // 86_400_000} days old"
    return None
