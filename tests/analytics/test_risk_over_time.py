"""The risk of a subject rises with what happens and fades again; its parts add up on every day."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.risk import PI, Level, RuleDay, risk
from analytics.risk_over_time import AnomalyPoints, FamilyEvidence, RiskOfDay, risk_over_time

REACH = 90
TODAY = 20_000


def over_time(
    evidence: FamilyEvidence, days: int = 60, first: int = TODAY, **others: FamilyEvidence
) -> Sequence[RiskOfDay]:
    return risk_over_time({"copy": evidence, **others}, first, first + days - 1, reach_days=REACH)


def test_a_strange_day_fades_by_half_in_a_fortnight_and_is_gone_after_its_reach() -> None:
    found = over_time(FamilyEvidence(anomalies=[AnomalyPoints(TODAY, 80.0, 0.0)]), days=REACH + 1)
    scores = [each.risk.score for each in found]
    assert (scores[0], scores[14], scores[28]) == (80, 40, 20)
    assert scores == sorted(scores, reverse=True)
    assert (scores[REACH - 1], scores[REACH]) == (1, 0)


def test_nothing_counts_before_it_happened() -> None:
    found = over_time(
        FamilyEvidence([RuleDay("a", "high", TODAY + 5, 1)], [AnomalyPoints(TODAY + 9, 60.0, 0.0)]), days=10
    )
    assert [each.risk.score for each in found][:5] == [0] * 5
    assert found[5].risk.score == 70
    assert found[8].risk.score < 70 < found[9].risk.score


def test_many_slightly_odd_days_do_not_add_up_and_day_and_drift_do() -> None:
    odd = [AnomalyPoints(TODAY + day, 20.0, 0.0) for day in range(30)]
    assert over_time(FamilyEvidence(anomalies=odd), days=30)[-1].risk.score == 20
    both = FamilyEvidence(anomalies=[AnomalyPoints(TODAY, 50.0, 50.0)])
    assert over_time(both)[0].risk.score == 75


def test_families_stand_by_themselves_and_together_they_are_at_least_as_much() -> None:
    found = over_time(
        FamilyEvidence([RuleDay("a", "medium", TODAY, 3)]),
        upload=FamilyEvidence(anomalies=[AnomalyPoints(TODAY + 1, 60.0, 0.0)]),
    )
    assert found[0].families == {"copy": 50}
    assert found[1].families["upload"] == 60
    assert found[1].risk.score > 60
    assert {share.source for share in found[1].risk.shares} == {"a", "anomaly"}


def test_a_rule_that_is_in_two_families_by_now_counts_once_together() -> None:
    twice = over_time(
        FamilyEvidence([RuleDay("a", "low", TODAY, 3)]),
        upload=FamilyEvidence([RuleDay("a", "high", TODAY, 2)]),
    )
    assert twice[0].families == {"copy": 30, "upload": 70}
    assert twice[0].risk.score == 70


def test_what_is_no_score_is_refused() -> None:
    with pytest.raises(ValueError, match="not within 0 to 100"):
        over_time(FamilyEvidence(anomalies=[AnomalyPoints(TODAY, 101.0, 0.0)]))


def rule_days(rules: str) -> st.SearchStrategy[list[RuleDay]]:
    days = st.integers(TODAY, TODAY + 40)
    one = st.builds(RuleDay, st.sampled_from(rules), st.sampled_from(sorted(PI)), days, st.integers(1, 50))
    return st.lists(one, max_size=12)


ANOMALIES = st.lists(
    st.builds(AnomalyPoints, st.integers(TODAY, TODAY + 40), st.floats(0, 100), st.floats(0, 100)),
    max_size=6,
)


@settings(max_examples=60)
@given(rule_days("abc"), ANOMALIES, rule_days("def"), ANOMALIES, st.randoms(use_true_random=False))
def test_shares_add_up_on_every_day_and_order_does_not_matter(
    rules: list[RuleDay],
    strange: list[AnomalyPoints],
    more_rules: list[RuleDay],
    more_strange: list[AnomalyPoints],
    source: random.Random,
) -> None:
    found = over_time(
        FamilyEvidence(rules, strange), days=45, upload=FamilyEvidence(more_rules, more_strange)
    )
    for each in found:
        assert sum(share.points for share in each.risk.shares) == each.risk.score
        if each.risk.shares:
            assert math.fsum(share.share for share in each.risk.shares) == pytest.approx(1)
        assert 0 <= each.risk.score <= 100
        assert max(each.families.values(), default=0) <= each.risk.score
    source.shuffle(rules)
    source.shuffle(strange)
    again = risk_over_time(
        {"upload": FamilyEvidence(more_rules, more_strange), "copy": FamilyEvidence(rules, strange)},
        TODAY,
        TODAY + 44,
        reach_days=REACH,
    )
    assert again == tuple(found)


@settings(max_examples=60)
@given(rule_days("abc"), st.floats(0, 100), st.floats(0, 100))
def test_on_its_day_the_risk_is_the_alert_s_score_unless_more_is_left_of_earlier(
    rules: list[RuleDay], points: float, slow: float
) -> None:
    day = TODAY + 40
    highest: dict[tuple[str, int], Level] = {}
    for each in rules:
        level = highest.get((each.rule_id, each.day), each.level)
        highest[each.rule_id, each.day] = max(level, each.level, key=PI.__getitem__)
    once = [RuleDay(rule, level, at, 1) for (rule, at), level in highest.items()]
    score = risk(points, once, day, slow_0_100=slow).score
    own = [AnomalyPoints(day, points, slow)]
    assert over_time(FamilyEvidence(rules, own), first=day, days=1)[0].risk.score == score
    earlier = [*own, AnomalyPoints(TODAY, 90.0, 0.0)]
    assert over_time(FamilyEvidence(rules, earlier), first=day, days=1)[0].risk.score >= score
