"""Every kind of correlation against its plain meaning: in any order of arrival, restored, within bounds."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sigma.correlations import SigmaCorrelationRule
from sigma.rule import SigmaRule

from policies.correlation.correlator import CorrelationAlert, Correlator, Limits
from policies.correlation.definition import Correlation, define_correlations
from policies.correlation.state import restore_state, save_state
from tests.policies.correlation.naive import naive_alerts

NAMES = ["a", "b", "c"]
RULES = [
    SigmaRule.from_dict(
        {
            "title": name,
            "name": name,
            "logsource": {"category": "test"},
            "detection": {"s": {"kind": name}, "condition": "s"},
        }
    )
    for name in NAMES
]
KEEP = Limits(keep=10**12)


def defined(*correlations: dict[str, Any]) -> list[Correlation]:
    rules = [
        SigmaCorrelationRule.from_dict({"title": f"c{at}", "name": f"c{at}", "correlation": each})
        for at, each in enumerate(correlations)
    ]
    return define_correlations(RULES, rules)


operators = st.sampled_from(["lt", "lte", "gt", "gte", "eq", "neq"])
growing = st.sampled_from(["gt", "gte"])


@st.composite
def correlations(draw: Any, *, only_growing: bool = False) -> dict[str, Any]:
    kinds = ["event_count", "value_count", "temporal", "temporal_ordered"]
    if not only_growing:
        kinds += ["value_sum", "value_avg", "value_percentile", "value_median"]
    kind = draw(st.sampled_from(kinds))
    rules = draw(st.permutations(NAMES))[: draw(st.integers(1, 3))]
    bound = draw(st.integers(0, 5))
    condition: Any = {draw(growing if only_growing else operators): bound}
    if kind.startswith("value_"):
        condition["field"] = "v"
    if kind == "value_percentile":
        condition["percentile"] = draw(st.sampled_from([0, 1, 25, 50, 90, 95, 100]))
    if kind.startswith("temporal") and not only_growing and draw(st.booleans()):
        rules = draw(st.permutations(NAMES))
        one, two, three = rules
        condition = draw(
            st.sampled_from(
                [
                    f"{one} and {two} and {three}",
                    f"{one} and {two} and not {three}",
                    f"({one} or {two}) and {three}",
                ]
            )
        )
    timespan = f"{draw(st.sampled_from([1, 3, 10]))}s"
    return {"type": kind, "rules": rules, "group-by": ["g"], "timespan": timespan, "condition": condition}


hits = st.lists(
    st.fixed_dictionaries(
        {
            "time": st.integers(0, 20),
            "rules": st.sets(st.sampled_from(NAMES), min_size=1, max_size=2).map(sorted),
            "group": st.sampled_from(["x", "y"]),
            "value": st.sampled_from([None, 0, 1, 2, 3, 0.5, 0.1, -1, 2**60]),
        }
    ),
    max_size=24,
).map(lambda found: [{**hit, "event": at} for at, hit in enumerate(found)])
relaxed = settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))


def feed(correlator: Correlator, found: list[dict[str, Any]]) -> list[CorrelationAlert]:
    alerts = []
    for hit in found:
        rules = [NAMES.index(name) for name in hit["rules"]]
        record = {"g": hit["group"], "v": hit["value"]}
        alerts += correlator.take(hit["time"] * 1000, hit["event"], rules, record)
    return alerts


def told(alerts: list[CorrelationAlert]) -> dict[int, tuple[str, float]]:
    found = {int(alert.event): (alert.group["g"], alert.value) for alert in alerts}
    assert len(found) == len(alerts), "an event completes a correlation once"
    return found


def in_time(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(found, key=lambda hit: (hit["time"], hit["event"]))


@relaxed
@given(correlations(), hits)
def test_in_order_of_time_every_kind_says_what_its_windows_say(
    correlation: dict[str, Any], found: list[dict[str, Any]]
) -> None:
    alerts = feed(Correlator(defined(correlation), KEEP), in_time(found))
    assert told(alerts) == naive_alerts(correlation, found)
    assert not any(alert.late for alert in alerts)


@relaxed
@given(correlations(), hits, st.randoms(use_true_random=False))
def test_within_the_allowed_lateness_the_order_of_arrival_does_not_show(
    correlation: dict[str, Any], found: list[dict[str, Any]], order: random.Random
) -> None:
    correlator = Correlator(defined(correlation), Limits(lateness=10**9))
    shuffled = found[:]
    order.shuffle(shuffled)
    assert feed(correlator, shuffled) == []
    assert told(correlator.finish()) == naive_alerts(correlation, found)


@relaxed
@given(correlations(only_growing=True), hits, st.randoms(use_true_random=False))
def test_events_that_come_late_are_judged_again_until_nothing_is_missing(
    correlation: dict[str, Any], found: list[dict[str, Any]], order: random.Random
) -> None:
    shuffled = found[:]
    order.shuffle(shuffled)
    alerts = feed(Correlator(defined(correlation), KEEP), shuffled)
    expected = naive_alerts(correlation, found)
    assert told(alerts).keys() == expected.keys()
    assert {event: group for event, (group, _) in told(alerts).items()} == {
        event: group for event, (group, _) in expected.items()
    }


@relaxed
@given(
    st.lists(correlations(), min_size=1, max_size=3), hits, st.integers(0, 24), st.sampled_from([0, 5_000])
)
def test_state_that_is_saved_and_restored_anywhere_gives_the_same_alerts(
    several: list[dict[str, Any]], found: list[dict[str, Any]], cut: int, lateness: int
) -> None:
    limits = Limits(lateness=lateness, keep=20_000)
    whole = Correlator(defined(*several), limits)
    expected = feed(whole, found) + whole.finish()
    first = Correlator(defined(*several), limits)
    alerts = feed(first, found[:cut])
    second = Correlator(defined(*several), limits)
    restore_state(second, save_state(first))
    assert alerts + feed(second, found[cut:]) + second.finish() == expected
    assert save_state(second) == save_state(whole)


@relaxed
@given(correlations(only_growing=True), hits, st.integers(1, 6), st.integers(1, 3))
def test_bounds_only_ever_make_fewer_alerts_and_are_counted(
    correlation: dict[str, Any], found: list[dict[str, Any]], entries: int, groups: int
) -> None:
    limits = Limits(entries_in_group=entries, groups=groups, entries=entries, keep=0)
    correlator = Correlator(defined(correlation), limits)
    alerts = told(feed(correlator, in_time(found)))
    expected = naive_alerts(correlation, found)
    assert alerts.keys() <= expected.keys()
    if alerts != expected:
        assert correlator.counts.entries_dropped > 0


@relaxed
@given(hits, st.integers(1, 3), st.integers(1, 3))
def test_a_correlation_over_another_counts_its_alerts(
    found: list[dict[str, Any]], lower_bound: int, upper_bound: int
) -> None:
    lower: dict[str, Any] = {"type": "event_count", "rules": ["a"], "group-by": ["g"], "timespan": "3s"}
    lower["condition"] = {"gte": lower_bound}
    upper: dict[str, Any] = {"type": "value_sum", "rules": ["c0"], "group-by": ["g"], "timespan": "10s"}
    upper["condition"] = {"field": "v", "gte": upper_bound}
    alerts = feed(Correlator(defined(lower, upper), KEEP), in_time(found))
    below = naive_alerts(lower, found)
    assert told([a for a in alerts if a.correlation == 0]) == below
    completed = [{**hit, "rules": ["c0"]} for hit in found if hit["event"] in below]
    assert told([a for a in alerts if a.correlation == 1]) == naive_alerts(upper, completed)


plain = correlations().filter(lambda each: not isinstance(each["condition"], str))


@relaxed
@given(correlations(), plain, hits)
def test_a_chain_of_any_two_kinds_counts_alerts_and_events_as_what_they_are(
    lower: dict[str, Any], upper: dict[str, Any], found: list[dict[str, Any]]
) -> None:
    upper = {**upper, "rules": ["c0", *upper["rules"][1:]]}
    alerts = feed(Correlator(defined(lower, upper), KEEP), in_time(found))
    below = naive_alerts(lower, found)
    known = [
        {**hit, "rules": [*hit["rules"], "c0"] if hit["event"] in below else hit["rules"]} for hit in found
    ]
    assert told([a for a in alerts if a.correlation == 1]) == naive_alerts(upper, known)
