"""What a saved state holds besides events, and what becomes of it when rules change or bytes are damaged."""

from __future__ import annotations

from typing import Any

import pytest
from sigma.correlations import SigmaCorrelationRule

from policies.correlation.correlator import Correlator, Limits
from policies.correlation.definition import Correlation, define_correlations
from policies.correlation.state import StateError, restore_state, save_state
from tests.policies.correlation.test_against_naive import RULES


def defined(*conditions: dict[str, Any], suppress: int = 0, contents: Any = None) -> list[Correlation]:
    common = {"type": "event_count", "rules": ["a"], "group-by": ["g"], "timespan": "10s"}
    rules = [
        SigmaCorrelationRule.from_dict({"title": f"c{at}", "correlation": {**common, "condition": condition}})
        for at, condition in enumerate(conditions)
    ]
    quiet = dict.fromkeys(range(len(rules)), suppress)
    return define_correlations(RULES, rules, suppress=quiet, contents=contents)


def feed(correlator: Correlator, first: int, last: int, group: str = "x") -> list[int]:
    """Events at these seconds; those that completed something."""
    return [
        int(alert.event)
        for at in range(first, last)
        for alert in correlator.take(at * 1000, at, [0], {"g": group})
    ]


def restored(correlator: Correlator, correlations: list[Correlation] | None = None) -> Correlator:
    again = Correlator(correlations or correlator.correlations, correlator.limits)
    restore_state(again, save_state(correlator))
    return again


@pytest.mark.parametrize(
    "again", [restored, lambda correlator: correlator], ids=["restored", "uninterrupted"]
)
def test_a_window_from_which_something_was_dropped_fires_on_no_low_count(again: Any) -> None:
    correlator = Correlator(defined({"lt": 6}), Limits(entries_in_group=4, keep=0))
    assert feed(correlator, 0, 5) == [0, 1, 2, 3, 4]
    correlator = again(correlator)
    assert feed(correlator, 5, 9) == [], "more events may have been there"
    assert feed(correlator, 30, 31) == [30], "that window is complete"
    assert correlator.counts.entries_dropped > 0


@pytest.mark.parametrize(
    "again", [restored, lambda correlator: correlator], ids=["restored", "uninterrupted"]
)
def test_a_quiet_group_stays_quiet(again: Any) -> None:
    correlator = Correlator(defined({"gte": 1}, suppress=20_000))
    assert feed(correlator, 0, 3) == [0]
    correlator = again(correlator)
    assert feed(correlator, 3, 22) == [20]
    assert correlator.counts.suppressed == 20


def test_the_group_that_was_quiet_for_longest_goes_first_also_after_a_restart() -> None:
    correlator = Correlator(defined({"gte": 2}), Limits(groups=2))
    for at, group in enumerate("abab"):
        feed(correlator, at, at + 1, group)
    feed(correlator, 4, 5, "a")
    correlator = restored(correlator)
    assert feed(correlator, 5, 6, "c") == []
    assert correlator.counts.groups_dropped == 1
    assert feed(correlator, 6, 7, "a") == [6], "it was there all the time"
    assert feed(correlator, 7, 8, "b") == [], "it had to go"


def test_a_correlation_that_changed_starts_anew_and_its_neighbour_goes_on() -> None:
    correlator = Correlator(defined({"gte": 3}, {"gte": 4}))
    assert feed(correlator, 0, 2) == []
    again = restored(correlator, defined({"gte": 2}, {"gte": 4}))
    assert feed(again, 2, 5) == [3, 3, 4, 4]


def test_a_rule_that_changed_starts_the_correlations_over_it_anew() -> None:
    correlator = Correlator(defined({"gte": 3}, contents=["one", "two", "three"]))
    assert feed(correlator, 0, 2) == []
    changed = defined({"gte": 3}, contents=["other", "two", "three"])
    assert feed(restored(correlator, changed), 2, 4) == []
    same = defined({"gte": 3}, contents=["one", "changed too", "three"])
    assert feed(restored(correlator, same), 2, 3) == [2]


@pytest.mark.parametrize(
    "damage",
    [
        lambda saved: b"",
        lambda saved: saved[:-3],
        lambda saved: saved.replace(b"correlations 2", b"correlations 9"),
        lambda saved: saved[:22] + b"\xc1" + saved[23:],
        lambda saved: saved + b"more",
    ],
)
def test_damaged_bytes_are_refused(damage: Any) -> None:
    correlator = Correlator(defined({"gte": 3}))
    feed(correlator, 0, 2)
    with pytest.raises(StateError):
        restore_state(Correlator(correlator.correlations), damage(save_state(correlator)))


def test_an_event_that_is_read_twice_counts_once() -> None:
    correlator = Correlator(defined({"gte": 3}))
    assert feed(correlator, 0, 2) == []
    assert feed(correlator, 0, 2) == []
    assert feed(correlator, 2, 3) == [2]
    assert feed(correlator, 2, 3) == []


def test_group_keys_without_bound_cost_no_more_than_the_bound() -> None:
    correlator = Correlator(defined({"gte": 2}), Limits(groups=1_000, entries=5_000))
    for at in range(20_000):
        correlator.take(at, at, [0], {"g": f"group {at}"})
    assert len(correlator.groups[0]) == 1_000
    assert correlator.counts.groups_dropped == 19_000
    correlator.take(30_000, 30_000, [0], {"g": [f"value {n}" for n in range(500)]})
    assert correlator.counts.groups_not_counted == 500 - 16
