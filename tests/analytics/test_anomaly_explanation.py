"""An explanation names what made the day strange, checks it, and tells what would have been normal."""

from __future__ import annotations

import numpy as np
import pytest

from analytics.anomaly_explanation import Subject, explain_day
from analytics.anomaly_model import AnomalyModel, Today
from analytics.anomaly_training import train
from analytics.measures import ACTIVITIES
from analytics.panel import ActivityDays
from analytics.slow_explanation import explain_drift
from tests.analytics.company_days import company, panel_of, quiet_today, subject

PEOPLE, DAYS = 60, 92


@pytest.fixture(scope="module")
def history() -> dict[str, ActivityDays]:
    return company(21, PEOPLE, DAYS)


@pytest.fixture(scope="module")
def model(history: dict[str, ActivityDays]) -> AnomalyModel:
    return train(panel_of(history), seed=3, trees=40)


def a_day(**activities: tuple[int, ...]) -> dict[str, Today]:
    today = quiet_today(1)
    for name, values in activities.items():
        today[name].values[0] = values
    return today


def never_copied(history: dict[str, ActivityDays]) -> int:
    return int(np.flatnonzero(~history["removable_storage"].values.any(axis=(1, 2)))[0])


def test_a_first_large_copy_is_named_with_value_peers_and_that_it_is_the_first(
    model: AnomalyModel, history: dict[str, ActivityDays]
) -> None:
    row = never_copied(history)
    today = a_day(removable_storage=(4 * 10**9, 312, 0))
    found = explain_day(model, subject(history, row, today, off=False))
    assert found.points >= 50
    first = found.reasons[0]
    assert (first.activity, first.value, first.usual) == ("removable_storage", 4 * 10**9, None) or (
        first.measure,
        first.value,
    ) == ("files", 312)
    assert first.first_in_days is not None and first.first_in_days > 40
    assert all(reason.peers_percentile == 100.0 for reason in found.reasons if reason.days == 1)
    assert found.explained > 0.9
    assert not found.unusual_combination


def test_times_the_usual_come_from_the_subject_s_own_active_days(
    model: AnomalyModel, history: dict[str, ActivityDays]
) -> None:
    values = history["files"].values[:, -28:, 0]
    row = int(np.argmax((values > 0).sum(axis=1)))
    active = values[row][values[row] > 0]
    found = explain_day(model, subject(history, row, a_day(files=(5_000, 0, 0, 0, 0)), off=False))
    reason = next(r for r in found.reasons if r.measure == "sensitive_reads")
    assert reason.first_in_days is None
    if reason.days == 1:
        assert reason.usual == float(np.median(active))
    assert reason.value >= 5_000


def score_of(model: AnomalyModel, of: Subject, today: dict[str, Today]) -> float:
    known = model.known(of.history, of.off, of.off_today, [of.peer_group])
    return float(model.score(today, known).a_day[0])


@pytest.mark.parametrize("row", [0, 1, 2, 3, 4, 5])
def test_the_change_that_is_told_makes_the_day_normal_and_a_little_less_does_not(
    model: AnomalyModel, history: dict[str, ActivityDays], row: int
) -> None:
    today = a_day(removable_storage=(9 * 10**9, 2_000, 2), mail=(10**9, 50, 40))
    one = subject(history, row, today, off=False)
    found = explain_day(model, one)
    assert found.points >= 50
    assert found.changes
    assert found.changed_points < 50
    changed = {name: Today(day.values.copy(), day.seen) for name, day in today.items()}
    for change in found.changes:
        at = [m.name for m in ACTIVITIES[change.activity]].index(change.measure)
        assert changed[change.activity].values[0, at] == change.value > change.normal
        changed[change.activity].values[0, at] = change.normal
    assert score_of(model, one, changed) == pytest.approx(found.changed_points)
    strongest = found.changes[0]
    at = [m.name for m in ACTIVITIES[strongest.activity]].index(strongest.measure)
    changed[strongest.activity].values[0, at] = min(strongest.normal * 2 + 2, strongest.value)
    assert score_of(model, one, changed) >= found.changed_points


def test_a_quiet_day_has_nothing_to_change(model: AnomalyModel, history: dict[str, ActivityDays]) -> None:
    found = explain_day(model, subject(history, 0, a_day(), off=False))
    assert found.changes == ()
    assert found.changed_points == found.points < 50
    assert all(reason.days > 1 for reason in found.reasons)


def test_a_cold_model_explains_nothing(history: dict[str, ActivityDays]) -> None:
    short = {name: each.ending(10) for name, each in history.items()}
    cold = train(panel_of(short), seed=1, trees=20)
    found = explain_day(cold, subject(short, 0, a_day(mail=(10**9, 5, 5)), off=False))
    assert (found.points, found.reasons) == (0.0, ())


def test_a_slow_leak_names_the_measure_that_rose_and_by_how_much(
    model: AnomalyModel, history: dict[str, ActivityDays]
) -> None:
    row = int(np.argmax((history["messaging"].values[:, :, 0] > 0).sum(axis=1)))
    leaking = {name: ActivityDays(each.values.copy(), each.seen) for name, each in history.items()}
    leaking["messaging"].values[row, -27:, 0] = np.where(history["messaging"].seen[row, -27:], 200_000_000, 0)
    found = explain_drift(model, subject(leaking, row, a_day(messaging=(200_000_000, 5)), off=False))
    assert found.points > 50
    first = found.reasons[0]
    assert (first.activity, first.measure) == ("messaging", "bytes")
    assert first.value == 200_000_000 > 3 * first.usual
    assert found.explained > 0.5
    assert not found.unusual_combination


def test_without_drift_in_the_model_there_is_nothing_slow_to_explain(
    history: dict[str, ActivityDays],
) -> None:
    short = {name: each.ending(10) for name, each in history.items()}
    found = explain_drift(train(panel_of(short), seed=1, trees=20), subject(short, 0, a_day(), off=False))
    assert (found.points, found.reasons) == (0.0, ())
