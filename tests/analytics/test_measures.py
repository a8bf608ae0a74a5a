"""Days are whole numbers in the registry's order, bounded, and independent of the order of events."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.measures import ACTIVITIES, MEASURES, SLOW, VALUE_MAX, added, measured_day


def test_every_measure_is_named_once_and_volumes_and_slow_ones_are_amounts() -> None:
    keys = [measure.key for measure in MEASURES]
    assert len(keys) == len(set(keys))
    assert {measure.activity for measure in MEASURES} == set(ACTIVITIES)
    assert not any(measure.novelty for measure in MEASURES if measure.volume or measure.slow)
    assert all(measure.slow for measure in SLOW)


def test_what_is_not_named_is_zero_and_a_petabyte_is_the_most() -> None:
    day = measured_day("removable_storage", {"bytes": 10**18, "files": 3})
    assert day == (VALUE_MAX, 3, 0)


@pytest.mark.parametrize(
    ("activity", "values", "message"),
    [
        ("dancing", {}, "dancing"),
        ("mail", {"bites": 1}, "bites"),
        ("mail", {"bytes": -1}, "whole number"),
        ("mail", {"bytes": 1.5}, "whole number"),
        ("mail", {"bytes": float("nan")}, "whole number"),
        ("mail", {"bytes": True}, "whole number"),
    ],
)
def test_a_broken_day_is_refused_with_its_measure(
    activity: str, values: dict[str, int], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        measured_day(activity, values)


@given(st.lists(st.tuples(st.integers(0, 10**18), st.integers(0, 10**6)), max_size=20))
def test_the_order_of_events_does_not_matter(events: list[tuple[int, int]]) -> None:
    def day_of(those: list[tuple[int, int]]) -> tuple[int, ...]:
        day = measured_day("messaging", {})
        for size, files in those:
            day = added(day, measured_day("messaging", {"bytes": size, "files": files}))
        return day

    shuffled = sorted(events)
    assert day_of(events) == day_of(shuffled) == day_of(shuffled[::-1])


def test_two_million_events_of_a_backup_job_stay_bounded() -> None:
    day = measured_day("files", {})
    step = measured_day("files", {"reads": 10**9, "sensitive_reads": 1})
    for _ in range(2_000_000):
        day = added(day, step)
    assert day == measured_day("files", {"reads": VALUE_MAX, "sensitive_reads": 2_000_000})
