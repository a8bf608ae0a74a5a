"""The indexed engine fires as rules do that are looked at one after the other, compiled or as closures."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sigma.rule import SigmaRule

from policies.detection.detection_set import DetectionSet, rule_tree
from tests.policies.detection.closures import ConditionSet
from tests.policies.detection.generated_rules import MODIFIERS, TEXTS, WORDS, detections, events


def parsed(detection: dict[str, Any]) -> list[Any]:
    rule = SigmaRule.from_dict({"title": "t", "logsource": {"category": "test"}, "detection": detection})
    return [condition.parsed for condition in rule.detection.parsed_condition]


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
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


def test_every_kind_of_test_finds_every_value_through_the_index() -> None:
    """All pairs, so that no single value depends on chance."""
    wanted: list[tuple[str, Any]] = [
        *(
            (f"f{modifier}", word)
            for modifier in MODIFIERS
            for word in WORDS
            if word or modifier in ("", "|cased")
        ),
        *(("f", value) for value in (7, 7.5, 0, -1, True, False, None)),
        *((f"f|{sign}", number) for sign in ("gt", "gte", "lt", "lte", "neq") for number in (0, 7, 7.5)),
        *(("f|exists", value) for value in (True, False)),
        *((f"f|{how}", pattern) for how in ("re", "re|i") for pattern in ("a+b", "^a", "b$", "[0-9]")),
        ("f|cidr", "10.0.0.0/8"),
        ("f|hour", 0),
    ]
    trees = [rule_tree(parsed({"s": {key: value}, "condition": "s"})) for key, value in wanted]
    trees += [rule_tree(parsed({"s": [word], "condition": "s"})) for word in WORDS if word]
    indexed, plain = DetectionSet(trees), DetectionSet(trees, indexed=False)
    alone = [DetectionSet([tree]) for tree in trees]
    others: list[Any] = [
        7,
        7.0,
        7.5,
        0,
        0.0,
        -1,
        True,
        False,
        None,
        "0",
        "-1",
        " 7 ",
        "nan",
        "1e400",
        "10.1.2.3",
        {},
        [],
    ]
    values = [*TEXTS, *others]
    fired: set[int] = set()
    for value in [*values, *([other, value] for value in values for other in ("x", 7, None))]:
        expected = plain.match({"f": value})
        fired |= set(expected)
        assert indexed.match({"f": value}) == expected, value
        assert [number for number, one in enumerate(alone) if one.match({"f": value})] == expected, value
    assert len(fired) > 0.85 * len(trees)
