"""How the risk of one subject rose and fades, day by day: all policy families together, and each by itself.

A rule's days weigh as in risk.py, 2^(−age/14 d) and i^−1.5. Of the anomaly, and likewise of the drift, the
strongest of what is left of the days counts: A · 2^(−age/14 d). It does not add up, so that many slightly odd
days make nobody suspicious. An alert's score takes the anomaly of its own day alone; so the risk on that day
is at least the alert's score, and equal to it unless more is left of an earlier day.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from analytics.risk import HALF_LIFE_DAYS, PI, Risk, RuleDay, risk


class AnomalyPoints(msgspec.Struct, frozen=True):
    """How strange one day was, 0-100 each."""

    day: int
    points: float
    slow_points: float


class FamilyEvidence(msgspec.Struct, frozen=True):
    """All that counts in one policy family."""

    rule_days: Sequence[RuleDay] = ()
    """Several of the same rule and day count as one, with the highest of their levels."""
    anomalies: Sequence[AnomalyPoints] = ()


class RiskOfDay(msgspec.Struct, frozen=True):
    day: int
    risk: Risk
    """Of all families together; its shares add up to the score."""
    families: dict[str, int]
    """Scores by family, of those above 0."""


def risk_over_time(
    families: Mapping[str, FamilyEvidence], first_day: int, last_day: int, *, reach_days: int
) -> tuple[RiskOfDay, ...]:
    """Each day from `first_day` to `last_day`, in order. What is `reach_days` old or older takes no part.

    Raises ValueError where a day's anomaly is not within 0 to 100."""
    together = FamilyEvidence(
        _merged(each for evidence in families.values() for each in evidence.rule_days),
        tuple(each for evidence in families.values() for each in evidence.anomalies),
    )
    merged = {
        name: FamilyEvidence(_merged(evidence.rule_days), evidence.anomalies)
        for name, evidence in sorted(families.items())
    }
    found = []
    for day in range(first_day, last_day + 1):
        scores = {name: _on(day, evidence, reach_days).score for name, evidence in merged.items()}
        found.append(
            RiskOfDay(
                day,
                _on(day, together, reach_days),
                {name: score for name, score in scores.items() if score},
            )
        )
    return tuple(found)


def _on(day: int, evidence: FamilyEvidence, reach_days: int) -> Risk:
    def counts(at: int) -> bool:
        return day - reach_days < at <= day

    strange = slow = 0.0
    for each in evidence.anomalies:
        if counts(each.day):
            left = 2 ** ((each.day - day) / HALF_LIFE_DAYS)
            strange, slow = max(strange, each.points * left), max(slow, each.slow_points * left)
    rule_days = [each for each in evidence.rule_days if counts(each.day)]
    return risk(strange, rule_days, day, slow_0_100=slow)


def _merged(rule_days: Iterable[RuleDay]) -> tuple[RuleDay, ...]:
    found: dict[tuple[str, int], RuleDay] = {}
    for each in rule_days:
        place = each.rule_id, each.day
        known = found.get(place, each)
        level = max(known.level, each.level, key=PI.__getitem__)
        evidence = each.evidence + (known.evidence if place in found else 0)
        found[place] = RuleDay(each.rule_id, level, each.day, evidence)
    return tuple(found[place] for place in sorted(found))
