"""Windows of whole days against their plain meaning: each day looked at anew, in any order of arrival."""

from __future__ import annotations

import random
from collections import Counter
from fractions import Fraction
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sigma.correlations import SigmaCorrelationRule

from policies.correlation.correlator import CorrelationAlert, Correlator, Limits
from policies.correlation.day_window import VALUES_A_DAY, DayWindow
from policies.correlation.definition import Correlation, define_correlations
from policies.correlation.group_state import decode_group, encode_group
from policies.correlation.state import restore_state, save_state
from policies.correlation_checks import own_faults
from tests.policies.correlation.naive import OPERATORS
from tests.policies.correlation.test_against_naive import RULES

DAY = 86_400_000
KEEP = Limits(keep=10**12)


def defined(kind: str, days: int, condition: dict[str, Any]) -> list[Correlation]:
    if kind != "event_count":
        condition = {**condition, "field": "v"}
    value = {"type": kind, "rules": ["a"], "group-by": ["g"], "timespan": f"{days}d", "condition": condition}
    rule = SigmaCorrelationRule.from_dict({"title": "c", "correlation": value})
    return define_correlations(RULES, [rule], days={0: days})


Hits = list[dict[str, Any]]
hits = st.lists(
    st.fixed_dictionaries(
        {
            "time": st.integers(0, 12 * DAY),
            "group": st.sampled_from(["x", "y"]),
            "value": st.sampled_from([0, 1, 2, 3, 0.5, 0.1, 2**60]),
        }
    ),
    max_size=30,
).map(lambda found: [{**hit, "event": at} for at, hit in enumerate(found)])
kinds = st.sampled_from(["event_count", "value_count", "value_sum", "value_avg"])
relaxed = settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))


def feed(correlator: Correlator, found: Hits) -> list[CorrelationAlert]:
    return [
        alert
        for hit in found
        for alert in correlator.take(hit["time"], hit["event"], [0], {"g": hit["group"], "v": hit["value"]})
    ]


def naive_value(kind: str, window: Hits) -> Any:
    values = [hit["value"] for hit in window]
    if kind == "event_count":
        return len(values)
    if kind == "value_count":
        return len(set(map(str, values)))
    total = sum(map(Fraction, values))
    return total if kind == "value_sum" else total / len(values)


def naive_days(kind: str, days: int, operator: str, bound: float, found: Hits) -> set[tuple[str, int]]:
    """(group, day) of each day with events whose window of whole days fulfils the condition, as it is now."""
    holding = set()
    for group, day in {(hit["group"], hit["time"] // DAY) for hit in found}:
        window = [h for h in found if h["group"] == group and day - days < h["time"] // DAY <= day]
        if OPERATORS[operator](naive_value(kind, window), bound):
            holding.add((group, day))
    return holding


def fired(alerts: list[CorrelationAlert]) -> Counter[tuple[str, int]]:
    """How many events each day fired with."""
    counted: Counter[tuple[str, int]] = Counter()
    for alert in alerts:
        counted[alert.group["g"], alert.day] += alert.count
    return counted


@relaxed
@given(kinds, st.integers(1, 5), st.sampled_from(["gt", "gte"]), st.integers(0, 6), hits, st.randoms())
def test_in_every_order_the_same_days_fire_with_the_same_number_of_events(
    kind: str, days: int, operator: str, bound: int, found: Hits, order: random.Random
) -> None:
    if kind == "value_avg":
        kind = "value_sum"  # an average may fall again: see below
    shuffled = found[:]
    order.shuffle(shuffled)
    alerts = feed(Correlator(defined(kind, days, {operator: bound}), KEEP), shuffled)
    expected = naive_days(kind, days, operator, bound, found)
    of_day = Counter((hit["group"], hit["time"] // DAY) for hit in found)
    assert fired(alerts) == {place: of_day[place] for place in expected}
    for place in expected:
        times = [h["time"] for h in found if (h["group"], h["time"] // DAY) == place]
        own = [a for a in alerts if (a.group["g"], a.day) == place]
        assert min(a.begun for a in own) == min(times)
        assert max(a.time for a in own) == max(times)


@relaxed
@given(
    kinds,
    st.integers(1, 5),
    st.sampled_from(["lt", "lte", "gt", "gte", "eq", "neq"]),
    st.integers(0, 6),
    hits,
)
def test_a_day_fires_as_soon_as_its_window_fulfils_the_condition(
    kind: str, days: int, operator: str, bound: int, found: Hits
) -> None:
    correlator = Correlator(defined(kind, days, {operator: bound}), KEEP)
    known: set[tuple[str, int]] = set()
    for at in range(len(found)):
        alerts = feed(correlator, found[at : at + 1])
        own = (found[at]["group"], found[at]["time"] // DAY)
        holding = {
            place
            for place in naive_days(kind, days, operator, bound, found[: at + 1])
            if place[0] == own[0] and own[1] <= place[1] < own[1] + days
        }
        assert {(a.group["g"], a.day) for a in alerts} == (holding - known) | ({own} & (known | holding))
        known |= holding


@relaxed
@given(kinds, st.integers(1, 5), st.integers(0, 6), hits, st.integers(0, 30))
def test_days_that_are_saved_and_restored_anywhere_fire_alike(
    kind: str, days: int, bound: int, found: Hits, cut: int
) -> None:
    correlations = defined(kind, days, {"gte": bound})
    limits = Limits(keep=3 * DAY)
    whole = Correlator(correlations, limits)
    expected = feed(whole, found)
    first, second = Correlator(correlations, limits), Correlator(correlations, limits)
    alerts = feed(first, found[:cut])
    restore_state(second, save_state(first))
    assert alerts + feed(second, found[cut:]) == expected
    assert save_state(second) == save_state(whole)
    assert second.count_entries() == whole.size
    for key, window in whole.groups[0].items():
        assert decode_group(encode_group(key, window.kept())) == (key, window.kept())


def test_the_days_are_those_that_come_with_the_events() -> None:
    correlator = Correlator(defined("event_count", 1, {"gte": 2}), KEEP)
    late_evening, next_morning = 23 * DAY // 24, 25 * DAY // 24
    assert correlator.take(late_evening, 0, [0], {"g": "x"}, day=1) == []
    (alert,) = correlator.take(next_morning, 1, [0], {"g": "x"}, day=1)
    assert (alert.day, alert.count, alert.begun, alert.time) == (1, 2, late_evening, next_morning)


def test_state_grows_with_days_and_not_with_events() -> None:
    correlator = Correlator(defined("value_sum", 28, {"gte": 10**12}), Limits(keep=14 * DAY))
    for at in range(20_000):
        correlator.take(at * DAY // 200, at, [0], {"g": "x", "v": 1_000_000})
    window = correlator.groups[0]["x",]
    assert isinstance(window, DayWindow)
    assert window.size == 28 + 14
    assert len(encode_group(("x",), window.kept())) < 1_500


def test_more_values_than_are_kept_do_not_change_what_fires() -> None:
    many = VALUES_A_DAY + 500
    correlator = Correlator(defined("value_count", 7, {"gte": many}), KEEP)
    alerts = feed(correlator, [{"time": n, "event": n, "group": "x", "value": n} for n in range(many + 200)])
    assert [alert.event for alert in alerts] == list(range(many - 1, many + 200))
    few = Correlator(defined("value_count", 7, {"gte": 10}), KEEP)
    feed(few, [{"time": n, "event": n, "group": "x", "value": n} for n in range(3 * many)])
    assert few.size <= 1 + VALUES_A_DAY // 8 + 1


def test_a_window_that_lost_days_fires_on_no_low_count() -> None:
    correlator = Correlator(defined("event_count", 3, {"lt": 2}), Limits(keep=DAY))
    assert [a.day for a in feed(correlator, [_at(0), _at(9)])] == [0, 9]
    assert [a.day for a in feed(correlator, [_at(8)])] == [8], "days 6 to 8 are all there"
    assert feed(correlator, [_at(7)]) == [], "day 5 may have had events"
    assert correlator.counts.too_old == 0
    assert feed(correlator, [_at(5)]) == []
    assert correlator.counts.too_old == 1


def _at(day: int) -> dict[str, Any]:
    return {"time": day * DAY, "event": day, "group": "x", "value": 1}


@pytest.mark.parametrize(
    ("correlation", "own", "words"),
    [
        ({"type": "temporal", "timespan": "7d"}, "days", "needs each event"),
        ({"type": "event_count", "timespan": "36h"}, "days", "whole days"),
        ({"type": "event_count", "timespan": "93d"}, "days", "whole days"),
        ({"type": "event_count", "timespan": "7d"}, "weeks", "only days"),
        ({"type": "value_count", "timespan": "7d", "condition": {"gte": 10_001}}, "days", "10,000"),
    ],
)
def test_what_days_cannot_say_is_refused(correlation: dict[str, Any], own: str, words: str) -> None:
    (fault,) = own_faults({"correlation": correlation, "leaver": {"window": own}})
    assert words in fault.message


@pytest.mark.parametrize("days", [0, 3])
def test_a_window_that_is_made_anew_does_not_take_days_before_it_for_quiet_ones(days: int) -> None:
    few = msgspec.structs.replace(defined("event_count", 3, {"lt": 2})[0], days=days)
    for first_day, firing in ((None, [10, 14]), (10, [14])):
        correlator = Correlator([few], Limits(keep=DAY), first_day=first_day)
        assert [alert.day for alert in feed(correlator, [_at(10), _at(14)])] == firing
