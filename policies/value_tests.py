"""One value of a rule as a test on one value of an event, with Sigma's meaning.

Strings compare without regard to case (unless `cased`) and as whole strings with wildcards; numbers and
booleans of an event are compared as text with a rule's string, and text that is a number with a rule's
number. A test gets single values: lists are taken apart by the matcher. None (absent) fits only null.
"""

from __future__ import annotations

import datetime
import ipaddress
import operator
import re
from collections.abc import Callable
from typing import Any, Final

from sigma.policy import default_policy
from sigma.types import (
    CompareOperators,
    SigmaBool,
    SigmaCIDRExpression,
    SigmaCompareExpression,
    SigmaExists,
    SigmaExpansion,
    SigmaFieldReference,
    SigmaNull,
    SigmaNumber,
    SigmaRegularExpression,
    SigmaRegularExpressionFlag,
    SigmaString,
    SigmaTimestampPart,
    SigmaType,
    SpecialChars,
    TimestampPart,
)

from policies.errors import NotSupported
from policies.event_time import milliseconds
from policies.field_reader import LISTS
from policies.string_tests import ValueTest, as_text, string_test

_COMPARE: Final[dict[CompareOperators, Callable[[float, float], bool]]] = {
    CompareOperators.LT: operator.lt,
    CompareOperators.LTE: operator.le,
    CompareOperators.GT: operator.gt,
    CompareOperators.GTE: operator.ge,
    CompareOperators.NEQ: operator.ne,
}
COMPARE_SIGNS: Final = {
    CompareOperators.LT: "<",
    CompareOperators.LTE: "<=",
    CompareOperators.GT: ">",
    CompareOperators.GTE: ">=",
    CompareOperators.NEQ: "!=",
}
_TIME_PARTS: Final[dict[TimestampPart, Callable[[datetime.datetime], int]]] = {
    TimestampPart.MINUTE: lambda at: at.minute,
    TimestampPart.HOUR: lambda at: at.hour,
    TimestampPart.DAY: lambda at: at.day,
    TimestampPart.WEEK: lambda at: at.isocalendar().week,
    TimestampPart.MONTH: lambda at: at.month,
    TimestampPart.YEAR: lambda at: at.year,
}
_EPOCH: Final = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_FLAGS: Final = {
    SigmaRegularExpressionFlag.IGNORECASE: re.IGNORECASE,
    SigmaRegularExpressionFlag.MULTILINE: re.MULTILINE,
    SigmaRegularExpressionFlag.DOTALL: re.DOTALL,
}


def value_test(value: SigmaType) -> ValueTest:  # noqa: PLR0911 - one return a kind of value
    """The test of one rule value. Raises NotSupported."""
    match value:
        case SigmaString():
            return string_test(value)
        case SigmaTimestampPart(timestamp_part=part, number=number):
            return _time_part_test(part, int(number))
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
    return string_test(anywhere)


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
    """Text that is a number, or an enumeration's member; a boolean is none."""
    if type(found) is not str:
        return int(found) if isinstance(found, int) and type(found) is not bool else None
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


def _time_part_test(part: TimestampPart, wanted: int) -> ValueTest:
    read = _TIME_PARTS[part]

    def test(found: Any) -> bool:
        at = milliseconds(found)
        if at is None:
            return False
        try:
            return read(_EPOCH + datetime.timedelta(milliseconds=at)) == wanted
        except OverflowError:
            return False

    return test


def field_values_fit(reference: SigmaFieldReference) -> Callable[[Any, Any], bool]:
    """Two fields of an event compared as text, without regard to case; of lists one pair is enough."""

    def holds(one: Any, other: Any) -> bool:
        text, part = as_text(one), as_text(other)
        if text is None or part is None:
            return False
        text, part = text.lower(), part.lower()
        if reference.starts_with and reference.ends_with:
            return part in text
        if reference.starts_with:
            return text.startswith(part)
        return text.endswith(part) if reference.ends_with else text == part

    def fits(one: Any, other: Any) -> bool:
        ones = one if isinstance(one, LISTS) else [one]
        others = other if isinstance(other, LISTS) else [other]
        return any(holds(a, b) for a in ones for b in others)

    return fits
