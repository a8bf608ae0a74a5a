"""Which events made a correlation fire: the same as enumerating all windows and sequences, in any order."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import combinations, combinations_with_replacement
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from policies.correlation.correlator import Correlator
from policies.correlation.event_spans import RANGES_MOST, EventSpans
from policies.correlation.made_by import made_on
from policies.correlation.state import restore_state, save_state
from tests.policies.correlation.naive import Hit, naive_alerts
from tests.policies.correlation.test_against_naive import (
    KEEP,
    correlations,
    defined,
    feed,
    hits,
    in_time,
    relaxed,
)


def _events(correlator: Correlator, number: int = 0) -> set[int]:
    made = made_on(correlator, number, 0)
    ranges = [] if made is None else list(made.events.ranges())
    return {event for _, first, last in ranges for event in range(first, last + 1)}


def _naive(correlation: dict[str, Any], found: list[Hit]) -> set[int]:
    """Of growing conditions."""
    span, rules = int(correlation["timespan"][:-1]), correlation["rules"]
    (operator, bound), *_ = correlation["condition"].items()
    needed = bound + 1 if operator == "gt" else bound
    by_event = {hit["event"]: hit for hit in found}
    members: set[int] = set()
    for event in naive_alerts(correlation, found):
        end = by_event[event]
        window = [
            hit
            for hit in in_time(found)
            if hit["group"] == end["group"]
            and end["time"] - span <= hit["time"]
            and (hit["time"], hit["event"]) <= (end["time"], end["event"])
            and set(hit["rules"]) & set(rules)
            and (not correlation["type"].startswith("value_") or hit["value"] is not None)
        ]
        if correlation["type"] == "temporal_ordered":
            members |= _in_sequences(rules, window, needed)
        else:
            members |= {hit["event"] for hit in window}
    return members


def _in_sequences(rules: Sequence[str], window: list[Hit], needed: int) -> set[int]:
    """Of every choice of so many rules, or more, and of events for them in order."""
    found: set[int] = set()
    for length in range(max(1, needed), len(rules) + 1):
        for chosen in combinations(rules, length):
            for events in combinations_with_replacement(window, length):
                if all(rule in hit["rules"] for rule, hit in zip(chosen, events, strict=True)):
                    found |= {hit["event"] for hit in events}
    return found


few = hits.map(lambda found: found[:12])


@relaxed
@given(correlations(only_growing=True), few, st.randoms(use_true_random=False))
def test_in_every_order_of_arrival_they_are_those_of_the_windows_that_fired(
    correlation: dict[str, Any], found: list[Hit], order: random.Random
) -> None:
    shuffled = found[:]
    order.shuffle(shuffled)
    correlator = Correlator(defined(correlation), KEEP)
    feed(correlator, shuffled)
    assert _events(correlator) == _naive(correlation, found)
    again = Correlator(defined(correlation), KEEP)
    restore_state(again, save_state(correlator))
    assert _events(again) == _events(correlator)


def test_a_correlation_of_correlations_is_made_by_the_events_below() -> None:
    lower = {"type": "event_count", "rules": ["a"], "timespan": "3s", "condition": {"gte": 2}}
    upper = {"type": "temporal_ordered", "rules": ["c0", "b"], "timespan": "9s", "condition": {"gte": 2}}
    common = {"group-by": ["g"]}
    correlator = Correlator(defined(lower | common, upper | common), KEEP)
    happened = [("a", 0), ("a", 8), ("a", 10), ("c", 11), ("b", 12)]
    feed(
        correlator,
        [
            {"time": time, "event": at, "rules": [rule], "group": "x", "value": 1}
            for at, (rule, time) in enumerate(happened)
        ],
    )
    assert _events(correlator, 1) == {1, 2, 4}


@relaxed
@given(st.lists(st.integers(0, 40), max_size=60))
def test_a_set_of_events_is_what_was_put_in_and_is_kept_as_it_is(numbers: list[int]) -> None:
    spans = EventSpans()
    for number in numbers:
        spans.add(f"spool{number:016x}")
    told = [(series, number) for series, first, last in spans.ranges() for number in range(first, last + 1)]
    assert told == [("spool", number) for number in sorted(set(numbers))]
    assert spans.count == len(list(spans.ranges()))
    assert list(EventSpans(spans.kept()).ranges()) == list(spans.ranges())


def test_a_set_of_events_is_bounded_and_loses_none() -> None:
    spans = EventSpans()
    numbers = range(0, 5 * RANGES_MOST, 2)
    for number in numbers:
        spans.add(number)
    ranges = [(first, last) for _, first, last in spans.ranges()]
    assert len(ranges) == spans.count <= RANGES_MOST
    assert all(any(first <= number <= last for first, last in ranges) for number in numbers)
