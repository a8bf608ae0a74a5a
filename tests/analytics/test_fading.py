"""An act after leaving weighs less with time, and never nothing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from analytics.fading import faded, higher
from analytics.risk import PI, Level, RuleDay, risk

levels = st.sampled_from(list(PI))


def test_a_critical_rule_is_high_after_half_a_year_and_medium_after_a_year_and_a_half() -> None:
    assert [faded("critical", days) for days in (0, 179, 180, 539, 540, 5_000)] == [
        *("critical", "critical", "high", "high", "medium", "medium"),
    ]


def test_a_rule_that_begins_low_stays_where_it_is() -> None:
    assert [faded(level, 5_000) for level in ("high", "medium", "low", "informational")] == [
        *("medium", "medium", "low", "informational"),
    ]


@given(st.sampled_from(["critical", "high", "medium"]), st.integers(0, 100_000))
def test_one_act_makes_an_alert_however_long_ago_it_was(level: Level, days: int) -> None:
    assert risk(0, [RuleDay("x", faded(level, days), 1, 1)], 1).score >= 50


@given(levels, st.integers(0, 2_000), st.integers(0, 2_000))
def test_it_never_rises_with_time(level: Level, one: int, more: int) -> None:
    assert PI[faded(level, one)] >= PI[faded(level, one + more)]


@given(levels, levels)
def test_the_higher_of_two_does_not_depend_on_their_order(one: Level, other: Level) -> None:
    assert higher(one, other) == higher(other, one)
    assert PI[higher(one, other)] == max(PI[one], PI[other])
