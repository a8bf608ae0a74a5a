"""Which policies are about somebody by name: what they find is about that person, whatever it is called.

A rule is where it compares with who somebody is (masked_text.names_people); a correlation also where a rule
that it counts does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from policies.rule_file import ParsedText
from server.policies.masked_text import names_people


def counted_rules(parsed: Mapping[str, ParsedText]) -> dict[str, tuple[str, ...]]:
    """By id of a correlation, the ids of what it counts, as far as they are there."""
    named: dict[str, str] = {}
    for rule_id, each in parsed.items():
        value = each.document.value
        if isinstance(value, dict) and isinstance(value.get("name"), str):
            named[value["name"]] = rule_id
    found = {}
    for rule_id, each in parsed.items():
        counted = _counted(each.document.value)
        if counted:
            found[rule_id] = tuple(named.get(source, source.lower()) for source in counted)
    return found


def naming_policies(parsed: Mapping[str, ParsedText]) -> frozenset[str]:
    """`parsed`: all that hold, by id."""
    found = {rule_id for rule_id, each in parsed.items() if names_people(each.text.text)}
    counted = counted_rules(parsed)
    while True:
        more = {rule_id for rule_id, below in counted.items() if not found.isdisjoint(below)} - found
        if not more:
            return frozenset(found)
        found |= more


def _counted(value: Any) -> list[str]:
    """By name or id."""
    inner = value.get("correlation") if isinstance(value, dict) else None
    rules = inner.get("rules") if isinstance(inner, dict) else None
    return [each for each in rules if isinstance(each, str)] if isinstance(rules, list) else []
