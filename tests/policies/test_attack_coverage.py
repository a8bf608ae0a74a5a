"""The pack says which techniques it looks for, in words that the field knows, and its page is up to date."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from policies.attack_coverage import TECHNIQUES, attack_page, techniques_of
from policies.positioned_yaml import read_yaml
from policies.rule_file import SHIPPED_RULES

RULES = sorted(SHIPPED_RULES.glob("*.yml"))
KNOWLEDGE_BASE = frozenset(
    {
        *("T1005", "T1036", "T1039", "T1048", "T1052", "T1052.001", "T1070", "T1070.004", "T1074", "T1078"),
        *("T1098", "T1113", "T1114", "T1119", "T1133", "T1136", "T1199", "T1213", "T1213.003", "T1552"),
        *("T1560", "T1560.001", "T1565", "T1567", "T1567.002"),
    }
)
"""Of the Center for Threat-Informed Defense, as far as the pack uses it."""
REFERENCE = re.compile(r"CTID Insider Threat TTP Knowledge Base 2\.0: (T\d{4}(?:\.\d{3})?)")


def test_the_page_of_techniques_is_up_to_date() -> None:
    page = Path(__file__).parents[2] / "docs" / "attack_coverage.md"
    assert page.read_text(encoding="utf-8") == attack_page(), "python -m policies.attack_coverage renews it"


@pytest.mark.parametrize("file", RULES, ids=lambda file: file.stem)
def test_a_rule_names_its_techniques_and_where_the_knowledge_base_has_them(file: Path) -> None:
    rule = read_yaml(file.read_text(encoding="utf-8")).value
    assert techniques_of(rule)
    assert techniques_of(rule) <= TECHNIQUES.keys()
    if rule["leaver"].get("building_block"):
        return
    referred = {match[1] for each in rule["references"] if (match := REFERENCE.fullmatch(each))}
    assert referred
    assert referred <= KNOWLEDGE_BASE
    assert referred <= {part for each in techniques_of(rule) for part in (each, each.partition(".")[0])}


@pytest.mark.parametrize("file", RULES, ids=lambda file: file.stem)
def test_a_rule_says_what_to_do_in_three_steps_and_what_else_it_may_be(file: Path) -> None:
    rule = read_yaml(file.read_text(encoding="utf-8")).value
    if not rule["leaver"].get("building_block"):
        assert len(rule["leaver"]["runbook"].strip().splitlines()) == 3
        assert rule["falsepositives"]
    assert len(rule["description"]) > 40
