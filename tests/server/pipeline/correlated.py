"""Policies with correlations for tests of the pipeline: what names of files say is what happened."""

from __future__ import annotations

from typing import Any

from sigma.correlations import SigmaCorrelationRule
from sigma.rule import SigmaRule

from policies.correlated_policies import Wanted
from policies.engine import ParsedCorrelation, ParsedPolicy, Policy, PolicySet

EXPORTED = "00000000-0000-4000-8000-000000000001"
PACKED = "00000000-0000-4000-8000-000000000002"
SENT = "00000000-0000-4000-8000-000000000003"
COPIED = "00000000-0000-4000-8000-000000000004"
IN_ORDER = "00000000-0000-4000-8000-000000000011"
ADDS_UP = "00000000-0000-4000-8000-000000000012"
FAMILY = "taken_in_steps"


def rule(rule_id: str, name: str, detection: dict[str, Any]) -> ParsedPolicy:
    """It makes no alert by itself."""
    sigma = SigmaRule.from_dict(
        {
            "title": name,
            "id": rule_id,
            "logsource": {"product": "leaver"},
            "detection": {"act": detection, "condition": "act"},
        }
    )
    policy = Policy(rule_id, name, "informational", "", "", "", (), "")
    conditions = tuple(condition.parsed for condition in sigma.detection.parsed_condition)
    return ParsedPolicy(policy, conditions, f"{rule_id} {detection}".encode(), name)


def correlation(rule_id: str, title: str, value: dict[str, Any], days: int = 0) -> ParsedCorrelation:
    sigma = SigmaCorrelationRule.from_dict({"title": title, "id": rule_id, "correlation": value})
    policy = Policy(rule_id, title, "critical", FAMILY, "", "", (), "")
    return ParsedCorrelation(policy, Wanted(rule_id, sigma, days=days), f"{rule_id} {value} {days}".encode())


def steps(timespan: str = "3d") -> ParsedCorrelation:
    """An export, an archive, and something sent, in this order."""
    value = {"type": "temporal_ordered", "rules": ["exported", "packed", "sent"], "timespan": timespan}
    return correlation(IN_ORDER, "in order", value | {"condition": {"gte": 3}})


def adds_up(total: int = 5_000, days: int = 7) -> ParsedCorrelation:
    value = {"type": "value_sum", "rules": ["copied"], "timespan": f"{days}d"}
    return correlation(ADDS_UP, "adds up", value | {"condition": {"field": "file.size", "gte": total}}, days)


RULES = [
    rule(EXPORTED, "exported", {"file.name|endswith": ".sql"}),
    rule(PACKED, "packed", {"file.name|endswith": ".zip"}),
    rule(SENT, "sent", {"file.name|startswith": "out"}),
    rule(COPIED, "copied", {"file.name|endswith": ".doc"}),
]


def policies(*correlations: ParsedCorrelation) -> PolicySet:
    return PolicySet(RULES, correlations or (steps(), adds_up()))
