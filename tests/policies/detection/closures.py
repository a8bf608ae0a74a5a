"""Sigma conditions, as pySigma parses them, to closures over a row of an event's field values.

A record is taken apart once: every field that some rule asks for is read into a row, and the closures of
all rules look at the row. A test on a list holds if it holds for any of its values.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec
from sigma.conditions import (
    ConditionAND,
    ConditionFieldEqualsValueExpression,
    ConditionNOT,
    ConditionOR,
    ConditionValueExpression,
)
from sigma.types import SigmaFieldReference, SigmaNull, SigmaNumber, SigmaString, SigmaType

from policies.errors import NotSupported
from policies.field_reader import LISTS, FieldReader
from policies.string_tests import ValueTest, any_string_test
from policies.value_tests import field_values_fit, keyword_test, value_test

Row = list[Any]
"""The whole record, the field values, and a place for the outcome of each shared group (None: not yet)."""
Condition = Callable[[Row], bool]

_KEYWORD_VALUES_MAX: Final = 10_000


class Conjunct(msgspec.Struct, frozen=True):
    """One of the tests that must all hold. `fields`: what it looks at; None: anything (a keyword)."""

    test: Condition
    fields: frozenset[str] | None
    strings: dict[str, list[SigmaString]] | None
    """Where it is nothing but strings, one of which must fit: these by field."""


class ConditionSet:
    """Several parsed conditions, compiled together. Raises NotSupported.

    What they have in common is worked out once a record: a field, and any group of tests that stands in
    more than one place (rules repeat "a file copied to a removable drive" all the time).
    """

    def __init__(self, parsed: Sequence[Any]) -> None:
        self.fields: Final = FieldReader(path for condition in parsed for path in _fields_of(condition))
        self._known: Final[dict[Hashable, Condition]] = {}
        self._uses: Final = Counter(key for condition in parsed for key in _group_keys(condition))
        self._shared: list[None] = []
        self.conditions: Final = [self._compiled(condition) for condition in parsed]
        self.conjuncts: Final = [
            [
                Conjunct(self._compiled(part), _looked_at(part), _only_strings(part))
                for part in _all_parts(condition)
            ]
            for condition in parsed
        ]
        """Each condition in parts: it holds when all of them do."""

    @property
    def spare(self) -> int:
        """Places of None that follow a row's fields."""
        return len(self._shared)

    def row(self, record: Mapping[str, Any]) -> Row:
        """What the conditions look at."""
        return self.fields.read(record) + self._shared

    def any_fits(self, strings: Iterable[Mapping[str, Sequence[SigmaString]]]) -> Condition:
        """Whether any of all these strings fits; much cheaper than one test after another."""
        by_field: dict[str, list[SigmaString]] = {}
        for each in strings:
            for field, values in each.items():
                by_field.setdefault(field, []).extend(values)
        return _any_of(
            [
                _field_condition(self.fields.position[field], any_string_test(values), False)
                for field, values in by_field.items()
            ]
        )

    def _compiled(self, parsed: Any) -> Condition:
        key = _key(parsed)
        if self._uses[key] < 2:
            return self._fresh(parsed)
        if key not in self._known:
            condition = self._fresh(parsed)
            self._shared.append(None)
            self._known[key] = _remembered(condition, -len(self._shared))
        return self._known[key]

    def _fresh(self, parsed: Any) -> Condition:
        match parsed:
            case ConditionAND(args=args):
                return _all_of([self._compiled(arg) for arg in args])
            case ConditionOR(args=args):
                return _any_of(self._alternatives(args))
            case ConditionNOT(args=[inner]):
                negated = self._compiled(inner)
                return lambda row: not negated(row)
            case ConditionFieldEqualsValueExpression(field=field, value=SigmaFieldReference() as other):
                return _field_comparison(
                    self.fields.position[field], self.fields.position[other.field], other
                )
            case ConditionFieldEqualsValueExpression(field=field, value=value):
                null = isinstance(value, SigmaNull)
                return _field_condition(self.fields.position[field], value_test(value), null)
            case ConditionValueExpression(value=value):
                return _keyword_condition(keyword_test(value))
            case _:
                raise NotSupported(f"conditions of kind {type(parsed).__name__} are not supported")

    def _alternatives(self, args: Sequence[Any]) -> list[Condition]:
        """One condition for all strings that one field is compared with, and one for each other argument."""
        strings: dict[str, list[SigmaString]] = {}
        conditions = []
        for arg in args:
            match arg:
                case ConditionFieldEqualsValueExpression(field=field, value=SigmaString() as value):
                    strings.setdefault(field, []).append(value)
                case _:
                    conditions.append(self._compiled(arg))
        for field, values in strings.items():
            conditions.append(_field_condition(self.fields.position[field], any_string_test(values), False))
        return conditions


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


def _all_parts(parsed: Any) -> Iterator[Any]:
    match parsed:
        case ConditionAND(args=args):
            for arg in args:
                yield from _all_parts(arg)
        case _:
            yield parsed


def _looked_at(parsed: Any) -> frozenset[str] | None:
    return None if _has_keyword(parsed) else frozenset(_fields_of(parsed))


def _only_strings(parsed: Any) -> dict[str, list[SigmaString]] | None:
    match parsed:
        case ConditionOR(args=args):
            found: dict[str, list[SigmaString]] = {}
            for each in map(_only_strings, args):
                if each is None:
                    return None
                for field, values in each.items():
                    found.setdefault(field, []).extend(values)
            return found
        case ConditionFieldEqualsValueExpression(field=field, value=SigmaString() as value):
            return {field: [value]}
        case _:
            return None


def _has_keyword(parsed: Any) -> bool:
    match parsed:
        case ConditionAND(args=args) | ConditionOR(args=args) | ConditionNOT(args=args):
            return any(map(_has_keyword, args))
        case _:
            return isinstance(parsed, ConditionValueExpression)


def _key(parsed: Any) -> Hashable:
    """Equal for conditions that mean the same by construction."""
    match parsed:
        case ConditionAND(args=args) | ConditionOR(args=args) | ConditionNOT(args=args):
            return (type(parsed).__name__, *map(_key, args))
        case ConditionFieldEqualsValueExpression(field=field, value=value):
            return field, _value_key(value)
        case ConditionValueExpression(value=value):
            return (_value_key(value),)
        case _:
            return id(parsed)


def _value_key(value: SigmaType) -> Hashable:
    parts = tuple(map(repr, value.s)) if isinstance(value, SigmaString) else repr(value)
    return type(value).__name__, parts


def _group_keys(parsed: Any) -> Iterator[Hashable]:
    """Keys of the groups inside; a single test costs no more than remembering it."""
    match parsed:
        case ConditionAND(args=args) | ConditionOR(args=args):
            yield _key(parsed)
            for arg in args:
                yield from _group_keys(arg)
        case ConditionNOT(args=[inner]):
            yield from _group_keys(inner)


def _remembered(condition: Condition, place: int) -> Condition:
    def remembered(row: Row) -> bool:
        outcome = row[place]
        if outcome is None:
            outcome = row[place] = condition(row)
        return bool(outcome)

    return remembered


def _fields_of(parsed: Any) -> Iterator[str]:
    match parsed:
        case ConditionAND(args=args) | ConditionOR(args=args) | ConditionNOT(args=args):
            for arg in args:
                yield from _fields_of(arg)
        case ConditionFieldEqualsValueExpression(field=field, value=value):
            yield field
            if isinstance(value, SigmaFieldReference):
                yield value.field


def _field_condition(position: int, test: ValueTest, null: bool) -> Condition:
    def condition(row: Row) -> bool:
        found = row[position]
        kind = type(found)
        if kind is list or kind is tuple:
            if null or not found:
                return not found and test(None)
            return any(map(test, found))
        return test(found)

    return condition


def _field_comparison(position: int, other_position: int, reference: SigmaFieldReference) -> Condition:
    fit = field_values_fit(reference)
    return lambda row: fit(row[position], row[other_position])


def _keyword_condition(test: ValueTest) -> Condition:
    def condition(row: Row) -> bool:
        left = _KEYWORD_VALUES_MAX
        waiting: list[Any] = [row[0]]
        while waiting and left:
            left -= 1
            value = waiting.pop()
            if isinstance(value, Mapping):
                waiting.extend(value.values())
            elif isinstance(value, LISTS):
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
