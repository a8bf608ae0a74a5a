"""Backgrounds of many subjects' days (AnomalyModel.known) as records, one a subject and day: kept apart, and
put together again in any order for those that are scored at once. About 3 KB each.

A record has a field "activity.name" for each field of analytics/activity_features.Background, "drift.name"
for those of the drift's, "usual.activity" with what is usual
(anomaly_explanation.usual_amounts), and "group".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from analytics.activity_features import Background
from analytics.anomaly_model import Known
from analytics.drift_features import Baseline, DriftBackground
from analytics.panel import Counts

Records = NDArray[np.void]
_GROUP: Final = "group"
_DRIFT: Final = "drift."
_USUAL: Final = "usual."


def to_records(known: Known, usual: Mapping[str, Counts]) -> Records:
    """One a row of these."""
    fields = _fields(known) | {_USUAL + activity: values for activity, values in usual.items()}
    kind = [(name, values.dtype, values.shape[1:]) for name, values in fields.items()]
    records: Records = np.zeros(len(known.group), dtype=np.dtype(kind))
    for name, values in fields.items():
        records[name] = values
    return records


def group_of(records: Records) -> NDArray[np.intp]:
    return _column(records, _GROUP)


def activity_of(records: Records, activity: str) -> Background:
    names = Background.__struct_fields__
    return Background(*(_column(records, f"{activity}.{name}") for name in names))


def drift_of(records: Records) -> DriftBackground | None:
    """None: the model knows no drift."""
    if f"{_DRIFT}sums" not in (records.dtype.names or ()):
        return None
    baseline = Baseline(*(_column(records, _DRIFT + name) for name in Baseline.__struct_fields__))
    return DriftBackground(baseline, _column(records, f"{_DRIFT}sums"), _column(records, f"{_DRIFT}days"))


def usual_of(record: Records, activity: str) -> Counts:
    """(subjects, measures)."""
    return _column(record, _USUAL + activity)


def _fields(known: Known) -> dict[str, NDArray[Any]]:
    found: dict[str, NDArray[Any]] = {_GROUP: known.group}
    for activity, background in known.activities.items():
        for name in Background.__struct_fields__:
            found[f"{activity}.{name}"] = getattr(background, name)
    if known.drift is not None:
        for name in Baseline.__struct_fields__:
            found[_DRIFT + name] = getattr(known.drift.baseline, name)
        found[f"{_DRIFT}sums"], found[f"{_DRIFT}days"] = known.drift.sums, known.drift.days
    return found


def _column(records: Records, name: str) -> NDArray[Any]:
    return np.ascontiguousarray(records[name])
