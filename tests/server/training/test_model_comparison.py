"""Two models side by side: what each would have alerted about, and which alerts only one of them has."""

from __future__ import annotations

import msgspec
import pytest

from analytics.anomaly_model import AnomalyModel
from server.store.database import Database
from server.training.model_comparison import compare_models
from server.training.stored_models import load_model, stored_models
from tests.server.conftest import NOW
from tests.server.training.conftest import BUDGETS
from tests.server.training.measured_company import END, act, subject


def two_models(database: Database) -> dict[int, AnomalyModel]:
    """The one of the smaller budget first."""
    with database.read() as connection:
        return {each.id: load_model(connection, each.id) for each in reversed(stored_models(connection))}


def test_the_larger_budget_raises_more_and_a_plain_leak_is_raised_by_both(learnt: Database) -> None:
    models = two_models(learnt)
    act(learnt, 7, END - 2, "removable_storage", 10**12, 50_000, 3)
    done: list[tuple[int, int]] = []
    found = compare_models(learnt, models, now=NOW, days=14, progress=lambda *each: done.append(each))
    few, many = found.models
    assert (few.model_id, many.model_id) == tuple(models)
    assert few.day + few.slow < many.day + many.slow
    assert (found.first_day, found.last_day) == (END - 14, END - 1)
    assert found.subject_days == 14 * 60
    assert few.due == pytest.approx(BUDGETS[0] * 14 * 60 / 1000)
    assert done[-1] == (120, 120)
    assert found.both >= 1
    assert not [each for each in found.differing if (each.subject, each.day) == (subject(7), END - 2)]
    only_many = [each for each in found.differing if each.model_id == many.model_id]
    assert only_many
    assert len(only_many) == many.day + many.slow - found.both


def test_a_model_differs_in_nothing_from_itself(learnt: Database) -> None:
    (number, model), _ = two_models(learnt).items()
    found = compare_models(learnt, {number: model, number + 100: model}, now=NOW, days=3)
    assert found.differing == ()
    assert found.models[0].day == found.models[1].day
    assert found.last_day - found.first_day == 2


def test_a_cold_start_model_raises_nothing(learnt: Database) -> None:
    (number, model), _ = two_models(learnt).items()
    content = msgspec.structs.replace(model.content, day_pools=None, drift=None, line=0.0)
    found = compare_models(learnt, {number: model, 99: AnomalyModel(content)}, now=NOW, days=3)
    assert (found.models[1].day, found.models[1].slow, found.models[1].due) == (0, 0, 0)


def test_without_days_there_is_nothing_to_compare_on(learnt: Database) -> None:
    with learnt.begin() as connection:
        connection.exec_driver_sql("DELETE FROM activity_days")
    with pytest.raises(ValueError, match="nothing to compare"):
        compare_models(learnt, two_models(learnt), now=NOW)
