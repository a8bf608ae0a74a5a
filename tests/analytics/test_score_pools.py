"""P-values by day type and group: honest in the body, exponential in the tail, small when stored."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.panel import Floats
from analytics.score_pools import P_MIN, ScorePools, anomaly_points, fit_pools, joint_strangeness, strangeness

ONE = np.zeros(1, dtype=np.intp)


def pools_of(scores: Floats, *, groups: int = 1, group: int = 0) -> ScorePools:
    n = len(scores)
    return fit_pools(scores, np.zeros(n, dtype=np.bool_), np.full(n, group, dtype=np.intp), groups)


def p_of(pools: ScorePools, score: float, *, off: bool = False, group: int = 0) -> float:
    return float(pools.p(np.array([score]), off, np.array([group], dtype=np.intp))[0])


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6), st.integers(50, 20_000))
def test_the_body_counts_and_never_underestimates_p(seed: int, n: int) -> None:
    scores = np.random.default_rng(seed).exponential(1, n)
    pools = pools_of(scores, groups=0)
    for score in (0.0, 0.5, 1.0, 2.0):
        exact = (1 + (scores >= score).sum()) / (n + 1)
        if exact > 0.05:
            assert exact <= p_of(pools, score) + 1e-12 <= exact + 0.002 + 1e-9


def test_the_tail_is_exponential_and_ends_at_the_least_p() -> None:
    scores = np.random.default_rng(1).exponential(1, 20_000)
    pools = pools_of(scores, groups=0)
    assert p_of(pools, 12.0) == pytest.approx(math.exp(-12.0), rel=0.6)
    assert p_of(pools, 1e6) == pytest.approx(P_MIN)
    assert p_of(pools, 6.0) > p_of(pools, 7.0) > p_of(pools, 8.0)


@pytest.mark.parametrize("n", [50, 60, 99, 150, 400])
def test_a_small_pool_claims_no_rarer_tail_than_it_has_days(n: int) -> None:
    """Above the 98th percentile of 60 days lies one of them, or the new one: 2 in 61, not 1 in 50."""
    scores = np.arange(n, dtype=np.float64)
    pools = pools_of(scores, groups=0)
    start = float(pools.tail_start[0])
    just_above = math.nextafter(start, math.inf)
    assert p_of(pools, just_above) == pytest.approx((1 + int((scores > start).sum())) / (n + 1))


def test_in_small_pools_no_more_new_days_pass_the_line_than_p_says() -> None:
    source = np.random.default_rng(11)
    drawn = source.exponential(1, (2_000, 60))
    asked = source.exponential(1, (2_000, 10))
    nobody = np.zeros(10, dtype=np.intp)
    p = np.stack(
        [pools_of(known, groups=0).p(new, False, nobody) for known, new in zip(drawn, asked, strict=True)]
    )
    assert 0.015 < float((p <= 0.02).mean()) < 0.028


def test_scores_that_all_are_equal_are_nothing_unusual_and_one_above_them_is() -> None:
    pools = pools_of(np.zeros(1_000), groups=0)
    assert p_of(pools, 0.0) == 1.0
    assert p_of(pools, 0.1) == pytest.approx(1 / 1_001)


def test_days_off_are_judged_among_days_off() -> None:
    scores = np.concatenate([np.full(500, 5.0), np.linspace(0, 1, 500)])
    off = np.arange(1_000) >= 500
    pools = fit_pools(scores, off, np.zeros(1_000, dtype=np.intp), 0)
    assert p_of(pools, 5.0, off=False) == 1.0
    assert p_of(pools, 5.0, off=True) < 0.01


def test_too_few_days_off_are_judged_among_all_days() -> None:
    scores = np.linspace(0, 1, 500)
    pools = fit_pools(scores, np.arange(500) < 10, np.zeros(500, dtype=np.intp), 0)
    assert p_of(pools, 0.5, off=True) == pytest.approx(0.5, abs=0.02)


def test_a_group_counts_by_its_size() -> None:
    loud, quiet = np.linspace(4, 6, 500), np.linspace(0, 1, 5_000)
    group = np.repeat([0, 1], [500, 5_000]).astype(np.intp)
    pools = fit_pools(np.concatenate([loud, quiet]), np.zeros(5_500, dtype=np.bool_), group, 2)
    loud_p, everybody_p = p_of(pools, 5.0, group=0), p_of(pools, 5.0, group=2)
    assert everybody_p == pytest.approx(0.0456, rel=0.1)
    assert loud_p == pytest.approx(math.sqrt(0.5 * everybody_p), rel=0.1)


def test_a_large_company_s_pools_are_as_small_as_a_small_one_s() -> None:
    pools = pools_of(np.random.default_rng(2).normal(0, 1, 300_000), groups=1)
    # Work and off (both of all days, for there are no days off), and the group's work days.
    assert len(pools.kept) == 2_000 + 2_000 + 500


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_scores_that_are_no_numbers_are_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        pools_of(np.array([1.0, bad]))


def test_no_calibration_day_at_all_makes_nothing_unusual() -> None:
    assert p_of(pools_of(np.zeros(0), groups=0), 10.0) == 1.0


def test_points_are_50_at_the_line_and_halve_the_gap_with_each_tenth() -> None:
    points = anomaly_points(np.array([1.0, 0.1, 0.01, 0.001]), 0.01)
    np.testing.assert_allclose(points, [0, 0, 50, 75], atol=1e-9)


def test_the_voter_that_finds_more_decides() -> None:
    found = strangeness(np.array([0.01, 1.0, 0.5]), np.array([1.0, 0.01, 0.5]))
    np.testing.assert_allclose(found, -np.log([0.01, 0.01, 0.5]))


def test_jointly_both_voters_count_alike() -> None:
    one, other = np.array([0.01]), np.array([1.0])
    assert joint_strangeness(one, other) == joint_strangeness(other, one) == -np.log(0.1)
