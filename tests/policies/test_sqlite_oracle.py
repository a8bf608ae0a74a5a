"""Our engine against SQLite's, on generated rules, events and sequences that both can express."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sigma.rule import SigmaRule

from policies.correlation.correlator import Correlator
from policies.detection.detection_set import DetectionSet, rule_tree
from tests.policies.correlation.test_against_naive import NAMES, RULES, defined, feed
from tests.policies.sqlite_oracle import completed, fired_events

relaxed = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
words = st.sampled_from(["a", "B", "ab", "AB", "b*a", "?b", r"a\*b", "c c", "a_b", "a%b", "x"])
texts = st.sampled_from(["a", "b", "ab", "aB", "abc", "cab", "a*b", "c c", "a_b", "a%b", "axb", "", None])
modifiers = st.sampled_from(["", "|contains", "|startswith", "|endswith", "|contains|all", "|contains|cased"])


@st.composite
def items(draw: Any) -> tuple[str, Any]:
    field = draw(st.sampled_from(["f", "g"]))
    chosen: tuple[str, Any] = draw(
        st.one_of(
            st.tuples(modifiers.map(lambda m: field + m), st.lists(words, min_size=1, max_size=3)),
            st.tuples(
                st.sampled_from(["|gt", "|gte", "|lt", "|lte", "|neq", ""]).map("n".__add__),
                st.integers(0, 4),
            ),
            st.tuples(st.just(field + "|exists"), st.booleans()),
            st.tuples(st.sampled_from(["f", "g", "n"]), st.none()),
            st.tuples(st.just("f|fieldref"), st.just("g")),
            st.tuples(st.just(field + "|re"), st.sampled_from(["^a", "b$", "a.b", "[bc]+"])),
        )
    )
    return chosen


selections = st.lists(items(), min_size=1, max_size=3).map(dict)
conditions = st.sampled_from(
    ["s1", "s1 and s2", "s1 or s2", "not s1", "s1 and not s2", "not (s1 and s2)", "1 of s*", "all of s*"]
)
events = st.lists(
    st.fixed_dictionaries({"f": texts, "g": texts, "n": st.one_of(st.none(), st.integers(0, 4))}), min_size=1,
    max_size=8,
)  # fmt: skip


@relaxed
@given(selections, selections, conditions, events)
def test_a_rule_fires_on_the_events_that_sqlite_finds(
    one: dict[str, Any], two: dict[str, Any], condition: str, found: list[dict[str, Any]]
) -> None:
    detection = {"s1": one, "s2": two, "condition": condition}
    rule = SigmaRule.from_dict({"title": "t", "logsource": {"category": "x"}, "detection": detection})
    engine = DetectionSet([rule_tree([parsed.parsed for parsed in rule.detection.parsed_condition])])
    assert [at for at, event in enumerate(found) if engine.match(event)] == fired_events(detection, found)


kinds = st.sampled_from(
    ["event_count", "value_count", "value_sum", "value_avg", "value_percentile", "value_median", "temporal",
     "temporal_ordered"]
)  # fmt: skip
sequences = st.lists(
    st.fixed_dictionaries(
        {"time": st.integers(0, 30), "kind": st.sampled_from(NAMES), "v": st.sampled_from([0, 1, 2, 3, 5, 8])}
    ),
    min_size=1,
    max_size=16,
    unique_by=lambda event: event["time"],
)


@relaxed
@given(kinds, sequences, st.sampled_from(["gt", "gte", "lt", "eq"]), st.integers(1, 5))
def test_a_correlation_is_complete_when_sqlite_says_so(
    kind: str, found: list[dict[str, Any]], operator: str, bound: int
) -> None:
    rules = NAMES[:2]
    correlation: dict[str, Any] = {"type": kind, "rules": rules, "group-by": ["g"], "timespan": "7s"}
    if kind.startswith("temporal"):
        correlation["condition"] = {"gte": 2}
    else:
        correlation["condition"] = {operator: bound}
    if kind.startswith("value_"):
        correlation["condition"]["field"] = "v"
    if kind == "value_percentile":
        correlation["condition"]["percentile"] = 90
    documents = [
        *(rule.to_dict() for rule in RULES[:2]),
        {"title": "c", "name": "c0", "correlation": correlation},
    ]
    hits = [
        {"time": e["time"], "event": at, "rules": [e["kind"]], "group": "x", "value": e["v"]}
        for at, e in enumerate(sorted(found, key=lambda e: e["time"]))
    ]
    alerts = feed(Correlator(defined(correlation)), hits)
    ours = [(alert.time // 1000, alert.value) for alert in alerts]
    theirs = completed(documents, [{**event, "g": "x"} for event in found])
    assert [time for time, _ in ours] == [time for time, _ in theirs]
    if not kind.startswith("temporal"):
        assert [round(value, 6) for _, value in ours] == [round(value, 6) for _, value in theirs]
