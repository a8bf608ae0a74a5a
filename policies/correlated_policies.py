"""The correlations among the policies: which rules they count, and where the events lie of what fired."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from policies.correlation.correlator import CorrelationAlert
from policies.correlation.day_window import DAY_MS
from policies.correlation.definition import Correlation, define_correlations
from policies.correlation.plan import CorrelationPlan
from policies.event_parts import Reader, part_reader

_KEPT: Final = 4096


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
        self._counted: Final[dict[tuple[str, ...], tuple[int, ...]]] = {}
        self._readers: Final[dict[tuple[tuple[int, ...], type[msgspec.Struct]], Reader | None]] = {}
        self._sources: Final = self._sources_by_id([rule.id for rule in rules])
        self.told: Final = frozenset(
            source.number
            for each in defined
            if each.kind == "temporal_ordered"
            for source in each.sources
            if not source.is_correlation
        )
        """Numbers of rules that are steps of a sequence."""
        self.reaches: Final[Mapping[str, Reach]] = self._reaches([rule.id for rule in rules])

    def counted(self, rule_ids: Sequence[str]) -> tuple[int, ...]:
        """Which of these rules correlations count."""
        ids = tuple(rule_ids)
        found = self._counted.get(ids)
        if found is None:
            if len(self._counted) >= _KEPT:
                self._counted.clear()
            numbers = self._numbers
            found = self._counted[ids] = tuple([numbers[each] for each in ids if each in numbers])
        return found

    def reader(self, rules: tuple[int, ...], kind: type[msgspec.Struct]) -> Reader | None:
        """For what is counted of events of one class on which these rules hit; None: nothing is read."""
        readers = self._readers
        if (rules, kind) not in readers:
            if len(readers) >= _KEPT:
                readers.clear()
            paths = frozenset[str]().union(*(self.plan.paths[rule] for rule in rules))
            readers[rules, kind] = part_reader(kind, paths) if paths else None
        return readers[rules, kind]

    def number_of(self, rule_id: str) -> int | None:
        """The plan's, of a correlation; None: it is none."""
        return self.ids.index(rule_id) if rule_id in self.ids else None

    def sources_of(self, rule_id: str) -> tuple[str, ...]:
        """Ids of what a correlation counts, in its order."""
        return self._sources[rule_id]

    def _sources_by_id(self, rules: Sequence[str]) -> dict[str, tuple[str, ...]]:
        return {
            rule_id: tuple(
                self.ids[source.number] if source.is_correlation else rules[source.number]
                for source in correlation.sources
            )
            for rule_id, correlation in zip(self.ids, self.plan.correlations, strict=True)
        }

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
