"""What is found at which price: by hand, on numbers that can be followed."""

from __future__ import annotations

import numpy as np
import pytest

from server.evaluation.compared.measured import (
    Case,
    Found,
    alert_load,
    area_under_curve,
    found_at,
    found_by,
    recall,
    together,
)

EVERYBODY = 1000


def company(leak: list[float], benign: dict[int, list[float]]) -> tuple[np.ndarray, np.ndarray]:
    """Scores and who is benign, of 1,000 people: number 0 leaks, others score 0 where nothing is said."""
    scores = np.zeros((EVERYBODY, len(leak)))
    scores[0] = leak
    for person, row in benign.items():
        scores[person] = row
    harmless = np.ones(scores.shape, dtype=bool)
    harmless[0] = False
    return scores, harmless


def test_a_leak_is_found_when_it_scores_above_the_false_alerts_of_its_day() -> None:
    scores, benign = company([5.0], {1: [9.0], 2: [6.0], 3: [4.0]})
    case = [Case("burst", 0, (0,))]
    assert found_at(scores, case, benign, 2)["burst"] == Found(1, 0)
    assert found_at(scores, case, benign, 3)["burst"] == Found(1, 1, (1,))


def test_who_had_an_alert_rests_for_a_week_and_leaves_room_for_others() -> None:
    scores, benign = company([0, 5.0], {1: [9.0, 9.0], 2: [1.0, 6.0]})
    case = [Case("burst", 0, (1,))]
    # On the second day person 1 rests, so the one slot goes to person 2, who scores above the leak.
    assert found_at(scores, case, benign, 1)["burst"] == Found(1, 0)
    scores[2, 1] = 4.0
    assert found_at(scores, case, benign, 1)["burst"] == Found(1, 1, (1,))


def test_equal_scores_find_nothing() -> None:
    scores, benign = company([0.0], {})
    assert found_at(scores, [Case("burst", 0, (0,))], benign, 20)["burst"].found == 0


def test_half_a_slot_a_day_is_one_every_other_day() -> None:
    scores, benign = company([5.0, 5.0], {1: [1.0, 9.0], 2: [9.0, 1.0]})
    slots_on_second_day = found_at(scores, [Case("burst", 0, (1,))], benign, 0.5)["burst"]
    assert slots_on_second_day.found == 0


def test_a_day_on_which_few_work_finds_nothing_more_easily() -> None:
    scores, benign = company([1.0], {1: [2.0]})
    benign[2:] = False
    assert found_at(scores, [Case("burst", 0, (0,))], benign, 5)["burst"].found == 0


def test_a_case_counts_once_on_the_first_of_its_days_that_is_found() -> None:
    alerted = np.zeros((3, 4), dtype=bool)
    alerted[0, 2] = alerted[0, 3] = True
    cases = [Case("drip", 0, (1, 2, 3)), Case("drip", 1, (0,))]
    assert found_by(alerted, cases) == {"drip": Found(2, 1, (2,))}


def test_the_area_under_the_curve_counts_ties_half() -> None:
    scores = np.array([[3.0, 1.0], [1.0, 0.0]])
    leaks = np.array([[True, True], [False, False]])
    benign = ~leaks
    assert area_under_curve(scores, leaks, benign) == pytest.approx((2 + 1.5) / 4)
    assert area_under_curve(scores, ~leaks & False, benign) is None


def test_the_load_counts_people_who_leak_nothing() -> None:
    alerted = np.array([[True, True], [True, False], [True, False]])
    benign = np.array([[False, False], [True, True], [True, True]])
    load = alert_load(alerted, benign)
    assert (load.mean, load.most) == (1.0, 2)


def test_seeds_add_up_by_case_not_by_share() -> None:
    both = together([{"drip": Found(1, 1, (3,))}, {"drip": Found(3, 0), "burst": Found(4, 4)}])
    assert both == {"drip": Found(4, 1, (3,)), "burst": Found(4, 4)}
    assert recall(both) == pytest.approx(5 / 8)
    assert recall({}) == 0
