"""The indexed engine fires as rules do that are looked at one after the other, compiled or as closures."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sigma.rule import SigmaRule

from policies.detection.detection_set import DetectionSet, rule_tree
from tests.policies.detection.closures import ConditionSet
from tests.policies.detection.generated_rules import detections, events


def parsed(detection: dict[str, Any]) -> list[Any]:
    rule = SigmaRule.from_dict({"title": "t", "logsource": {"category": "test"}, "detection": detection})
    return [condition.parsed for condition in rule.detection.parsed_condition]


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(detections, min_size=1, max_size=6), st.lists(events, min_size=1, max_size=6))
def test_index_compiled_rules_and_closures_say_the_same(
    rules: list[dict[str, Any]], records: list[dict[str, Any]]
) -> None:
    conditions = [parsed(rule) for rule in rules]
    trees = [rule_tree(each) for each in conditions]
    indexed, plain = DetectionSet(trees), DetectionSet(trees, indexed=False)
    closures = ConditionSet([condition for each in conditions for condition in each])
    for record in records:
        expected = [number for number, holds in enumerate(closures.conditions) if holds(closures.row(record))]
        assert plain.match(record) == expected
        assert indexed.match(record) == expected
