"""The line keeps what rules and anomalies ask for together to the budget, and a grave rule above it."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analytics.alert_queues import DAY_QUEUE
from analytics.risk_line import ALERT_LINE, RISK_LINE_MAX, LineScores, PastRisk, replayed, risk_line


def past(subject: str, day: int, score: int, *, drift: int = 0, without: int | None = None) -> PastRisk:
    return PastRisk(subject, day, LineScores(score, score if without is None else without, drift))


# Time and the drawing of lists are those of a busy machine, too.
busy = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
risks = st.builds(
    lambda who, day, total, less, drift: past(
        f"p{who}", day, total, drift=drift, without=max(total - less, 0)
    ),
    st.integers(0, 12),
    st.integers(0, 27),
    st.integers(40, 100),
    st.integers(0, 60),
    st.integers(0, 60),
)


@busy
@given(st.lists(risks, max_size=80), st.floats(0, 30))
def test_the_replay_at_the_line_keeps_to_the_budget_or_the_line_is_at_its_bound(
    days: list[PastRisk], allowed: float
) -> None:
    found = risk_line(days, allowed)
    assert ALERT_LINE <= found.line <= RISK_LINE_MAX
    assert found.alerts == replayed(days, found.line)
    assert found.alerts <= allowed or (found.is_bounded and found.line == RISK_LINE_MAX)
    # It is no higher than it must be.
    assert all(replayed(days, line) > allowed for line in range(ALERT_LINE, found.line))


@busy
@given(st.lists(risks, max_size=40), st.randoms())
def test_the_order_of_the_days_does_not_show(days: list[PastRisk], dice: object) -> None:
    shuffled = list(days)
    dice.shuffle(shuffled)  # type: ignore[attr-defined]
    assert risk_line(shuffled, 3) == risk_line(days, 3)


def test_a_quiet_past_leaves_the_line_at_50_and_a_loud_one_never_silences_a_rule_of_level_high() -> None:
    assert risk_line([], 0.0).line == ALERT_LINE
    loud = [past(f"p{n}", day, 100) for n in range(100) for day in range(28)]
    found = risk_line(loud, 0.3 * 28)
    assert (found.line, found.is_bounded) == (70, True)
    assert past("p", 0, 70).scores.queue(found.line) == "day"


def test_rules_of_level_medium_need_company_where_they_alone_are_over_the_budget() -> None:
    days = [past(f"p{n}", n % 28, 50) for n in range(100)] + [past("q", 3, 65), past("r", 4, 75)]
    assert risk_line(days, 10).line == 51
    assert risk_line(days, 1).line == 66


def test_a_subject_cools_down_and_two_families_of_a_day_are_two() -> None:
    daily = [past("p", day, 60) for day in range(28)]
    assert replayed(daily, 50) == 28 / DAY_QUEUE.cool_down_days
    assert replayed([past("p", 3, 60), past("p", 3, 55), past("p", 9, 60), past("p", 10, 60)], 50) == 3


def test_drift_is_the_slow_queue_s_where_the_rest_says_nothing() -> None:
    assert replayed([past("p", 3, 80, drift=60, without=24)], 50) == 0
    assert replayed([past("p", 3, 80, drift=60, without=25)], 50) == 1
    assert replayed([past("p", 3, 80, drift=60, without=63)], 63) == 1
    assert replayed([past("p", 3, 62, drift=60, without=25)], 63) == 0


def of(rest: int, drift: int) -> LineScores:
    whole = 100 - (100 - rest) * (100 - drift) / 100
    return LineScores(round(whole), rest, drift)


@busy
@given(*[st.integers(0, 100)] * 4, st.integers(ALERT_LINE, RISK_LINE_MAX))
def test_more_of_anything_takes_no_day_out_of_the_queues_nor_back_from_the_day_queue(
    rest: int, drift: int, more_rest: int, more_drift: int, line: int
) -> None:
    rank = {None: 0, "slow": 1, "day": 2}
    less, more = of(rest, drift), of(max(rest, more_rest), max(drift, more_drift))
    assert rank[less.queue(line)] <= rank[more.queue(line)]


def test_a_negative_quota_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="negative"):
        risk_line([], -1.0)
