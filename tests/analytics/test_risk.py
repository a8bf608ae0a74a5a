"""Risk adds independent reasons; its shares add up to it, whatever the order."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.risk import ANOMALY_SOURCE, SLOW_SOURCE, Level, RuleDay, notice_weights, risk

TODAY = 739_000
LEVELS: tuple[Level, ...] = ("critical", "high", "medium", "low", "informational")
levels = st.sampled_from(LEVELS)
rule_days = st.dictionaries(
    st.tuples(st.sampled_from(["a", "b", "c", "d"]), st.integers(0, 60)),
    st.tuples(levels, st.integers(1, 10_000)),
    max_size=30,
).map(
    lambda found: [RuleDay(rule, level, TODAY - age, count) for (rule, age), (level, count) in found.items()]
)


def hit(level: Level, *, rule: str = "a", age: int = 0, evidence: int = 1) -> RuleDay:
    return RuleDay(rule, level, TODAY - age, evidence)


@given(st.floats(0, 100), rule_days)
def test_points_add_up_to_the_score_and_shares_to_one(anomaly: float, hits: list[RuleDay]) -> None:
    found = risk(anomaly, hits, TODAY)
    assert 0 <= found.score <= 100
    assert sum(share.points for share in found.shares) == found.score
    if found.shares:
        assert math.fsum(share.share for share in found.shares) == pytest.approx(1.0)


@given(st.floats(0, 100), rule_days, st.randoms(use_true_random=False))
def test_the_order_of_hits_does_not_matter(
    anomaly: float, hits: list[RuleDay], source: random.Random
) -> None:
    shuffled = list(hits)
    source.shuffle(shuffled)
    assert risk(anomaly, shuffled, TODAY) == risk(anomaly, hits, TODAY)


def test_nothing_is_no_risk() -> None:
    found = risk(0.0, [], TODAY)
    assert (found.score, found.shares) == (0, ())


@pytest.mark.parametrize(
    ("level", "score"), [("critical", 95), ("high", 70), ("medium", 50), ("low", 30), ("informational", 10)]
)
def test_one_hit_is_worth_its_level(level: Level, score: int) -> None:
    assert risk(0.0, [hit(level)], TODAY).score == score


def test_anomaly_and_rule_add_as_independent_reasons() -> None:
    found = risk(50.0, [hit("high")], TODAY)
    assert found.score == 85
    by_source = {share.source: share for share in found.shares}
    anomaly, rule = -math.log(0.5), -math.log(0.3)
    assert by_source[ANOMALY_SOURCE].share == pytest.approx(anomaly / (anomaly + rule))
    assert (by_source["a"].points, by_source[ANOMALY_SOURCE].points) == (54, 31)
    assert found.shares[0].source == "a"


def test_a_thousand_files_in_one_copy_are_one_hit() -> None:
    assert risk(0.0, [hit("high", evidence=1000)], TODAY).score == risk(0.0, [hit("high")], TODAY).score


def test_repetition_is_bounded() -> None:
    every_day = [hit("low", age=age) for age in range(60)]
    assert 30 < risk(0.0, every_day, TODAY).score < 55


def test_old_hits_fade_with_a_half_life_of_two_weeks() -> None:
    assert risk(0.0, [hit("high", age=14)], TODAY).score == 35


def test_two_entries_for_one_rule_and_day_are_refused() -> None:
    with pytest.raises(ValueError, match="two entries"):
        risk(0.0, [hit("high"), hit("high")], TODAY)


def test_a_hit_of_tomorrow_is_refused() -> None:
    with pytest.raises(ValueError, match="after"):
        risk(0.0, [hit("high", age=-1)], TODAY)


@pytest.mark.parametrize("anomaly", [-1.0, 101.0, math.nan])
def test_an_anomaly_outside_of_its_range_is_refused(anomaly: float) -> None:
    with pytest.raises(ValueError, match="not within"):
        risk(anomaly, [], TODAY)


def test_a_full_anomaly_gives_100_and_no_error() -> None:
    assert risk(100.0, [hit("critical")], TODAY).score == 100


def test_notice_weighs_five_times_and_the_mean_stays_one() -> None:
    on_notice, others = notice_weights(0.02)
    assert on_notice / others == pytest.approx(5)
    assert 0.02 * on_notice + 0.98 * others == pytest.approx(1)
    with pytest.raises(ValueError, match="not within"):
        notice_weights(1.1)


def test_the_day_s_anomaly_and_drift_are_two_reasons_with_shares_of_their_own() -> None:
    found = risk(50.0, [hit("high")], TODAY, slow_0_100=50.0)
    assert found.score == 93
    points = {share.source: share.points for share in found.shares}
    assert points[ANOMALY_SOURCE] - points[SLOW_SOURCE] in (0, 1)
    assert sum(points.values()) == found.score
    with pytest.raises(ValueError, match="slow_anomaly"):
        risk(0.0, [], TODAY, slow_0_100=101.0)
