"""Past days score as each did when it ran, and alert through queues that cool down and have a cap."""

from __future__ import annotations

import numpy as np
import pytest

from analytics.alert_queues import DAY_QUEUE
from analytics.anomaly_model import AnomalyModel, Today
from analytics.anomaly_training import train
from analytics.panel import ActivityDays, Panel
from analytics.panel_scores import PanelScores, raised_alerts, score_past
from tests.analytics.company_days import company, panel_of

PEOPLE, DAYS = 40, 40
HISTORY = company(41, PEOPLE, DAYS)
PANEL = panel_of(HISTORY)


@pytest.fixture(scope="module")
def model() -> AnomalyModel:
    return train(PANEL, seed=1, trees=3)


def scored(model: AnomalyModel, rows: slice = slice(None), panel: Panel = PANEL) -> PanelScores:
    history = {name: each.of(rows) for name, each in HISTORY.items()}
    return score_past(model, history, panel.off, DAYS - 4, panel.peer_groups[rows])


def test_each_day_scores_from_the_days_before_it_alone(model: AnomalyModel) -> None:
    found = scored(model)
    day = DAYS - 3
    before = {name: ActivityDays(each.values[:, :day], each.seen[:, :day]) for name, each in HISTORY.items()}
    today = {name: Today(each.values[:, day], each.seen[:, day]) for name, each in HISTORY.items()}
    known = model.known(before, PANEL.off[:day], bool(PANEL.off[day]), PANEL.peer_groups)
    scores = model.score(today, known)
    assert (found.p_day[:, 1] == scores.p_day).all()
    assert (found.strength[:, 1] == scores.strength).all()
    assert (found.p_slow[:, 1] == scores.p_slow).all()


def test_blocks_of_subjects_joined_are_all_of_them(model: AnomalyModel) -> None:
    parts = PanelScores.joined([scored(model, slice(0, 13)), scored(model, slice(13, PEOPLE))])
    whole = scored(model)
    assert np.allclose(parts.p_day, whole.p_day, rtol=1e-12)
    assert (parts.seen == whole.seen).all()


def of(p_day: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> PanelScores:
    ones = np.ones(p_day.shape)
    return PanelScores(p_day, ones, ones, ones, np.ones(p_day.shape, dtype=np.bool_))


def test_who_alerted_is_quiet_until_the_cool_down_is_over(model: AnomalyModel) -> None:
    p = np.ones((PEOPLE, 10))
    p[3] = model.line / 2
    found = raised_alerts(model, of(p), PANEL.subjects, 100)
    assert [(each.queue, each.row, each.day) for each in found] == [
        ("day", 3, 0),
        ("day", 3, DAY_QUEUE.cool_down_days),
    ]


def test_on_no_day_are_there_more_than_the_cap_and_the_strangest_stay(model: AnomalyModel) -> None:
    p = np.full((PEOPLE, 1), model.line)
    p[7] = model.line / 3
    budget = 60.0
    found = raised_alerts(model, of(p), PANEL.subjects, budget)
    assert len(found) == DAY_QUEUE.cap(budget, PEOPLE) == 6
    assert [each.row for each in found] == [7, 0, 1, 2, 3, 4]


def test_unseen_days_and_cold_start_models_raise_nothing(model: AnomalyModel) -> None:
    p = np.zeros((PEOPLE, 3)) + 1e-9
    ones = np.ones(p.shape)
    unseen = PanelScores(p, ones, ones, ones, np.zeros(p.shape, dtype=np.bool_))
    assert raised_alerts(model, unseen, PANEL.subjects, 1000) == []
    cold = train(panel_of(company(3, 10, 5)), seed=1, trees=2)
    assert raised_alerts(cold, of(p), PANEL.subjects, 1000) == []
