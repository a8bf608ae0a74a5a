"""Where hits go: which rules which correlations count, and how their fields are read.

Made once, shared by all correlators of the same correlations.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from policies.correlation.definition import Correlation
from policies.correlation.source_values import field_getter


class Place:
    """Where a rule's hits go: one source of one correlation, and how its fields are read from a record."""

    __slots__ = ("carried", "fields", "group_by", "kind", "mask", "number")

    def __init__(self, number: int, at: int, correlation: Correlation) -> None:
        source = correlation.sources[at]
        self.number, self.mask, self.kind = number, 1 << at, correlation.kind
        self.group_by = [field_getter(path) for path in source.group_by]
        self.fields = [field_getter(path) for path in source.fields]
        self.carried = [field_getter(path) for path in correlation.carried]

    @property
    def reads(self) -> bool:
        """Whether it asks for anything of the record."""
        return bool(self.group_by or self.fields or self.carried)


class CorrelationPlan:
    """`correlations`: as define_correlations orders them."""

    def __init__(self, correlations: Sequence[Correlation]) -> None:
        self.correlations: Final = tuple(correlations)
        self.above: Final[list[list[tuple[int, int]]]] = [[] for _ in correlations]
        """By correlation: those that count its alerts, and as which of their sources."""
        self.of_rule: Final[dict[int, list[Place]]] = {}
        for number, correlation in enumerate(correlations):
            for at, source in enumerate(correlation.sources):
                if source.is_correlation:
                    self.above[source.number].append((number, at))
                else:
                    self.of_rule.setdefault(source.number, []).append(Place(number, at, correlation))
        self.rules: Final = frozenset(self.of_rule)
        """Rules whose hits some correlation counts."""
        self.reading: Final = frozenset(
            rule for rule, places in self.of_rule.items() if any(place.reads for place in places)
        )
        """Of these, those of whose events something is read."""
