"""A rule's strings as tests on an event's value: whole strings with wildcards, without regard to case."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Final

from sigma.types import Placeholder, SigmaCasedString, SigmaString, SpecialChars

from policies.errors import NotSupported

_SEARCHES_MAX: Final = 4

ValueTest = Callable[[Any], bool]
"""Holds for one value of an event, or not; None stands for an absent one."""


def string_test(value: SigmaString) -> ValueTest:
    if any(isinstance(part, Placeholder) for part in value.s):
        raise NotSupported("placeholders (|expand) are not supported")
    cased = isinstance(value, SigmaCasedString)
    parts = [part if cased or not isinstance(part, str) else part.lower() for part in value.s]
    compare = compare_parts(parts)

    def test(found: Any) -> bool:
        text = found if type(found) is str else as_text(found)
        if text is None:
            return False
        return compare(text if cased else text.lower())

    return test


def compare_parts(parts: list[Any]) -> Callable[[str], bool]:  # noqa: PLR0911 - one return a shape
    """How to compare text with literal parts and wildcards, the cheapest way that says the same."""
    star = SpecialChars.WILDCARD_MULTI
    match parts:
        case []:
            return lambda text: text == ""
        case [str(literal)]:
            return lambda text: text == literal
        case [SpecialChars.WILDCARD_MULTI]:
            return lambda _text: True
        case [first, str(literal), last] if first is star and last is star:
            return lambda text: literal in text
        case [str(literal), last] if last is star:
            return lambda text: text.startswith(literal)
        case [first, str(literal)] if first is star:
            return lambda text: text.endswith(literal)
    fits = re.compile(_wildcard_pattern(parts), re.DOTALL).fullmatch
    return lambda text: fits(text) is not None


def _wildcard_pattern(parts: list[Any]) -> str:
    """Each `*` with what follows it is an atomic group, so that matching never backtracks over it."""
    pieces: list[str] = [""]
    for part in parts:
        if part is SpecialChars.WILDCARD_MULTI:
            pieces.append("")
        else:
            pieces[-1] += "." if part is SpecialChars.WILDCARD_SINGLE else re.escape(part)
    first, *middle = pieces
    if not middle:
        return first
    last = middle.pop()
    return first + "".join(f"(?>.*?{piece})" for piece in middle if piece) + f".*{last}"


def any_string_test(values: Sequence[SigmaString]) -> ValueTest:
    """The test that holds if any of the strings fits; cheaper than one test each. Raises NotSupported."""
    shapes = _Shapes()
    others = []
    for value in values:
        if isinstance(value, SigmaCasedString) or value.contains_placeholder():
            others.append(string_test(value))
        else:
            shapes.add([part.lower() if isinstance(part, str) else part for part in value.s])
    fits = shapes.test()

    def test(found: Any) -> bool:
        text = found if type(found) is str else as_text(found)
        if text is None:
            return False
        return fits(text.lower()) or (bool(others) and any(other(found) for other in others))

    return test


class _Shapes:
    """Strings with wildcards, sorted by the cheapest operation that compares them."""

    def __init__(self) -> None:
        self.whole: Final[set[str]] = set()
        self.starts: Final[list[str]] = []
        self.ends: Final[list[str]] = []
        self.inside: Final[list[str]] = []
        self.other: Final[list[Callable[[str], bool]]] = []

    def add(self, parts: list[Any]) -> None:
        star = SpecialChars.WILDCARD_MULTI
        match parts:
            case [str(literal)]:
                self.whole.add(literal)
            case [str(literal), last] if last is star:
                self.starts.append(literal)
            case [first, str(literal)] if first is star:
                self.ends.append(literal)
            case [first, str(literal), last] if first is star and last is star:
                self.inside.append(literal)
            case _:
                self.other.append(compare_parts(parts))

    def test(self) -> Callable[[str], bool]:
        whole, inside, other = frozenset(self.whole), tuple(self.inside), tuple(self.other)
        starts, ends = tuple(self.starts), tuple(self.ends)
        # From a few literals on, one search that knows their first characters beats one search each.
        found = re.compile("|".join(map(re.escape, inside))).search if len(inside) > _SEARCHES_MAX else None

        def fits(text: str) -> bool:
            if text in whole or text.startswith(starts) or text.endswith(ends):
                return True
            if found is not None:
                if found(text) is not None:
                    return True
            else:
                for literal in inside:
                    if literal in text:
                        return True
            return bool(other) and any(compare(text) for compare in other)

        return fits


def as_text(found: Any) -> str | None:
    """An event's value as a rule's string sees it; None for what is no single value."""
    if type(found) is str:
        return found
    if type(found) is bool:
        return "true" if found else "false"
    return str(found) if isinstance(found, int | float) else None
