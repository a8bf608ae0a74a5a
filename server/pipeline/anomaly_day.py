"""How strange one local day of a subject became: a row of `anomaly_days`.

`points` and `slow_points` only rise while the day goes on (detection/anomaly_scoring.py says from what); so
they do not depend on how the events were cut into batches, and an alert never loses what it stood on.

Columns `evidence` and `uncalmed_evidence` are JSON {activity: e}, by activity the highest e that the day
reached (analytics/anomaly_model.py), both of the model that `model_id` names; under a cold-start model, which
gives no points, the sum of its features. The second has only what is higher without verdicts of harmless.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Row, select

from server.store.tables import anomaly_days


class AnomalyDay(msgspec.Struct):
    day: int
    points: float = 0.0
    """A_day, 0–100, the alert line at 50; with what verdicts of harmless calm."""
    uncalmed: float = 0.0
    """A_day as if nobody had judged anything; at least `points`."""
    slow_points: float = 0.0
    """A_slow: drift over weeks."""
    family: str = ""
    """Of alerts (detection/activity_families.py): of the activity that was strangest when its points
    first counted (analytics/risk.py COUNTS_FROM); before that, of the one that is by now."""
    slow_family: str = ""
    """The same of the drift."""
    evidence: dict[str, float] = {}
    uncalmed_evidence: dict[str, float] = {}
    model_id: int | None = None
    """Which model scored it last."""


_EVIDENCE: Final = msgspec.json.Decoder(dict[str, float])


def load_anomaly_days(
    connection: Connection, subjects: Sequence[str], since: int
) -> dict[str, dict[int, AnomalyDay]]:
    """By subject and local day, from `since` on. As many subjects as one query may hold."""
    found: dict[str, dict[int, AnomalyDay]] = {}
    at = anomaly_days.c
    query = select(anomaly_days).where(at.subject.in_(subjects), at.day >= since)
    for row in connection.execute(query):
        found.setdefault(row.subject, {})[row.day] = _anomaly_day(row)
    return found


def anomaly_days_of(connection: Connection, day: int) -> dict[str, AnomalyDay]:
    """Everybody's of one local day."""
    query = select(anomaly_days).where(anomaly_days.c.day == day)
    return {row.subject: _anomaly_day(row) for row in connection.execute(query)}


def _anomaly_day(row: Row[Any]) -> AnomalyDay:
    return AnomalyDay(
        day=row.day,
        points=row.points,
        uncalmed=row.uncalmed,
        slow_points=row.slow_points,
        family=row.family,
        slow_family=row.slow_family,
        evidence=_EVIDENCE.decode(row.evidence),
        uncalmed_evidence=_EVIDENCE.decode(row.uncalmed_evidence),
        model_id=row.model_id,
    )


def anomaly_rows(subject: str, days: Mapping[int, AnomalyDay], changed: set[int]) -> list[dict[str, Any]]:
    """As the table has them."""
    return [
        msgspec.structs.asdict(days[day])
        | {
            "subject": subject,
            "evidence": _json(days[day].evidence),
            "uncalmed_evidence": _json(days[day].uncalmed_evidence),
        }
        for day in sorted(changed)
    ]


def _json(evidence: Mapping[str, float]) -> str:
    return msgspec.json.encode(evidence, order="sorted").decode()
