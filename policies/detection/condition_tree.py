"""A rule's condition as a small tree of our own, made from what pySigma parses.

    Every(parts) · Either(parts) · Negated(part)      and, or, not
    TextTest(field, shapes)                           a field's text has one of these shapes
    ValueTest(field, value)                           any other test of one field: number, regex, network, …
    FieldTest(field, other)                           two fields compared

`field` None is a keyword: any value of the event. Expansions (windash, base64offset) and placeholders
(`|expand`) are already alternatives here; strings that one field is compared with are one TextTest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, Final

import msgspec
from sigma.conditions import (
    ConditionAND,
    ConditionFieldEqualsValueExpression,
    ConditionNOT,
    ConditionOR,
    ConditionValueExpression,
)
from sigma.types import (
    Placeholder,
    SigmaCasedString,
    SigmaExpansion,
    SigmaFieldReference,
    SigmaRegularExpression,
    SigmaString,
    SigmaType,
    SpecialChars,
)

from policies.errors import NotSupported

Placeholders = Mapping[str, Sequence[str]]
"""Lists by the name that stands between percent signs in a rule."""
VALUES_MAX: Final = 200_000
"""Values of one rule, after its placeholders are filled in."""
DEPTH_MAX: Final = 40


class Kind(Enum):
    """How a literal lies in the text: the shapes that need no pattern."""

    WHOLE = "whole"
    START = "start"
    END = "end"
    INSIDE = "inside"
    ANY = "any"
    PATTERN = "pattern"


class Shape(msgspec.Struct, frozen=True):
    """A string of a rule, in lower case. `parts`: literals and wildcards, for Kind.PATTERN."""

    kind: Kind
    literal: str
    parts: tuple[str | SpecialChars, ...] = ()


class TextTest(msgspec.Struct, frozen=True):
    field: str | None
    shapes: tuple[Shape, ...]


class ValueTest(msgspec.Struct, frozen=True):
    field: str | None
    value: SigmaType


class FieldTest(msgspec.Struct, frozen=True):
    field: str
    other: SigmaFieldReference


class Every(msgspec.Struct, frozen=True):
    parts: tuple[Any, ...]


class Either(msgspec.Struct, frozen=True):
    parts: tuple[Any, ...]


class Negated(msgspec.Struct, frozen=True):
    part: Any


Tree = TextTest | ValueTest | FieldTest | Every | Either | Negated


def condition_tree(parsed: Any, placeholders: Placeholders) -> Tree:
    """From pySigma's parsed condition. Raises NotSupported: an unknown placeholder, too many, too deep."""
    return _Builder(placeholders).tree(parsed, 0)


class _Builder:
    def __init__(self, placeholders: Placeholders) -> None:
        self._placeholders: Final = placeholders
        self._values = 0

    def tree(self, parsed: Any, depth: int) -> Tree:
        if depth > DEPTH_MAX:
            raise NotSupported(f"the condition is nested more than {DEPTH_MAX} deep")
        match parsed:
            case ConditionAND(args=args):
                return Every(tuple(self.tree(arg, depth + 1) for arg in args))
            case ConditionOR(args=args):
                return _either([self.tree(arg, depth + 1) for arg in args])
            case ConditionNOT(args=[inner]):
                return Negated(self.tree(inner, depth + 1))
            case ConditionFieldEqualsValueExpression(field=field, value=value):
                return self._test(field, value)
            case ConditionValueExpression(value=value):
                return self._test(None, value)
            case _:
                raise NotSupported(f"conditions of kind {type(parsed).__name__} are not supported")

    def _test(self, field: str | None, value: SigmaType) -> Tree:
        self._values += 1
        if self._values > VALUES_MAX:
            raise NotSupported(f"the rule has more than {VALUES_MAX:,} values")
        match value:
            case SigmaExpansion(values=values):
                return _either([self._test(field, inner) for inner in values])
            case SigmaFieldReference():
                if field is None:
                    raise NotSupported("fieldref needs a field")
                return FieldTest(field, value)
            case SigmaString() | SigmaRegularExpression() if value.contains_placeholder():
                return _either([self._test(field, filled) for filled in self._filled(value)])
            case SigmaString() if not isinstance(value, SigmaCasedString):
                return TextTest(field, (_shape(value, keyword=field is None),))
            case _:
                return ValueTest(field, value)

    def _filled(self, value: SigmaString | SigmaRegularExpression) -> list[Any]:
        """The value once for each combination of its placeholders' words; pySigma stops at 200."""
        if isinstance(value, SigmaRegularExpression):
            return [
                SigmaRegularExpression(_joined(text), value.flags) for text in self._parts(value.regexp.s)
            ]
        found = []
        for parts in self._parts(value.s):
            filled = type(value)()
            filled.s = parts
            found.append(filled)
        return found

    def _parts(self, parts: Sequence[Any]) -> list[list[Any]]:
        combinations: list[list[Any]] = [[]]
        for part in parts:
            words: Sequence[Any] = [part]
            if isinstance(part, Placeholder):
                if part.name not in self._placeholders:
                    raise NotSupported(f"there is no list for the placeholder %{part.name}%")
                words = self._placeholders[part.name]
            if len(combinations) * len(words) > VALUES_MAX:
                raise NotSupported(f"the rule's placeholders make more than {VALUES_MAX:,} values")
            combinations = [_with(begun, word) for begun in combinations for word in words]
        return combinations


def _with(begun: list[Any], word: Any) -> list[Any]:
    if begun and isinstance(begun[-1], str) and isinstance(word, str):
        return [*begun[:-1], begun[-1] + word]
    return [*begun, word]


def _joined(parts: Sequence[Any]) -> str:
    signs = {SpecialChars.WILDCARD_MULTI: "*", SpecialChars.WILDCARD_SINGLE: "?"}
    return "".join(part if isinstance(part, str) else signs[part] for part in parts)


def _either(parts: Sequence[Tree]) -> Tree:
    """Alternatives; all strings that one field is compared with become one test."""
    shapes: dict[str | None, dict[Shape, None]] = {}
    others: list[Tree] = []
    for part in parts:
        if isinstance(part, TextTest):
            shapes.setdefault(part.field, {}).update(dict.fromkeys(part.shapes))
        elif isinstance(part, Either):
            inner = _either([*(TextTest(f, tuple(s)) for f, s in shapes.items()), *part.parts])
            shapes = {}
            for each in inner.parts if isinstance(inner, Either) else (inner,):
                if isinstance(each, TextTest):
                    shapes[each.field] = dict.fromkeys(each.shapes)
                else:
                    others.append(each)
        else:
            others.append(part)
    merged = [*(TextTest(field, tuple(found)) for field, found in shapes.items()), *others]
    return merged[0] if len(merged) == 1 else Either(tuple(merged))


def _shape(value: SigmaString, *, keyword: bool) -> Shape:  # noqa: PLR0911 - one return a shape
    star = SpecialChars.WILDCARD_MULTI
    parts: list[Any] = []
    for part in value.s:
        lowered = part.lower() if isinstance(part, str) else part
        if not (lowered is star and parts and parts[-1] is star):
            parts.append(lowered)
    if keyword:  # a keyword may stand anywhere inside a value
        parts = [*([] if parts[:1] == [star] else [star]), *parts]
        parts = [*parts, *([] if parts[-1] is star else [star])]
        parts = [star] if parts == [star, star] else parts
    match parts:
        case []:
            return Shape(Kind.WHOLE, "")
        case [str(literal)]:
            return Shape(Kind.WHOLE, literal)
        case [SpecialChars.WILDCARD_MULTI]:
            return Shape(Kind.ANY, "")
        case [first, str(literal), last] if first is star and last is star:
            return Shape(Kind.INSIDE, literal)
        case [str(literal), last] if last is star:
            return Shape(Kind.START, literal)
        case [first, str(literal)] if first is star:
            return Shape(Kind.END, literal)
    longest = max((part for part in parts if isinstance(part, str)), key=len, default="")
    return Shape(Kind.PATTERN, longest, tuple(parts))
