"""Sigma conditions, as pySigma parses them, to closures over a row of an event's field values.

A record is taken apart once: every field that some rule asks for is read into a row, and the closures of
all rules look at the row. A field inside a list (`hashes.value`) reads as the list of all its values, and a
test on a list holds if it holds for any of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from sigma.conditions import (
    ConditionAND,
    ConditionFieldEqualsValueExpression,
    ConditionNOT,
    ConditionOR,
    ConditionValueExpression,
)
from sigma.types import SigmaFieldReference, SigmaNull, SigmaNumber

from policies.value_tests import NotSupported, ValueTest, as_text, keyword_test, value_test

Row = list[Any]
"""The whole record, then the field values in the order of the FieldTable."""
Condition = Callable[[Row], bool]

_DEPTH_MAX: Final = 32
_LISTS: Final = (list, tuple)
"""Decoded JSON has lists, event structs made plain have tuples."""
_KEYWORD_VALUES_MAX: Final = 10_000


class FieldTable:
    """The fields that a set of rules asks for, each read once a record."""

    def __init__(self) -> None:
        self._position: Final[dict[str, int]] = {}
        self._getters: Final[list[Callable[[Mapping[str, Any]], Any]]] = []

    def position(self, path: str) -> int:
        """Where the field stands in a row."""
        if path not in self._position:
            self._position[path] = len(self._getters) + 1
            self._getters.append(_getter(path))
        return self._position[path]

    def row(self, record: Mapping[str, Any]) -> Row:
        return [record, *[get(record) for get in self._getters]]


def compile_condition(parsed: Any, fields: FieldTable) -> Condition:
    """The closure of a parsed condition. Raises NotSupported."""
    match parsed:
        case ConditionAND(args=args):
            return _all_of([compile_condition(arg, fields) for arg in args])
        case ConditionOR(args=args):
            return _any_of([compile_condition(arg, fields) for arg in args])
        case ConditionNOT(args=[inner]):
            negated = compile_condition(inner, fields)
            return lambda row: not negated(row)
        case ConditionFieldEqualsValueExpression(field=field, value=SigmaFieldReference() as other):
            return _field_comparison(fields.position(field), fields.position(other.field), other)
        case ConditionFieldEqualsValueExpression(field=field, value=value):
            null = isinstance(value, SigmaNull)
            return _field_condition(fields.position(field), value_test(value), null)
        case ConditionValueExpression(value=value):
            return _keyword_condition(keyword_test(value))
        case _:
            raise NotSupported(f"conditions of kind {type(parsed).__name__} are not supported")


def pinned_classes(parsed: Any) -> frozenset[int] | None:
    """The class_uid values outside of which the condition cannot hold; None: any."""
    match parsed:
        case ConditionFieldEqualsValueExpression(field="class_uid", value=SigmaNumber(number=number)):
            return frozenset({int(number)})
        case ConditionFieldEqualsValueExpression(field="type_uid", value=SigmaNumber(number=number)):
            return frozenset({int(number) // 100})
        case ConditionAND(args=args):
            known = [classes for classes in map(pinned_classes, args) if classes is not None]
            return frozenset.intersection(*known) if known else None
        case ConditionOR(args=args):
            each = [pinned_classes(arg) for arg in args]
            found = [classes for classes in each if classes is not None]
            return frozenset().union(*found) if len(found) == len(each) else None
        case _:
            return None


def _getter(path: str) -> Callable[[Mapping[str, Any]], Any]:
    parts = path.split(".")
    if len(parts) == 1:
        return lambda record: record.get(path)

    def get(record: Mapping[str, Any]) -> Any:
        # Events from elsewhere may be flat, with dots in their keys: such a key means itself.
        if path in record:
            return record[path]
        value: Any = record
        for at, part in enumerate(parts):
            if type(value) is dict:
                value = value.get(part)
            elif isinstance(value, _LISTS):
                return list(_values_in(value, parts[at:], 0))
            else:
                return None
        return list(value) if type(value) is tuple else value

    return get


def _values_in(value: Any, parts: Sequence[str], depth: int) -> Iterator[Any]:
    if depth > _DEPTH_MAX:
        return
    if isinstance(value, _LISTS):
        for element in value:
            yield from _values_in(element, parts, depth + 1)
    elif not parts:
        if value is not None:
            yield value
    elif type(value) is dict:
        yield from _values_in(value.get(parts[0]), parts[1:], depth + 1)


def _field_condition(position: int, test: ValueTest, null: bool) -> Condition:
    def condition(row: Row) -> bool:
        found = row[position]
        if type(found) is list:
            if null or not found:
                return not found and test(None)
            return any(map(test, found))
        return test(found)

    return condition


def _field_comparison(position: int, other_position: int, reference: SigmaFieldReference) -> Condition:
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

    def condition(row: Row) -> bool:
        one, other = row[position], row[other_position]
        ones = one if type(one) is list else [one]
        others = other if type(other) is list else [other]
        return any(holds(a, b) for a in ones for b in others)

    return condition


def _keyword_condition(test: ValueTest) -> Condition:
    def condition(row: Row) -> bool:
        left = _KEYWORD_VALUES_MAX
        waiting: list[Any] = [row[0]]
        while waiting and left:
            left -= 1
            value = waiting.pop()
            if isinstance(value, Mapping):
                waiting.extend(value.values())
            elif isinstance(value, _LISTS):
                waiting.extend(value)
            elif value is not None and test(value):
                return True
        return False

    return condition


def _all_of(conditions: Sequence[Condition]) -> Condition:
    if len(conditions) == 2:
        first, second = conditions
        return lambda row: first(row) and second(row)

    def condition(row: Row) -> bool:
        for holds in conditions:  # noqa: SIM110 - a generator in all() costs twice the time
            if not holds(row):
                return False
        return True

    return condition


def _any_of(conditions: Sequence[Condition]) -> Condition:
    if len(conditions) == 2:
        first, second = conditions
        return lambda row: first(row) or second(row)

    def condition(row: Row) -> bool:
        for holds in conditions:  # noqa: SIM110 - a generator in any() costs twice the time
            if holds(row):
                return True
        return False

    return condition
