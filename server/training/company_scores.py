"""A model's scores of a company's past days, a block of subjects at a time."""

from __future__ import annotations

from collections.abc import Callable

from analytics.anomaly_model import AnomalyModel
from analytics.panel_scores import PanelScores, score_past
from server.training.company_days import LoadedDays


def score_company(
    model: AnomalyModel, days: LoadedDays, first: int, progress: Callable[[int], None] = lambda done: None
) -> PanelScores:
    """The days from index `first` on. progress: subjects that are done."""
    parts = []
    for rows, history in days.blocks():
        groups = days.peer_groups[rows]
        parts.append(score_past(model, history, days.off, first, groups, days.weights[rows, first:]))
        progress(rows.stop)
    return PanelScores.joined(parts)
