"""A correlation as the engine runs it, made from pySigma's rule.

`sources` are what it counts: rules, or other correlations. An event's share in it is a mask with one bit
a source, so that an event that several of its rules match is one event.
"""

from __future__ import annotations

import hashlib
import operator
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any, Final

import msgspec
from sigma.correlations import (
    CorrelationConditionAND,
    CorrelationConditionNOT,
    CorrelationConditionOR,
    SigmaCorrelationRule,
    SigmaExtendedCorrelationCondition,
    SigmaRuleReference,
)

from policies.correlation_checks import by_reference, references

_COMPARE: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "lt": operator.lt,
    "lte": operator.le,
    "gt": operator.gt,
    "gte": operator.ge,
    "eq": operator.eq,
    "neq": operator.ne,
}
_GROWING: Final = frozenset({"event_count", "value_count", "temporal", "temporal_ordered"})
_COUNTING: Final = frozenset({"event_count", "value_count"})
_ENTRIES_MOST: Final = 10_000

MaskTest = Callable[[int], bool]
Number = int | float | Fraction


class Source(msgspec.Struct, frozen=True):
    """`number`: of a rule, or of a correlation. `group_by`: its own names of the group's fields."""

    is_correlation: bool
    number: int
    group_by: tuple[str, ...]
    fields: tuple[str, ...]
    """Whose values are counted or summed."""


class Correlation(msgspec.Struct, frozen=True):
    """`timespan` in ms. `suppress`: ms in which a group stays quiet after an alert; 0: never. `days`: of a
    window of whole days (day_window.py); 0: it slides."""

    rule_id: str | None
    title: str
    kind: str
    sources: tuple[Source, ...]
    group_by: tuple[str, ...]
    timespan: int
    operator: str
    bound: int | float
    percentile: int
    expression: MaskTest | None
    """Of an extended condition: whether it holds for the sources that were seen."""
    ordered_mask: int
    """Sources that have to come in order: those that the condition does not forbid."""
    carried: tuple[str, ...]
    """Fields of the completing event that correlations above want."""
    suppress: int
    days: int
    fingerprint: str
    """Changes when, and only when, what it counts changes: state is kept across restarts by it."""

    def holds(self, value: Number, seen: int) -> bool:
        if self.expression is not None:
            return self.expression(seen) and (
                self.kind != "temporal_ordered" or value >= (seen & self.ordered_mask).bit_count()
            )
        return _COMPARE[self.operator](value, self.bound)

    @property
    def entries_needed(self) -> int:
        """Of a group, so that what it counts to can be reached at all."""
        return min(2 * int(self.bound), _ENTRIES_MOST) if self.kind in _COUNTING else 0

    @property
    def needed_mask(self) -> int:
        """Sources without each of which it cannot fire, as far as that is plain; 0: none."""
        sources = len(self.sources)
        wants_all = self.operator in ("gte", "eq") and self.bound >= sources
        if self.kind not in ("temporal", "temporal_ordered") or self.expression is not None or not wants_all:
            return 0
        return (1 << sources) - 1

    @property
    def only_grows(self) -> bool:
        """Whether events that are missing from a window can only keep it from firing."""
        return self.kind in _GROWING and self.operator in ("gt", "gte") and self.expression is None


def define_correlations(
    rules: Sequence[Any],
    correlations: Sequence[SigmaCorrelationRule],
    *,
    suppress: Mapping[int, int] | None = None,
    days: Mapping[int, int] | None = None,
    contents: Sequence[str] | None = None,
) -> list[Correlation]:
    """In an order in which each comes after those that it counts. What reference_faults accepts only.

    `suppress`: ms by place. `days`: by place, of windows of whole days. `contents`: of each rule what decides
    what it matches, for the fingerprint.
    """
    known = by_reference([*rules, *correlations])
    order = _lower_first(correlations, known, len(rules))
    number_of = {len(rules) + at: number for number, at in enumerate(order)}
    wanted: list[set[str]] = [set() for _ in correlations]
    drafts: list[Correlation] = []
    for at in reversed(order):
        draft = _draft(correlations[at], known, number_of, len(rules))
        carried = wanted[number_of[len(rules) + at]] - set(draft.group_by)
        draft = msgspec.structs.replace(
            draft,
            carried=tuple(sorted(carried)),
            suppress=(suppress or {}).get(at, 0),
            days=(days or {}).get(at, 0),
        )
        for source in draft.sources:
            if source.is_correlation:
                wanted[source.number] |= {*source.group_by, *source.fields, *carried}
        drafts.append(draft)
    defined: list[Correlation] = []
    for draft in reversed(drafts):
        defined.append(_with_fingerprint(draft, correlations[order[len(defined)]], defined, contents))
    return defined


def _lower_first(
    correlations: Sequence[SigmaCorrelationRule], known: Mapping[str, int], rules: int
) -> list[int]:
    order: list[int] = []

    def place(at: int) -> None:
        if at in order:
            return
        for reference in references(correlations[at]):
            found = _find(known, reference)
            if found >= rules:
                place(found - rules)
        order.append(at)

    for at in range(len(correlations)):
        place(at)
    return order


def _find(known: Mapping[str, int], reference: Any) -> int:
    text = str(reference)
    return known[text] if text in known else known[text.lower()]


def _draft(
    correlation: SigmaCorrelationRule, known: Mapping[str, int], number_of: Mapping[int, int], rules: int
) -> Correlation:
    named = references(correlation)
    group_by = tuple(correlation.group_by or ())
    aliases: dict[str, dict[int, str]] = {
        alias.alias: {_find(known, reference.reference): field for reference, field in alias.mapping.items()}
        for alias in correlation.aliases or ()
    }
    condition = correlation.condition
    extended = isinstance(condition, SigmaExtendedCorrelationCondition)
    field = None if extended else condition.fieldref  # type: ignore[union-attr]
    fields = () if field is None else tuple(field) if isinstance(field, list) else (field,)

    def own(name: str, place: int) -> str:
        return aliases.get(name, {}).get(place, name)

    sources = tuple(
        Source(
            place >= rules,
            number_of.get(place, place),
            tuple(own(name, place) for name in group_by),
            tuple(own(name, place) for name in fields),
        )
        for place in (_find(known, reference) for reference in named)
    )
    expression, ordered = None, (1 << len(named)) - 1
    if isinstance(condition, SigmaExtendedCorrelationCondition):
        bits = {reference: 1 << at for at, reference in enumerate(named)}
        expression, ordered = _expression(condition.parsed, bits)
    return Correlation(
        rule_id=None if correlation.id is None else str(correlation.id),
        title=correlation.title,
        kind=correlation.type.name.lower(),
        sources=sources,
        group_by=group_by,
        timespan=correlation.timespan.seconds * 1000,
        operator="gte" if extended else condition.op.name.lower(),  # type: ignore[union-attr]
        bound=0 if extended else condition.count,  # type: ignore[union-attr]
        percentile=50 if extended or condition.percentile is None else condition.percentile,  # type: ignore[union-attr]
        expression=expression,
        ordered_mask=ordered,
        carried=(),
        suppress=0,
        days=0,
        fingerprint="",
    )


def _expression(parsed: Any, bits: Mapping[str, int]) -> tuple[MaskTest, int]:
    """The test, and the sources that it asks for (and does not forbid)."""
    match parsed:
        case SigmaRuleReference(reference=reference):
            bit = bits[reference]
            return (lambda seen: bool(seen & bit)), bit
        case CorrelationConditionNOT(args=[inner]):
            test, _ = _expression(inner, bits)
            return (lambda seen: not test(seen)), 0
        case CorrelationConditionAND(args=args):
            every = [_expression(arg, bits) for arg in args]
            return (lambda seen: all(test(seen) for test, _ in every)), _union(every)
        case CorrelationConditionOR(args=args):
            either = [_expression(arg, bits) for arg in args]
            return (lambda seen: any(test(seen) for test, _ in either)), _union(either)
    raise TypeError(f"unknown part of a condition: {type(parsed).__name__}")


def _union(parts: Sequence[tuple[MaskTest, int]]) -> int:
    mask = 0
    for _, bits in parts:
        mask |= bits
    return mask


def _with_fingerprint(
    draft: Correlation,
    correlation: SigmaCorrelationRule,
    lower: Sequence[Correlation],
    contents: Sequence[str] | None,
) -> Correlation:
    said = [draft.rule_id or draft.title, repr(correlation.to_dict()["correlation"]), repr(draft.carried)]
    said.append(str(draft.days))
    for source in draft.sources:
        if source.is_correlation:
            said.append(lower[source.number].fingerprint)
        else:
            said.append(contents[source.number] if contents is not None else str(source.number))
    digest = hashlib.sha256("\n".join(said).encode()).hexdigest()[:32]
    return msgspec.structs.replace(draft, fingerprint=digest)
