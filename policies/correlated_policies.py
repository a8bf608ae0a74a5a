"""The correlations among the policies: which rules they count, and where the events lie of what fired."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from policies.correlation.correlator import CorrelationAlert
from policies.correlation.day_window import DAY_MS
from policies.correlation.definition import Correlation, define_correlations
from policies.correlation.plan import CorrelationPlan


class Named(msgspec.Struct, frozen=True):
    """What correlations call a rule by, and a digest of what it matches."""

    id: str
    name: str | None
    content: str


class Wanted(msgspec.Struct, frozen=True):
    """A correlation as it is written. `sigma`: pySigma's. `suppress`: ms. `days`: of a window of whole days,
    else 0."""

    rule_id: str
    sigma: Any
    suppress: int = 0
    days: int = 0


class Reach(msgspec.Struct, frozen=True):
    """Where the events lie that made a correlation fire: `rules` hit on them, at most `days` days earlier."""

    rules: frozenset[str]
    days: int


class CorrelatedPolicies:
    """Rules are known by their ids, correlations too; numbers are the plan's own."""

    def __init__(self, rules: Sequence[Named], correlations: Sequence[Wanted]) -> None:
        defined = define_correlations(
            rules,
            [each.sigma for each in correlations],
            suppress={at: each.suppress for at, each in enumerate(correlations)},
            days={at: each.days for at, each in enumerate(correlations)},
            contents=[rule.content for rule in rules],
        )
        self.plan: Final = CorrelationPlan(defined)
        self.ids: Final = tuple(str(each.rule_id).lower() for each in defined)
        """By the plan's numbers."""
        self._numbers: Final = {rules[number].id: number for number in sorted(self.plan.rules)}
        self.reaches: Final[Mapping[str, Reach]] = self._reaches([rule.id for rule in rules])

    def counted(self, rule_ids: Sequence[str]) -> list[int]:
        """Which of these rules correlations count."""
        numbers = self._numbers
        return [numbers[each] for each in rule_ids if each in numbers]

    def id_of(self, alert: CorrelationAlert) -> str:
        return self.ids[alert.correlation]

    def _reaches(self, rules: Sequence[str]) -> dict[str, Reach]:
        found: list[Reach] = []
        for correlation in self.plan.correlations:
            below = [found[source.number] for source in correlation.sources if source.is_correlation]
            own = {rules[source.number] for source in correlation.sources if not source.is_correlation}
            days = _days_back(correlation) + max((each.days for each in below), default=0)
            found.append(Reach(frozenset(own).union(*(each.rules for each in below)), days))
        return dict(zip(self.ids, found, strict=True))


def _days_back(correlation: Correlation) -> int:
    if correlation.days:
        return correlation.days - 1
    return -(-correlation.timespan // DAY_MS)
