"""Our forest scores as scikit-learn's does, bit for bit, and comes back from its bytes."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from sklearn.ensemble import IsolationForest  # type: ignore[import-untyped]

from analytics.forest import Floats, Forest, ForestError, train_forest
from analytics.sealed_bytes import StoredStateError

NAMES = ("one", "two", "three", "four")


def sparse_rows(seed: int, rows: int) -> Floats:
    source = np.random.default_rng(seed)
    kept = source.random((rows, len(NAMES))) < 0.4
    found: Floats = np.abs(source.normal(0, 3, (rows, len(NAMES)))) * kept
    return found


def small_forest() -> Forest:
    return train_forest(sparse_rows(1, 900), NAMES, seed=5, trees=20, samples=128)


@pytest.mark.parametrize(("trees", "samples"), [(100, 512), (7, 64), (1, 2)])
def test_scores_are_bit_for_bit_those_of_scikit_learn(trees: int, samples: int) -> None:
    matrix = sparse_rows(2, 2_000)
    forest = train_forest(matrix, NAMES, seed=9, trees=trees, samples=samples)
    reference = IsolationForest(n_estimators=trees, max_samples=samples, random_state=9).fit(matrix)
    unseen = sparse_rows(3, 500) * 4
    assert np.array_equal(forest.score(unseen), reference.score_samples(unseen))
    assert np.array_equal(forest.score(unseen[:1]), reference.score_samples(unseen[:1]))
    assert len(forest.score(unseen[:0])) == 0


def test_the_same_seed_gives_the_same_bytes() -> None:
    assert small_forest().to_bytes() == small_forest().to_bytes()


def test_a_forest_comes_back_from_bytes_as_it_was() -> None:
    forest = small_forest()
    back = Forest.from_bytes(forest.to_bytes(), NAMES)
    unseen = sparse_rows(4, 200)
    assert np.array_equal(back.score(unseen), forest.score(unseen))
    assert (back.seed, back.samples, back.trees) == (5, 128, 20)
    assert np.array_equal(back.high, sparse_rows(1, 900).max(axis=0))
    assert back.to_bytes() == forest.to_bytes()


def test_rows_that_are_all_equal_can_be_trained_on() -> None:
    forest = train_forest(np.zeros((50, 4)), NAMES, seed=1)
    assert len(set(forest.score(np.zeros((3, 4))))) == 1


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 1e300])
def test_a_value_that_is_no_float32_number_is_refused_by_name(bad: float) -> None:
    with pytest.raises(ForestError, match="feature three"):
        small_forest().score([[0.0, 0.0, bad, 0.0]])


def test_training_refuses_nan_by_name() -> None:
    matrix = sparse_rows(1, 50)
    matrix[7, 1] = np.nan
    with pytest.raises(ForestError, match="feature two"):
        train_forest(matrix, NAMES, seed=1)


@pytest.mark.parametrize("rows", [[[1.0, 2.0]], [1.0, 2.0, 3.0, 4.0]])
def test_rows_of_another_shape_are_refused(rows: list[list[float]]) -> None:
    with pytest.raises(ForestError, match="has not 4 columns"):
        small_forest().score(rows)


def test_one_row_is_too_few_to_train_on() -> None:
    with pytest.raises(ForestError, match="too few"):
        train_forest(np.zeros((1, 4)), NAMES, seed=1)


def test_a_forest_over_other_features_is_refused() -> None:
    with pytest.raises(ForestError, match=r"is over one, two, three, four, not over one, two"):
        Forest.from_bytes(small_forest().to_bytes(), ("one", "two"))


def test_a_forest_of_another_version_is_refused() -> None:
    data = bytearray(small_forest().to_bytes())
    data[8] = 99
    with pytest.raises(StoredStateError, match="version 99"):
        Forest.from_bytes(bytes(data), NAMES)


def test_every_single_flipped_byte_is_noticed() -> None:
    data = small_forest().to_bytes()
    for at in range(0, len(data), max(1, len(data) // 97)):
        damaged = bytearray(data)
        damaged[at] ^= 0x40
        with pytest.raises(StoredStateError):
            Forest.from_bytes(bytes(damaged), NAMES)


@pytest.mark.parametrize("cut", [0, 7, 20, 200, -40])
def test_a_truncated_forest_is_refused(cut: int) -> None:
    with pytest.raises(StoredStateError):
        Forest.from_bytes(small_forest().to_bytes()[:cut], NAMES)


def test_a_forest_whose_leaves_were_changed_fails_its_own_sample() -> None:
    """Even with a fresh digest: somebody who can write the store cannot quietly move scores."""
    data = small_forest().to_bytes()
    forest = Forest.from_bytes(data, NAMES)
    leaf_value = forest._leaf_value.tobytes()
    at = data.index(leaf_value)
    changed = np.frombuffer(leaf_value, dtype="<f8") + 1.0
    content = data[:at] + changed.tobytes() + data[at + len(leaf_value) : -32]
    with pytest.raises(ForestError, match="scores that scikit-learn gave"):
        Forest.from_bytes(content + hashlib.sha256(content).digest(), NAMES)
