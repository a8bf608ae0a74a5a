"""How strange one local day of a subject became: a row of `anomaly_days`.

`points` and `slow_points` only rise while the day goes on (detection/anomaly_scoring.py says from what); so
they do not depend on how the events were cut into batches, and an alert never loses what it stood on.

Column `evidence` is JSON {activity: e}, by activity the highest e that the day reached
(analytics/anomaly_model.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, select

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
    """Of alerts (detection/activity_families.py): of the activity that was strangest when the day first
    reached the line; before that, of the one that is by now."""
    slow_family: str = ""
    """The same of the drift."""
    evidence: dict[str, float] = {}
    model_id: int | None = None
    """Which model raised it last."""


_EVIDENCE: Final = msgspec.json.Decoder(dict[str, float])


def load_anomaly_days(
    connection: Connection, subjects: Sequence[str], since: int
) -> dict[str, dict[int, AnomalyDay]]:
    """By subject and local day, from `since` on. As many subjects as one query may hold."""
    found: dict[str, dict[int, AnomalyDay]] = {}
    row = anomaly_days.c
    for subject, day, points, uncalmed, slow, family, slow_family, evidence, model in connection.execute(
        select(anomaly_days).where(row.subject.in_(subjects), row.day >= since)
    ):
        found.setdefault(subject, {})[day] = AnomalyDay(
            day, points, uncalmed, slow, family, slow_family, _EVIDENCE.decode(evidence), model
        )
    return found


def anomaly_rows(subject: str, days: Mapping[int, AnomalyDay], changed: set[int]) -> list[dict[str, Any]]:
    """As the table has them."""
    return [
        msgspec.structs.asdict(days[day])
        | {"subject": subject, "evidence": msgspec.json.encode(days[day].evidence, order="sorted").decode()}
        for day in sorted(changed)
    ]
