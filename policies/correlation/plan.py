"""Where hits go: which rules which correlations count, and how their fields are read.

Made once, shared by all correlators of the same correlations.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from policies.correlation.definition import Correlation
from policies.correlation.source_values import field_getter

_ROUTES_KEPT: Final = 4096


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


class Step(NamedTuple):
    """One correlation to which an event goes. `place`: None where nothing of the event is read."""

    number: int
    mask: int
    place: Place | None


class Route(NamedTuple):
    """Where an event goes on which certain rules hit. `steps`: by number. `alone`: each goes to another
    correlation, none of which others count."""

    steps: tuple[Step, ...]
    alone: bool


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
        self.paths: Final = {
            rule: frozenset(path for _, each, at in found for path in _paths(each, at))
            for rule, found in of_rule.items()
        }
        """By rule: what is read of its events."""
        self._routes: Final[dict[tuple[int, ...], Route]] = {}

    def route(self, rules: tuple[int, ...]) -> Route:
        """Of an event on which these rules hit."""
        route = self._routes.get(rules)
        if route is None:
            if len(self._routes) >= _ROUTES_KEPT:
                self._routes.clear()
            route = self._routes[rules] = self._route(rules)
        return route

    def _route(self, rules: tuple[int, ...]) -> Route:
        bare: dict[int, int] = {}
        for rule in rules:
            for number, mask in self.bare.get(rule, ()):
                bare[number] = bare.get(number, 0) | mask
        steps = [Step(number, mask, None) for number, mask in bare.items()]
        for rule in rules:
            steps += [Step(place.number, place.mask, place) for place in self.reading.get(rule, ())]
        steps.sort(key=lambda step: step.number)
        alone = len({step.number for step in steps}) == len(steps)
        return Route(tuple(steps), alone and all(self.alone[step.number] for step in steps))


def _paths(correlation: Correlation, at: int) -> tuple[str, ...]:
    source = correlation.sources[at]
    return (*source.group_by, *source.fields, *correlation.carried)
