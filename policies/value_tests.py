"""One value of a rule as a test on one value of an event, with Sigma's meaning.

Strings compare without regard to case (unless `cased`) and as whole strings with wildcards; numbers and
booleans of an event are compared as text with a rule's string, and text that is a number with a rule's
number. A test gets single values: lists are taken apart by the matcher. None (absent) fits only null.
"""

from __future__ import annotations

import ipaddress
import operator
import re
from collections.abc import Callable, Sequence
from typing import Any, Final

from sigma.policy import default_policy
from sigma.types import (
    CompareOperators,
    Placeholder,
    SigmaBool,
    SigmaCasedString,
    SigmaCIDRExpression,
    SigmaCompareExpression,
    SigmaExists,
    SigmaExpansion,
    SigmaNull,
    SigmaNumber,
    SigmaRegularExpression,
    SigmaRegularExpressionFlag,
    SigmaString,
    SigmaTimestampPart,
    SigmaType,
    SpecialChars,
)

ValueTest = Callable[[Any], bool]

_COMPARE: Final[dict[CompareOperators, Callable[[float, float], bool]]] = {
    CompareOperators.LT: operator.lt,
    CompareOperators.LTE: operator.le,
    CompareOperators.GT: operator.gt,
    CompareOperators.GTE: operator.ge,
    CompareOperators.NEQ: operator.ne,
}
_FLAGS: Final = {
    SigmaRegularExpressionFlag.IGNORECASE: re.IGNORECASE,
    SigmaRegularExpressionFlag.MULTILINE: re.MULTILINE,
    SigmaRegularExpressionFlag.DOTALL: re.DOTALL,
}


class NotSupported(ValueError):
    """Valid Sigma that this engine does not run."""


def value_test(value: SigmaType) -> ValueTest:  # noqa: PLR0911 - one return a kind of value
    """The test of one rule value. Raises NotSupported."""
    match value:
        case SigmaString():
            return _string_test(value)
        case SigmaTimestampPart():
            raise NotSupported("time modifiers are not supported; use leaver.time.local_hour or day_type")
        case SigmaNumber(number=number):
            return _number_test(number)
        case SigmaBool(boolean=wanted):
            return _bool_test(wanted)
        case SigmaNull():
            return lambda found: found is None
        case SigmaExists(exists=wanted):
            return lambda found: (found is not None) == wanted
        case SigmaRegularExpression():
            return _regex_test(value)
        case SigmaCompareExpression(number=number, op=op):
            return _compare_test(_COMPARE[op], number.number)
        case SigmaCIDRExpression(network=network):
            return _network_test(network)
        case SigmaExpansion(values=values):
            tests = [value_test(inner) for inner in values]
            return lambda found: any(test(found) for test in tests)
        case _:
            kind = type(value).__name__.removeprefix("Sigma").removesuffix("Expression")
            raise NotSupported(f"values of kind {kind} are not supported")


def keyword_test(value: SigmaType) -> ValueTest:
    """The test of a keyword, which may stand anywhere inside a value. Raises NotSupported."""
    if not isinstance(value, SigmaString):
        return value_test(value)
    anywhere = value
    if not anywhere.startswith(SpecialChars.WILDCARD_MULTI):
        anywhere = SpecialChars.WILDCARD_MULTI + anywhere
    if not anywhere.endswith(SpecialChars.WILDCARD_MULTI):
        anywhere += SpecialChars.WILDCARD_MULTI
    return _string_test(anywhere)


def any_string_test(values: Sequence[SigmaString]) -> ValueTest:
    """The test that holds if any of the strings fits; cheaper than one test each. Raises NotSupported."""
    shapes = _Shapes()
    others = []
    for value in values:
        if isinstance(value, SigmaCasedString) or value.contains_placeholder():
            others.append(_string_test(value))
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
                self.other.append(_text_compare(parts))

    def test(self) -> Callable[[str], bool]:
        whole, inside, other = frozenset(self.whole), tuple(self.inside), tuple(self.other)
        starts, ends = tuple(self.starts), tuple(self.ends)

        def fits(text: str) -> bool:
            if text in whole or text.startswith(starts) or text.endswith(ends):
                return True
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


def _string_test(value: SigmaString) -> ValueTest:
    if any(isinstance(part, Placeholder) for part in value.s):
        raise NotSupported("placeholders (|expand) are not supported")
    cased = isinstance(value, SigmaCasedString)
    parts = [part if cased or not isinstance(part, str) else part.lower() for part in value.s]
    compare = _text_compare(parts)

    def test(found: Any) -> bool:
        text = found if type(found) is str else as_text(found)
        if text is None:
            return False
        return compare(text if cased else text.lower())

    return test


def _text_compare(parts: list[Any]) -> Callable[[str], bool]:  # noqa: PLR0911 - one return a shape
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


def _number_test(wanted: float) -> ValueTest:
    def test(found: Any) -> bool:
        if type(found) is int or type(found) is float:
            return bool(found == wanted)
        number = _number(found)
        return number is not None and number == wanted

    return test


def _compare_test(compare: Callable[[float, float], bool], bound: float) -> ValueTest:
    def test(found: Any) -> bool:
        number = found if type(found) is int or type(found) is float else _number(found)
        return number is not None and compare(number, bound)

    return test


def _number(found: Any) -> float | None:
    """Text that is a number; a boolean is none."""
    if type(found) is not str:
        return None
    try:
        return float(found)
    except ValueError:
        return None


def _bool_test(wanted: bool) -> ValueTest:
    text = "true" if wanted else "false"
    return lambda found: found is wanted or (type(found) is str and found.lower() == text)


def _regex_test(value: SigmaRegularExpression) -> ValueTest:
    if value.contains_placeholder():
        raise NotSupported("placeholders (|expand) are not supported")
    flags = 0
    for flag in value.flags:
        flags |= _FLAGS[flag]
    # pySigma's engine is RE2: linear in the text, whatever the expression.
    search = default_policy.regex_engine.compile(str(value.regexp), flags).search

    def test(found: Any) -> bool:
        text = as_text(found)
        if text is None:
            return False
        try:
            return search(text) is not None
        except UnicodeEncodeError:
            return search(text.encode("utf-8", "replace").decode()) is not None

    return test


def _network_test(network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> ValueTest:
    def test(found: Any) -> bool:
        if type(found) is not str:
            return False
        try:
            address = ipaddress.ip_address(found)
        except ValueError:
            return False
        return address.version == network.version and address in network

    return test
