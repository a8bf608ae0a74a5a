"""The change that is told is small, possible, and really makes the day normal."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analytics.measures import ACTIVITIES
from analytics.panel import Floats
from analytics.smallest_change import Place, Scored, smallest_change

LINE = 50.0
BYTES: Place = ("removable_storage", 0)
FILES: Place = ("removable_storage", 1)
MAIL: Place = ("mail", 0)


def scoring(today: Mapping[Place, int], points: Callable[[Mapping[Place, int]], float]) -> Scored:
    def scored(variants: Sequence[Mapping[Place, int]]) -> Floats:
        return np.array([points({**today, **variant}) for variant in variants])

    return scored


def found(
    today: Mapping[Place, int], usual: Mapping[Place, int], points: Callable[[Mapping[Place, int]], float]
) -> dict[Place, int]:
    return smallest_change(scoring(today, points), today, usual, LINE)


def test_one_measure_is_enough_where_it_is_and_it_is_as_large_as_can_be() -> None:
    today, usual = {BYTES: 10**9, MAIL: 10**9}, {BYTES: 0, MAIL: 0}
    change = found(today, usual, lambda day: 100.0 if day[BYTES] > 123_456 else 10.0)
    assert change.keys() == {BYTES}
    assert 100_000 < change[BYTES] <= 123_456


def test_all_that_is_needed_is_told_and_nothing_else() -> None:
    today, usual = {BYTES: 900, MAIL: 900, FILES: 7}, {BYTES: 5, MAIL: 5, FILES: 7}
    change = found(today, usual, lambda day: 60.0 if max(day[BYTES], day[MAIL]) > 80 else 10.0)
    assert change == {BYTES: 80, MAIL: 80}


def test_something_small_is_preferred_to_nothing_at_all() -> None:
    today, usual = {BYTES: 10**9, FILES: 40}, {BYTES: 0, FILES: 0}
    change = found(today, usual, lambda day: 60.0 if day[BYTES] > 1000 or day[FILES] > 2 else 10.0)
    assert change[FILES] == 2
    assert 990 < change[BYTES] <= 1000


def test_no_bytes_go_without_files() -> None:
    today, usual = {BYTES: 10**9, FILES: 40}, {BYTES: 0, FILES: 0}
    assert found(today, usual, lambda day: 60.0 if day[BYTES] > 1000 or day[FILES] else 10.0) == {
        BYTES: 0,
        FILES: 0,
    }


def test_where_no_change_of_today_suffices_there_is_none() -> None:
    today, usual = {BYTES: 10**9}, {BYTES: 0}
    assert found(today, usual, lambda _: 60.0) == {}
    assert found({BYTES: 5}, {BYTES: 5}, lambda _: 60.0) == {}
    assert found({}, {}, lambda _: 60.0) == {}


PLACES = [(name, at) for name, measures in ACTIVITIES.items() for at in range(len(measures))]


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.dictionaries(st.sampled_from(PLACES), st.integers(1, 10**12), min_size=1, max_size=6),
    st.floats(0, 1),
    st.floats(1, 40),
)
def test_what_is_told_is_below_the_line_and_never_more_than_today(
    today: dict[Place, int], part: float, limit: float
) -> None:
    def points(day: Mapping[Place, int]) -> float:
        return 2 * math.fsum(math.log1p(value) for value in day.values()) * 25 / limit

    if points(today) < LINE:
        return
    usual = {place: int(value * part) for place, value in today.items()}
    change = found(today, usual, points)
    if change:
        assert points({**today, **change}) < LINE
        assert all(0 <= value < today[place] for place, value in change.items())
    else:
        assert points({**today, **usual}) >= LINE or usual == today
