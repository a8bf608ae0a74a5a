"""A rule's condition as Python source: one expression over an event's values.

The function that it becomes is called with two lists, by the number of each field (see RecordReader):

    v   the values as they came: None, text, a number, a boolean, an object, a list; v[0] is the record
    t   the same as text in lower case: None, text, or a list of texts; t[0] all texts of the record, or
        None until a keyword asks for them

Only numbers, field positions and names of constants are written into the source; a rule's words reach it
as constants, so nothing that a rule says can become code.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from sigma.types import SigmaCompareExpression, SigmaNull, SigmaNumber, SigmaTimestampPart

from policies.detection.condition_tree import (
    Either,
    Every,
    FieldTest,
    Negated,
    TextTest,
    Tree,
    ValueTest,
)
from policies.detection.texts import ShapeSet, all_texts, all_values, any_inside, any_text, lowered
from policies.field_reader import LISTS
from policies.value_tests import COMPARE_SIGNS, field_values_fit, value_test

Compiled = Callable[[list[Any], list[Any]], bool]


def compile_tree(tree: Tree, position: Mapping[str, int]) -> Compiled:
    """`position`: each field's number. Raises NotSupported."""
    writer = _Writer(position)
    source = f"def fires(v, t):\n    return {writer.expression(tree)}\n"
    names: dict[str, Any] = dict(writer.constants)
    exec(compile(source, "<rule>", "exec"), names)
    compiled: Compiled = names["fires"]
    return compiled


def compile_outcomes(field: str, tests: Sequence[Tree]) -> Callable[[Any], int]:
    """All tests on one field's value at once: a bit each, in their order. Raises NotSupported."""
    writer = _Writer({field: 0})
    bits = [f"({1 << at} if {writer.expression(test)} else 0)" for at, test in enumerate(tests)]
    text = ""
    if any(isinstance(test, TextTest) for test in tests):
        writer.constants["lowered"] = lowered
        text = "    t = (value.lower() if value.__class__ is str else lowered(value),)\n"
    source = f"def outcomes(value):\n    v = (value,)\n{text}    return {' | '.join(bits)}\n"
    names: dict[str, Any] = dict(writer.constants)
    exec(compile(source, "<tests>", "exec"), names)
    compiled: Callable[[Any], int] = names["outcomes"]
    return compiled


class _Writer:
    def __init__(self, position: Mapping[str, int]) -> None:
        self._position: Final = position
        self.constants: Final[dict[str, Any]] = {}

    def expression(self, tree: Tree) -> str:  # noqa: PLR0911 - one return a kind of test
        match tree:
            case Every(parts=parts):
                cheap_first = sorted(parts, key=_expense)
                return "(" + " and ".join(map(self.expression, cheap_first)) + ")"
            case Either(parts=parts):
                return "(" + " or ".join(map(self.expression, sorted(parts, key=_expense))) + ")"
            case Negated(part=part):
                return f"(not {self.expression(part)})"
            case TextTest(field=None):
                return self._keyword_text(tree)
            case TextTest(field=field, shapes=shapes):
                return self._text(f"t[{self._position[field or '']}]", ShapeSet(shapes))
            case ValueTest(field=None, value=value):
                test = self._constant(_any_value(value_test(value)))
                return f"{test}(v[0])"
            case ValueTest(field=field, value=value):
                return self._value(f"v[{self._position[field or '']}]", value)
            case FieldTest(field=field, other=other):
                one, two = f"v[{self._position[field]}]", f"v[{self._position[other.field]}]"
                return f"{self._constant(field_values_fit(other))}({one}, {two})"

    def _constant(self, value: Any) -> str:
        name = f"c{len(self.constants)}"
        self.constants[name] = value
        return name

    def _text(self, text: str, shapes: ShapeSet) -> str:
        if shapes.anything:
            return f"({text} is not None)"
        tests = []
        if shapes.whole:
            tests.append(self._whole(text, shapes.whole))
        others = self._pieces(text, shapes)
        if others:
            together = f"({' or '.join(others)})"
            test = self._constant(any_text(self._as_function(shapes)))
            on_list = f"{test}({text})"
            tests.append(f"({text} is not None and ({together} if {text}.__class__ is str else {on_list}))")
        return tests[0] if len(tests) == 1 else "(" + " or ".join(tests) + ")"

    def _whole(self, text: str, literals: tuple[str, ...]) -> str:
        if len(literals) == 1:
            literal = self._constant(literals[0])
            return f"({text} == {literal} or {text}.__class__ is list and {literal} in {text})"
        several = self._constant(frozenset(literals))
        return f"({text} in {several} if {text}.__class__ is not list else not {several}.isdisjoint({text}))"

    def _pieces(self, text: str, shapes: ShapeSet) -> list[str]:
        """Tests on one text for all but whole literals."""
        tests = []
        for name, literals in (("startswith", shapes.starts), ("endswith", shapes.ends)):
            if literals:
                known = self._constant(literals if len(literals) > 1 else literals[0])
                tests.append(f"{text}.{name}({known})")
        if 0 < len(shapes.inside) <= 4:
            tests += [f"{self._constant(literal)} in {text}" for literal in shapes.inside]
        elif shapes.inside:
            tests.append(f"{self._constant(any_inside(shapes.inside))}({text})")
        tests += [f"{self._constant(pattern)}({text})" for pattern in shapes.patterns]
        return tests

    def _as_function(self, shapes: ShapeSet) -> Callable[[str], bool]:
        starts, ends, patterns = shapes.starts, shapes.ends, shapes.patterns
        inside = any_inside(shapes.inside) if shapes.inside else None
        return lambda text: (
            text.startswith(starts)
            or text.endswith(ends)
            or (inside is not None and inside(text))
            or any(pattern(text) for pattern in patterns)
        )

    def _keyword_text(self, tree: TextTest) -> str:
        shapes = ShapeSet(tree.shapes)
        self.constants["all_texts"] = all_texts
        texts = "(t[0] or t.__setitem__(0, all_texts(v[0])) or t[0])"
        if shapes.anything:
            return f"bool({texts})"
        return f"{self._constant(any_text(self._as_function(shapes)))}({texts})"

    def _value(self, value: str, wanted: Any) -> str:
        null = isinstance(wanted, SigmaNull)
        slow = f"{self._constant(any_of_field(value_test(wanted), null=null))}({value})"
        if type(wanted) is SigmaNumber and type(wanted.number) is int:
            return f"({value} == {wanted.number} if {value}.__class__ is int else {slow})"
        if isinstance(wanted, SigmaCompareExpression) and math.isfinite(wanted.number.number):
            sign = COMPARE_SIGNS[wanted.op]
            return f"({value} {sign} {wanted.number.number!r} if {value}.__class__ is int else {slow})"
        return slow


def any_of_field(test: Callable[[Any], bool], *, null: bool) -> Callable[[Any], bool]:
    """The test on a field's value, which may be a list: one that fits is enough. No value is like none."""

    def fits(found: Any) -> bool:
        if isinstance(found, LISTS):
            if null or not found:
                return not found and test(None)
            return any(map(test, found))
        return test(found)

    return fits


def _any_value(test: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda record: any(map(test, all_values(record)))


def _expense(tree: Tree) -> float:  # noqa: PLR0911 - one return a kind of test
    """About how long a test takes, so that cheap ones go first."""
    match tree:
        case TextTest(field=None):
            return 100.0
        case TextTest(shapes=shapes):
            patterns = sum(1 for shape in shapes if shape.parts)
            return 1.0 + 0.2 * min(len(shapes), 10) + 5.0 * patterns
        case ValueTest(field=None):
            return 200.0
        case ValueTest(value=SigmaTimestampPart()):
            return 20.0
        case ValueTest(value=SigmaNumber()):
            return 0.5
        case ValueTest():
            return 8.0
        case FieldTest():
            return 10.0
        case Every(parts=parts) | Either(parts=parts):
            return min(50.0, sum(map(_expense, parts)))
        case Negated(part=part):
            return _expense(part) + 0.5
