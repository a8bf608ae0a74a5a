"""The model as a whole on a simulated company: what ranks first, what is left alone."""

from __future__ import annotations

import random
from bisect import bisect_left, bisect_right
from collections.abc import Sequence

import msgspec
import pytest

from analytics.forest import ForestError
from analytics.sealed_bytes import StoredStateError
from analytics.storage_day import DayType, HistoryDay, StorageDay
from analytics.storage_features import FEATURE_NAMES, storage_features
from analytics.storage_model import AnomalyScore, DayToScore, StorageModel, SubjectHistory
from tests.analytics.simulated_company import (
    before,
    day_type_of,
    group_of,
    planted_burst,
    simulated_histories,
    training_set,
)

DAYS = 60
QUIET = (0.0,) * len(FEATURE_NAMES)


@pytest.fixture(scope="module")
def histories() -> dict[str, list[HistoryDay]]:
    return simulated_histories(7, people=150, days=DAYS + 28)


@pytest.fixture(scope="module")
def model(histories: dict[str, list[HistoryDay]]) -> StorageModel:
    return StorageModel.train(training_set(histories, 0, DAYS), seed=7)


def score_one(
    model: StorageModel, features: Sequence[float], day_type: DayType, group: str, *, weight: float = 1.0
) -> AnomalyScore:
    [found] = model.score_days([DayToScore(features, day_type, group, weight)])
    return found


def score_of(
    model: StorageModel, subject: str, day: int, today: StorageDay, history: list[HistoryDay]
) -> AnomalyScore:
    group = group_of(subject)
    features = storage_features(today, day_type_of(day), history, model.peers(group))
    return score_one(model, features, day_type_of(day), group)


def test_planted_bursts_rank_above_ordinary_days_and_the_budget_holds(
    model: StorageModel, histories: dict[str, list[HistoryDay]]
) -> None:
    source = random.Random(7)
    ordinary: list[float] = []
    planted: list[float] = []
    alerts = 0
    quiet_until: dict[str, int] = {}
    for day in range(DAYS, DAYS + 28):
        for subject, days in histories.items():
            today = days[day].storage
            if today is None:
                continue
            score = score_of(model, subject, day, today, before(days, day)).a_0_100
            ordinary.append(score)
            if score >= 50 and day >= quiet_until.get(subject, 0):
                alerts += 1
                quiet_until[subject] = day + 7
            if day_type_of(day) == "work" and source.random() < 0.03:
                leak = planted_burst(source)
                both = StorageDay(today.bytes + leak.bytes, today.files + leak.files, leak.new_devices)
                planted.append(score_of(model, subject, day, both, before(days, day)).a_0_100)
    ordinary.sort()
    wins = sum(bisect_left(ordinary, s) + bisect_right(ordinary, s) for s in planted) / 2
    area = wins / len(planted) / len(ordinary)
    recall = sum(s >= 50 for s in planted) / len(planted)
    per_1000_a_day = 1000 * alerts / len(ordinary)
    assert len(planted) > 50
    assert area > 0.98
    assert recall > 0.75
    assert per_1000_a_day < 12, "budget 5, on days that the model has not seen"


def test_a_quiet_day_is_no_anomaly(model: StorageModel) -> None:
    score = score_one(model, QUIET, "work", "sales")
    assert (score.a_0_100, score.cold_start) == (0.0, False)
    assert score.p > 0.5


def test_weight_moves_people_on_notice_up(model: StorageModel) -> None:
    features = (3.0, 2.0, 0.0, 1.0, 0.0, 2.0, 2.0, 1.0, 1.0)
    plain = score_one(model, features, "work", "sales")
    weighed = score_one(model, features, "work", "sales", weight=4.6)
    assert weighed.p == pytest.approx(plain.p / 4.6)
    assert weighed.a_0_100 > plain.a_0_100


def test_a_model_comes_back_from_bytes_as_it_was(model: StorageModel) -> None:
    back = StorageModel.from_bytes(model.to_bytes())
    features = (9.0, 7.0, 3.0, 4.0, 4.0, 6.0, 5.0, 3.0, 2.0)
    assert score_one(back, features, "off", "finance") == score_one(model, features, "off", "finance")
    assert back.peers("finance") == model.peers("finance")
    assert (back.tau, back.trained_on) == (model.tau, (150, DAYS))
    assert back.to_bytes() == model.to_bytes()


def test_training_does_not_depend_on_the_order_of_subjects() -> None:
    history = training_set(simulated_histories(3, people=20, days=30), 0, 30)
    backwards = dict(reversed(list(history.items())))
    assert StorageModel.train(history, seed=1).to_bytes() == StorageModel.train(backwards, seed=1).to_bytes()


def test_fewer_than_14_days_give_a_cold_model_that_says_so() -> None:
    cold = StorageModel.train(training_set(simulated_histories(3, people=60, days=13), 0, 13), seed=1)
    score = score_one(cold, (15.0,) * len(FEATURE_NAMES), "work", "sales")
    assert cold.cold_start
    assert (score.a_0_100, score.cold_start) == (0.0, True)
    assert StorageModel.from_bytes(cold.to_bytes()).cold_start


def test_days_without_data_do_not_count_as_history() -> None:
    days = (HistoryDay("work", StorageDay()),) * 10 + (HistoryDay("work", None),) * 50
    history = {f"p{n}": SubjectHistory("sales", days) for n in range(60)}
    assert StorageModel.train(history, seed=1).cold_start


def test_nobody_at_all_gives_a_cold_model() -> None:
    assert StorageModel.train({}, seed=1).cold_start


def test_a_company_that_never_copies_alerts_on_the_first_large_copy() -> None:
    days = tuple(HistoryDay(day_type_of(60 - n), StorageDay()) for n in range(60))
    model = StorageModel.train({f"p{n:04d}": SubjectHistory("sales", days) for n in range(30)}, seed=1)
    today = StorageDay(4_000_000_000, 200, 1)
    features = storage_features(today, "work", days, model.peers("sales"))
    assert score_one(model, features, "work", "sales").a_0_100 >= 50


def test_a_small_group_is_compared_with_everybody(model: StorageModel) -> None:
    assert model.peers("a group nobody is in") == model.peers("another one")


def test_a_feature_that_is_not_a_number_is_refused(model: StorageModel) -> None:
    with pytest.raises(ForestError, match="megabytes_burst"):
        score_one(model, (float("nan"), *QUIET[1:]), "work", "sales")


def test_bytes_of_another_version_or_kind_are_refused(model: StorageModel) -> None:
    data = bytearray(model.to_bytes())
    data[8] = 2
    with pytest.raises(StoredStateError, match="version 2, this program reads 1"):
        StorageModel.from_bytes(bytes(data))
    with pytest.raises(StoredStateError, match="something else"):
        StorageModel.from_bytes(msgspec.msgpack.encode({"model": 1}) * 20)


def test_a_flipped_byte_is_noticed(model: StorageModel) -> None:
    data = bytearray(model.to_bytes())
    data[len(data) // 2] ^= 1
    with pytest.raises(StoredStateError, match="damaged"):
        StorageModel.from_bytes(bytes(data))
