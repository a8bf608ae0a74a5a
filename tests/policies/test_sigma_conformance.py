"""The conformance cases that lie beside the checkout: facts from the suites of independent Sigma engines."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sigma.rule import SigmaRule

from policies.errors import NotSupported
from policies.matcher import ConditionSet

CASES = Path(__file__).parents[3] / "shared" / "conformance" / "sigma" / "core.jsonl"


def test_cases_that_use_only_what_is_supported_all_pass(
    record_property: Callable[[str, object], None],
) -> None:
    if not CASES.is_file():
        if os.environ.get("CI") == "true":
            pytest.fail(f"conformance cases are missing: {CASES.name} is expected beside the checkout")
        pytest.skip("no conformance cases beside the checkout")
    passed, left_out, wrong = 0, 0, []
    for line in CASES.read_text(encoding="utf-8").splitlines():
        case = json.loads(line)
        if "placeholders" in case or any("filter" in d or "correlation" in d for d in case["docs"]):
            left_out += 1
            continue
        try:
            titles = sorted(d["title"] for d in map(_titled, case["docs"]) if _fires(d, case["event"]))
        except NotSupported:
            left_out += 1
            continue
        expected = case["match"] if "match" in case else sorted(case["expect_titles"])
        if expected == (bool(titles) if "match" in case else titles):
            passed += 1
        else:
            wrong.append(case["id"])
    record_property("conformance", f"{passed} passed, {left_out} use what is not supported")
    assert wrong == []
    assert passed >= 265
    assert left_out <= 32


def _titled(document: dict[str, Any]) -> dict[str, Any]:
    return {"title": "untitled", **document}


def _fires(document: dict[str, Any], event: dict[str, Any]) -> bool:
    rule = SigmaRule.from_dict(document)
    compiled = ConditionSet([condition.parsed for condition in rule.detection.parsed_condition])
    row = compiled.row(event)
    return any(condition(row) for condition in compiled.conditions)
