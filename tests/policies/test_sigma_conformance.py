"""The conformance cases that lie beside the checkout: facts from the suites of independent Sigma engines."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from sigma.collection import SigmaCollection
from sigma.rule import SigmaRule

from policies.detection.detection_set import DetectionSet, rule_tree

FOLDER = Path(
    os.environ.get("LEAVER_CONFORMANCE", Path(__file__).parents[3] / "shared" / "conformance" / "sigma")
)


def conformance_cases(name: str) -> list[dict[str, Any]]:
    file = FOLDER / name
    if not file.is_file():
        if os.environ.get("CI") == "true":
            pytest.fail(f"conformance cases are missing: {name} is expected beside the checkout")
        pytest.skip("no conformance cases beside the checkout")
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("indexed", [True, False], ids=["indexed", "one rule after the other"])
def test_all_single_cases_pass(indexed: bool) -> None:
    cases = conformance_cases("core.jsonl")
    wrong = []
    for case in cases:
        rules = SigmaCollection.from_dicts([{"title": "untitled", **document} for document in case["docs"]])
        trees = [
            rule_tree([c.parsed for c in rule.detection.parsed_condition], case.get("placeholders"))
            for rule in rules.rules
            if isinstance(rule, SigmaRule)
        ]
        fired = DetectionSet(trees, indexed=indexed).match(case["event"])
        titles = sorted(rules.rules[number].title for number in fired)
        expected = case["match"] if "match" in case else sorted(case["expect_titles"])
        if expected != (bool(titles) if "match" in case else titles):
            wrong.append(case["id"])
    assert wrong == []
    assert len(cases) >= 297


def test_all_cases_together_fire_as_each_alone() -> None:
    """Hundreds of rules in one index, on every event: routing loses none and adds none."""
    cases = [c for c in conformance_cases("core.jsonl") if not any("filter" in d for d in c["docs"])]
    trees = []
    for case in cases:
        rules = SigmaCollection.from_dicts([{"title": "untitled", **document} for document in case["docs"]])
        trees += [
            rule_tree([c.parsed for c in rule.detection.parsed_condition])
            for rule in rules.rules
            if isinstance(rule, SigmaRule)
        ]
    indexed, plain = DetectionSet(trees), DetectionSet(trees, indexed=False)
    alone = [DetectionSet([tree]) for tree in trees[::9]]
    for case in cases:
        fired = plain.match(case["event"])
        assert indexed.match(case["event"]) == fired
        assert [bool(one.match(case["event"])) for one in alone] == [
            number in fired for number in range(0, len(trees), 9)
        ]
