"""Alerts of an evaluated company as analysts see them, with their explanations, and the check that the shares
of all alerts add up."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from server.alerts.queries import LIST_MAX, Alert, list_alerts
from server.alerts.view_types import AlertDetail
from server.alerts.views import alert_detail
from server.store.database import Database

EXPLAINED_MAX: Final = 50
_EVENTS: Final = 5
_PARTS: Final = 3
"""A further share tells as much as so many lines."""
_EXACT: Final = 1e-9


class ExplainedAlert(msgspec.Struct, frozen=True):
    """`shape`: of the leak that it is about; None: of none."""

    shape: str | None
    detail: AlertDetail


class ExplainedAlerts(msgspec.Struct, frozen=True):
    """`checked`: how many alerts' shares were added up. `wrong`: of which they do not."""

    alerts: tuple[ExplainedAlert, ...]
    checked: int
    wrong: tuple[int, ...]


def explained_alerts(
    database: Database, wanted: int, leaks: Mapping[str, tuple[str, frozenset[int]]]
) -> ExplainedAlerts:
    """`leaks`: by subject, the shape and the local days. Of each shape the alert of which most is explained
    comes first, then whatever else."""
    with database.read() as connection:
        found = list_alerts(connection, "all", LIST_MAX)
    shapes = {alert.id: _shape(alert, leaks) for alert in found}
    by_telling = sorted(found, key=lambda each: (-_telling(each), -each.score, each.id))
    chosen: list[Alert] = []
    for of_leaks in (True, False):
        taken: set[str] = set()
        for alert in by_telling:
            shape = shapes[alert.id]
            if alert in chosen or (of_leaks and (shape is None or shape in taken)):
                continue
            if len(chosen) < wanted:
                chosen.append(alert)
                taken.add(shape or "")
    return ExplainedAlerts(
        tuple(
            ExplainedAlert(shapes[each.id], alert_detail(database, each.id, evidence_limit=_EVENTS))
            for each in chosen
        ),
        len(found),
        tuple(each.id for each in found if not adds_up(each)),
    )


def adds_up(alert: Alert) -> bool:
    """Points to the score exactly, exact shares to the whole."""
    points: Sequence[int] = [share.points for share in alert.shares]
    whole = math.fsum(share.share for share in alert.shares)
    return sum(points) == alert.score and abs(whole - 1) < _EXACT


def _shape(alert: Alert, leaks: Mapping[str, tuple[str, frozenset[int]]]) -> str | None:
    shape, days = leaks.get(alert.subject, (None, frozenset()))
    return None if days.isdisjoint(alert.facts.get("days", ())) else shape


def _telling(alert: Alert) -> int:
    """How much there is to show of how it came about."""
    explanation = alert.facts.get("explanation", {})
    parts = sum(len(explanation.get(part, ())) for part in ("reasons", "slow_reasons", "changes"))
    return parts + _PARTS * len(alert.shares)
