"""Queues keep to their budget on the past, and admit the same days in whatever order they come."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.alert_queues import (
    DAY_QUEUE,
    LINE_MAX,
    SLOW_QUEUE,
    Queue,
    admitted,
    alert_line,
    replayed_alerts,
)

NAMES = np.array([f"p{i}" for i in range(50)])


@pytest.mark.parametrize("budget", [1.0, 2.0, 5.0, 50.0])
@pytest.mark.parametrize("queue", [DAY_QUEUE, SLOW_QUEUE])
def test_replaying_at_the_line_stays_within_the_budget_and_a_step_more_does_not(
    budget: float, queue: Queue
) -> None:
    p = np.random.default_rng(4).random((1_000, 28)) ** 2
    seen = np.ones(p.shape, dtype=np.bool_)
    line = alert_line(p, seen, queue, budget)
    allowed = queue.quota(budget, 1_000) * 28
    assert replayed_alerts(p, seen, queue, line) <= allowed
    above = np.sort(p[(p > line) & (p <= LINE_MAX)])
    if len(above):
        assert replayed_alerts(p, seen, queue, float(above[:20].max())) > allowed - 20


def test_a_quiet_past_leaves_the_line_where_a_first_surprise_still_shows() -> None:
    quiet = np.ones((100, 28))
    assert alert_line(quiet, np.ones(quiet.shape, dtype=np.bool_), DAY_QUEUE, 5.0) == LINE_MAX


def test_a_budget_of_nothing_lies_beyond_all_that_was_seen() -> None:
    p = np.full((10, 28), 0.5)
    p[0, 0] = 0.001
    assert alert_line(p, np.ones(p.shape, dtype=np.bool_), DAY_QUEUE, 0.0) < 0.001


def test_nobody_seen_has_no_line() -> None:
    with pytest.raises(ValueError, match="scored days"):
        alert_line(np.ones((3, 28)), np.zeros((3, 28), dtype=np.bool_), DAY_QUEUE, 5.0)


def test_a_subject_cools_down() -> None:
    p = np.full((1, 28), 1e-6)
    seen = np.ones(p.shape, dtype=np.bool_)
    assert replayed_alerts(p, seen, DAY_QUEUE, 0.01) == 4
    assert replayed_alerts(p, seen, SLOW_QUEUE, 0.01) == 1


@given(st.permutations(range(50)), st.integers(0, 20))
def test_the_cap_admits_the_same_whatever_the_order_of_arrival(order: list[int], cap: int) -> None:
    source = np.random.default_rng(7)
    p = source.choice([1e-9, 1e-4, 0.01, 0.5], 50)
    strength = source.integers(0, 3, 50).astype(np.float64)
    ready = source.random(50) < 0.8
    first = set(NAMES[admitted(p, strength, ready, 0.02, cap, NAMES)])
    at = np.array(order)
    again = set(NAMES[at][admitted(p[at], strength[at], ready[at], 0.02, cap, NAMES[at])])
    assert first == again
    assert len(first) == min(cap, int((ready & (p <= 0.02)).sum()))


def test_a_storm_of_equally_strange_days_is_capped_at_three_times_the_budget() -> None:
    n = 1_000
    found = admitted(
        np.full(n, 1e-9),
        np.ones(n),
        np.ones(n, dtype=np.bool_),
        0.01,
        DAY_QUEUE.cap(5.0, n),
        np.array([f"p{i}" for i in range(n)]),
    )
    assert len(found) == 12
