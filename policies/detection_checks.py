"""What can be wrong in a rule's detection, each fault at its own key: fields, modifiers, values, bounds."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec
import re2  # type: ignore[import-untyped]
from sigma.exceptions import SigmaError
from sigma.modifiers import modifier_mapping
from sigma.rule import SigmaDetectionItem

from event_schema.field_registry import field_registry
from policies.field_mapping import NEVER_COLLECTED
from policies.positioned_yaml import Path as YamlPath

VALUES_MAX: Final = 20_000
TEXT_MAX: Final = 10_000
"""Characters of one value."""
EXPRESSIONS_MAX: Final = 300
"""Of one rule."""
_EXPRESSION_MEMORY: Final = 256 * 1024
"""Bytes that RE2 may take for one: compiling it takes milliseconds, and pySigma compiles it five times."""
_EXPRESSION_FAULTS: Final = 20
_LOOKED_AT_MAX: Final = 400_000
_SELECTED: Final = re.compile(r"(?!\b(?:and|or|not|of|all|any|1)\b)[\w*]+")
_DEPTH_MAX: Final = 8
_CHOICE: Final = re.compile(r"\[[a-z0-9_.]{1,64}\](?=\.)")
"""Of the elements of a list those of one type: discovery_details[resident_id].count"""


class Fault(msgspec.Struct, frozen=True):
    path: YamlPath
    message: str


def detection_shape_faults(detection: Any) -> Iterator[Fault]:
    if not isinstance(detection, dict):
        yield Fault(("detection",), "detection is a mapping of selections and a condition")
        return
    conditions = detection.get("condition")
    if conditions is None:
        yield Fault(("detection",), "detection has no condition")
    elif not all(isinstance(c, str) for c in (conditions if isinstance(conditions, list) else [conditions])):
        yield Fault(("detection", "condition"), "condition is text, or a list of texts")
    elif isinstance(conditions, str) and len(conditions) > TEXT_MAX:
        yield Fault(("detection", "condition"), f"condition is longer than {TEXT_MAX:,} characters")
    if len(detection) < 2:
        yield Fault(("detection",), "detection has no selection")


def detection_faults(
    detection: Mapping[str, Any], fields: Collection[str] | None, *, at: YamlPath = ("detection",)
) -> Iterator[Fault]:
    """`fields`: those that events have; None: any field will do."""
    total = expressions = 0
    for selection, definition in detection.items():
        if selection == "condition":
            continue
        values = _count(definition, 0)
        total += values
        if total > VALUES_MAX:
            words = f"more than {VALUES_MAX:,} values: put them in a list and write |expand with %its name%"
            yield Fault((*at, selection), words)
            return
        expressions += _count(definition, 0, of="re")
        if expressions > EXPRESSIONS_MAX:
            words = f"more than {EXPRESSIONS_MAX:,} expressions: put several into one, as in a|b"
            yield Fault((*at, selection), words)
            return
        yield from _selection_faults((*at, selection), definition, fields)
    conditions = detection.get("condition")
    words = " ".join(conditions) if isinstance(conditions, list) else str(conditions)
    if total * len(_SELECTED.findall(words)) > _LOOKED_AT_MAX:
        said = (
            f"the condition names its selections too often: more than {_LOOKED_AT_MAX:,} values are compared"
        )
        yield Fault((*at, "condition"), said)


def _count(definition: Any, depth: int, of: str | None = None) -> int:
    """Values in a definition, or those with the modifier `of`; too deep counts as too many."""
    if depth > _DEPTH_MAX:
        return VALUES_MAX + 1
    if isinstance(definition, dict):
        return sum(
            _count(inner, depth + 1, None if of in str(key).split("|") else of)
            for key, inner in definition.items()
        )
    if isinstance(definition, list):
        return sum(_count(inner, depth + 1, of) for inner in definition)
    return 1 if of is None else 0


def _selection_faults(path: YamlPath, definition: Any, fields: Collection[str] | None) -> Iterator[Fault]:
    if isinstance(definition, list):
        for at, inner in enumerate(definition):
            if isinstance(inner, dict | list):
                yield from _selection_faults((*path, at), inner, fields)
            else:
                yield from _value_faults((*path, at), inner)
    if not isinstance(definition, dict):
        return
    for key, value in definition.items():
        yield from _item_faults((*path, key), key, value, fields)


def _item_faults(path: YamlPath, key: str, value: Any, fields: Collection[str] | None) -> Iterator[Fault]:
    field, *modifiers = key.split("|")
    yield from _field_faults(path, field, fields)
    bad = list(_value_faults(path, value))
    bad += [
        Fault(path, f"Unknown modifier '{name}'{nearest(name, modifier_mapping)}")
        for name in modifiers
        if name not in modifier_mapping
    ]
    if not bad and "re" in modifiers and "expand" not in modifiers:
        bad = list(_expression_faults(path, value))
    if bad:
        yield from bad
        return
    try:
        SigmaDetectionItem.from_mapping(key, value)
    except (SigmaError, ValueError, TypeError, AttributeError) as error:
        # pySigma lets some malformed values through to Python's own errors.
        yield Fault(path, str(error))
        return
    if fields is not None and not set(modifiers) - {"all"}:
        yield from _impossible_values(path, _CHOICE.sub("", field), value)
    if "fieldref" in modifiers:
        for other in value if isinstance(value, list) else [value]:
            yield from _field_faults(path, str(other), fields)


def _expression_faults(path: YamlPath, value: Any) -> Iterator[Fault]:
    """Before pySigma sees the expression: RE2 would write what it thinks of it to the error output."""
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _EXPRESSION_MEMORY
    faults = 0
    for each in value if isinstance(value, list) else (value,):
        try:
            re2.compile(str(each), options)
        except re2.error as error:
            said = error.args[0].decode(errors="replace") if isinstance(error.args[0], bytes) else str(error)
            if "(?" in said or "escape sequence" in said:
                said += (
                    "; expressions are RE2's: no lookahead, lookbehind or references back. "
                    "Use two selections, one of them with `not`"
                )
            yield Fault(path, f"expression {str(each)[:80]!r}: {said}")
            faults += 1
            if faults == _EXPRESSION_FAULTS:
                return


def _value_faults(path: YamlPath, value: Any) -> Iterator[Fault]:
    for each in value if isinstance(value, list) else (value,):
        if isinstance(each, float) and not math.isfinite(each):
            yield Fault(path, f"{each} is no number to compare with")
        elif isinstance(each, str) and len(each) > TEXT_MAX:
            yield Fault(path, f"a value is longer than {TEXT_MAX:,} characters")


def _field_faults(path: YamlPath, field: str, fields: Collection[str] | None) -> Iterator[Fault]:
    if fields is None:
        return
    field = _CHOICE.sub("", field)
    if field in NEVER_COLLECTED and field not in fields:
        yield Fault(path, f"no event has a field {field}: {NEVER_COLLECTED[field]}")
    elif field and field not in fields:
        yield Fault(path, f"no event has a field {field}{nearest(field, fields)}")


def _impossible_values(path: YamlPath, field: str, value: Any) -> Iterator[Fault]:
    """Values that no event has in a field which has only some: the selection would never hold."""
    spec = field_registry().get(field)
    if spec is None or not spec.values:
        return
    known = {str(each).casefold(): name for each, name in spec.values}
    for each in value if isinstance(value, list) else (value,):
        if each is None or (isinstance(each, str) and ("*" in each or "?" in each)):
            continue
        if str(each).casefold() not in known:
            # An integer says little without its name.
            words = ", ".join(text if text == name else f"{text} ({name})" for text, name in known.items())
            yield Fault(path, f"{field} is never {each}; it is one of {words}")


def nearest(word: str, known: Iterable[str]) -> str:
    """Words for an error: which of the known names were probably meant; empty if none comes near."""
    names = list(known)
    near = difflib.get_close_matches(word, names, n=3, cutoff=0.6)
    if not near:
        last = word.rsplit(".", 1)[-1]
        near = [name for name in names if name.rsplit(".", 1)[-1] == last][:3]
    return f"; did you mean {' or '.join(near)}?" if near else ""
