"""How rare a score is: by its own day type, with a tail beyond what was seen, within bounds."""

from __future__ import annotations

import math
import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.alert_budget import ScoredDay, alert_line, replayed_alerts
from analytics.calibration import (
    P_MIN,
    anomaly_p,
    anomaly_points,
    calibrate,
    combined_strangeness,
    make_pool,
)
from analytics.storage_day import DayType

scores = st.lists(st.floats(0, 50) | st.just(0.0), max_size=200)


@given(scores, st.lists(st.floats(-1, 80), min_size=2, max_size=20))
def test_p_falls_as_scores_rise_and_stays_within_bounds(known: list[float], asked: list[float]) -> None:
    pool = make_pool(known)
    found = [pool.p(score) for score in sorted(asked)]
    assert all(P_MIN <= p <= 1 for p in found)
    assert all(later <= earlier + 1e-12 for earlier, later in pairwise(found))


def test_p_is_the_share_of_calibration_days_at_least_as_strange() -> None:
    pool = make_pool(float(n) for n in range(100))
    assert pool.p(50.0) == pytest.approx(51 / 101)
    assert pool.p(-1.0) == pytest.approx(1.0)


def test_beyond_the_98th_percentile_the_tail_is_exponential() -> None:
    source = random.Random(1)
    pool = make_pool(source.expovariate(1.0) for _ in range(20_000))
    for score in (5.0, 8.0, 12.0):
        assert pool.p(score) == pytest.approx(math.exp(-score), rel=0.6)
    assert pool.p(1e6) == P_MIN


@pytest.mark.parametrize("n", [50, 60, 99, 150, 400])
def test_a_small_pool_claims_no_rarer_tail_than_it_has_days(n: int) -> None:
    """Above the 98th percentile of 60 days lies one of them, or the new one: 2 in 61, not 1 in 50."""
    pool = make_pool(float(score) for score in range(n))
    just_above = math.nextafter(pool.tail_start, math.inf)
    assert pool.p(just_above) == pytest.approx((1 + sum(s > pool.tail_start for s in pool.scores)) / (n + 1))


def test_in_small_pools_no_more_new_days_pass_the_line_than_p_says() -> None:
    source = random.Random(11)
    found = [
        make_pool(source.expovariate(1.0) for _ in range(60)).p(source.expovariate(1.0))
        for _ in range(20_000)
    ]
    assert 0.015 < sum(p <= 0.02 for p in found) / len(found) < 0.028


def test_days_that_are_all_alike_make_any_stranger_day_as_rare_as_the_sample_allows() -> None:
    pool = make_pool([0.0] * 99)
    assert pool.p(0.0) == 1.0
    assert pool.p(3.0) == pytest.approx(0.01)


def test_a_calibration_score_that_is_not_a_number_is_refused() -> None:
    with pytest.raises(ValueError, match="not a number"):
        make_pool([1.0, math.nan])


def test_day_types_are_calibrated_apart() -> None:
    work: DayType = "work"
    off: DayType = "off"
    known = [(5.0 + n % 7, work, "sales") for n in range(200)] + [(0.0, off, "sales") for _ in range(200)]
    calibration = calibrate(known)
    assert calibration.p(5.0, "work", "sales") == 1.0
    assert calibration.p(5.0, "off", "sales") < 0.01


def test_too_few_days_off_borrow_the_working_days() -> None:
    calibration = calibrate([(float(n % 10), "work", "sales") for n in range(200)] + [(0.0, "off", "sales")])
    assert calibration.p(4.0, "off", "sales") == pytest.approx(121 / 202, rel=0.01)


def test_a_group_counts_by_its_size() -> None:
    usual = [(float(n % 10), "work", "others") for n in range(500)]
    heavy = [(float(5 + n % 10), "work", "heavy") for n in range(500)]
    calibration = calibrate([*usual, *heavy])  # type: ignore[list-item]
    assert calibration.p(9.0, "work", "heavy") > calibration.p(9.0, "work", "others")
    assert calibration.p(9.0, "work", "nobody knows it") == pytest.approx(351 / 1001, rel=0.01)


def test_both_voters_count_alike() -> None:
    assert combined_strangeness(0.01, 0.0001) == pytest.approx(-math.log(0.001))


def test_weights_divide_p_within_its_bounds() -> None:
    assert anomaly_p(0.01, 5.0) == pytest.approx(0.002)
    assert anomaly_p(0.9, 0.5) == 1.0
    assert anomaly_p(P_MIN, 5.0) == P_MIN
    with pytest.raises(ValueError, match="positive"):
        anomaly_p(0.5, 0.0)


def test_points_are_50_at_the_line_and_each_tenfold_rarity_halves_the_gap() -> None:
    line = 0.004
    assert anomaly_points(line, line) == pytest.approx(50, abs=0.02)
    assert anomaly_points(line / 10, line) == pytest.approx(75, abs=0.05)
    assert anomaly_points(line / 100, line) == pytest.approx(87.5, abs=0.05)
    assert anomaly_points(10 * line, line) == 0
    assert anomaly_points(1.0, line) == 0


def test_the_alert_line_spends_the_budget_and_no_more() -> None:
    source = random.Random(3)
    scored = [ScoredDay(f"p{s}", day, source.random()) for s in range(500) for day in range(28)]
    line = alert_line(scored, 5.0)
    in_order = sorted(scored, key=lambda s: (s.day, s.subject))
    alerts = replayed_alerts(in_order, line)
    assert 65 <= alerts <= 70, "5 of 1,000 people a day, 500 people, 28 days"


def test_a_subject_that_alerted_is_quiet_for_a_week() -> None:
    scored = [ScoredDay("p", day, 0.001) for day in range(15)]
    assert replayed_alerts(scored, 0.01) == 3


def test_without_room_for_a_single_alert_the_line_lies_beyond_all_that_was_seen() -> None:
    scored = [ScoredDay("p", day, 0.01 * (day + 1)) for day in range(28)]
    assert 0 < alert_line(scored, 0.0) < 0.01


def test_after_a_quiet_past_the_line_is_still_rarer_than_one_day_in_twenty() -> None:
    assert alert_line([ScoredDay("p", day, 1.0) for day in range(50)], 5.0) == pytest.approx(0.05)
