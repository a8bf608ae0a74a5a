"""From an event's fields to the groups that it belongs to and the values that it gives."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from policies.field_reader import LISTS, FieldReader
from policies.string_tests import as_text

GROUPS_MAX: Final = 16
"""Of one event in one correlation."""
_VALUES_MAX: Final = 1_000
_TEXT_MAX: Final = 1_024
_INTEGER_BELOW: Final = 2**63


def field_getter(path: str) -> Callable[[Mapping[str, Any]], Any]:
    """Reads one path out of a record, as FieldReader does."""
    if "." not in path:
        return lambda record: record.get(path)
    reader = FieldReader([path])
    first, *rest = path.split(".")
    if any(part.endswith("]") for part in (first, *rest)):
        return lambda record: reader.read(record)[1]

    def read(record: Mapping[str, Any]) -> Any:
        found = None if path in record else record.get(first)
        for part in rest:
            if found.__class__ is not dict:
                return reader.read(record)[1]
            found = found.get(part)
        return found

    return read


def group_keys(values: Sequence[Any]) -> tuple[list[tuple[str | None, ...]], int]:
    """One group for each combination of values where fields are lists, and how many were left out.

    A group's values are text, so that 5 and "5" are one group; None where the event has no single value.
    """
    if len(values) == 1 and values[0].__class__ is str:
        return [(values[0][:_TEXT_MAX],)], 0
    each = [_texts(value) for value in values]
    if all(len(texts) == 1 for texts in each):
        return [tuple(texts[0] for texts in each)], 0
    keys = list(itertools.islice(itertools.product(*each), GROUPS_MAX))
    return keys, math.prod(map(len, each)) - len(keys)


def values_of(kind: str, fields: Sequence[Any]) -> tuple[Any, ...] | None:
    """What an event gives to a correlation of this kind; None: nothing, it is not counted."""
    if not fields:
        return ()
    if kind == "value_count":
        if len(fields) == 1:
            if fields[0].__class__ is str:
                return (fields[0],)
            texts = tuple(text for text in _texts(fields[0]) if text is not None)
        else:
            single = tuple(as_text(field) for field in fields)
            texts = () if None in single else ("\0".join(map(str, single)),)
        return texts[:_VALUES_MAX] or None
    if fields[0].__class__ is int and -_INTEGER_BELOW < fields[0] < _INTEGER_BELOW:
        return (fields[0],)
    found = fields[0] if isinstance(fields[0], LISTS) else (fields[0],)
    numbers = tuple(number for number in map(_number, found[:_VALUES_MAX]) if number is not None)
    return numbers or None


def bounded_value(value: Any) -> Any:
    """A value that is kept for correlations above: one, or a short list; None for what is neither."""
    if isinstance(value, LISTS):
        return [each for each in map(bounded_value, value[:GROUPS_MAX]) if not isinstance(each, list)]
    if isinstance(value, str):
        return value[:_TEXT_MAX]
    return value if isinstance(value, bool | float) else _number(value)


def _texts(value: Any) -> Sequence[str | None]:
    if not isinstance(value, LISTS):
        text = as_text(value)
        return (text if text is None else text[:_TEXT_MAX],)
    texts = dict.fromkeys(text[:_TEXT_MAX] for text in map(as_text, value) if text is not None)
    return list(texts) or (None,)


def _number(value: Any) -> int | float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, int):
        return (
            value
            if -_INTEGER_BELOW < value < _INTEGER_BELOW
            else float(value)
            if abs(value) < 10**300
            else None
        )
    return value if isinstance(value, float) and math.isfinite(value) else None
