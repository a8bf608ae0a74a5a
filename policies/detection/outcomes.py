"""What the tests of many rules on one field say of a value, in one small hashable answer.

Rules ask a field few different things: is the size below 20 MB, is the ending one of these. Values of which
all tests say the same are one to every rule (event_keys.py).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import Any, Final

from sigma.types import SigmaCompareExpression, SigmaNumber

from policies.detection.code_generation import compile_outcomes
from policies.detection.condition_tree import Either, Every, FieldTest, Negated, TextTest, Tree, ValueTest
from policies.detection.detection_set import DetectionSet

_ASKED_ONE_BY_ONE: Final = 12
"""More tests than these are found through an index."""

Outcome = Callable[[Any], Hashable]
"""Of a field's value: None, a scalar, an object or a list."""


def tests_by_field(trees: Iterable[Tree]) -> dict[str, list[Tree]]:
    """The tests on single fields, each once. No tree may have keywords."""
    found: dict[str, dict[Hashable, Tree]] = {}
    for tree in trees:
        for test in _tests(tree):
            found.setdefault(str(test.field), {})[_identity(test)] = test
    return {field: list(tests.values()) for field, tests in found.items()}


def outcome_of(field: str, tests: Sequence[Tree]) -> Outcome:
    """`tests`: all those on the field."""
    if len(tests) <= _ASKED_ONE_BY_ONE:
        return compile_outcomes(field, tests)
    indexed = DetectionSet(tests)
    # A dotted key is the field itself.
    return lambda value: tuple(indexed.match({field: value}))


def comparisons(tree: Tree) -> Iterator[FieldTest]:
    """Tests on two fields."""
    match tree:
        case Every(parts=parts) | Either(parts=parts):
            for part in parts:
                yield from comparisons(part)
        case Negated(part=part):
            yield from comparisons(part)
        case FieldTest():
            yield tree


def _tests(tree: Tree) -> Iterator[TextTest | ValueTest]:
    match tree:
        case Every(parts=parts) | Either(parts=parts):
            for part in parts:
                yield from _tests(part)
        case Negated(part=part):
            yield from _tests(part)
        case TextTest() | ValueTest():
            yield tree


def _identity(test: TextTest | ValueTest) -> Hashable:
    """Equal for tests that say the same."""
    if isinstance(test, TextTest):
        return frozenset(test.shapes)
    value = test.value
    if type(value) is SigmaNumber:
        return "=", value.number
    if type(value) is SigmaCompareExpression:
        return value.op, value.number.number
    return id(value)
