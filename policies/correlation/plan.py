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
        of_rule: dict[int, list[tuple[Place, Correlation, int]]] = {}
        for number, correlation in enumerate(correlations):
            for at, source in enumerate(correlation.sources):
                if source.is_correlation:
                    self.above[source.number].append((number, at))
                else:
                    place = Place(number, at, correlation)
                    of_rule.setdefault(source.number, []).append((place, correlation, at))
        self.rules: Final = frozenset(of_rule)
        """Rules whose hits some correlation counts."""
        self.reading: Final = {
            rule: [place for place, _, _ in found if place.reads] for rule, found in of_rule.items()
        }
        """By rule: places that read something of its events."""
        self.bare: Final = {
            rule: [(place.number, place.mask) for place, _, _ in found if not place.reads]
            for rule, found in of_rule.items()
        }
        """By rule: correlation and mask of places that read nothing, and have one group."""
        self.alone: Final = [not above for above in self.above]
        self.tops: Final = {
            rule: frozenset(top for _, each, at in found for top in _tops(each, at))
            for rule, found in of_rule.items()
        }
        """By rule: the parts of its events that are read, such as `file` and `leaver`."""


def _tops(correlation: Correlation, at: int) -> list[str]:
    source = correlation.sources[at]
    paths = (*source.group_by, *source.fields, *correlation.carried)
    return [path.partition(".")[0].partition("[")[0] for path in paths]
