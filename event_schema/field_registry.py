"""Every field that Leaver may collect or derive: dotted path, type, purpose, whether it names a person.

Made from the typed words themselves, so that a field cannot exist without an entry. The transparency
page, pseudonyms and the policies' check for unknown fields read it.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import msgspec
from msgspec import inspect

from event_schema.control_records import Heartbeat, Loss
from event_schema.leaver_fields import LeaverFields
from event_schema.ocsf_events import EVENT_CLASSES


class FieldSpec(msgspec.Struct, frozen=True):
    """One leaf field. `path` is dotted, without list indices.

    `classes` are the OCSF class uids that have it; empty for leaver.* and class_uid itself.
    """

    path: str
    type: str
    purpose: str
    names_person: bool
    not_yet: bool
    """Reserved: nothing fills it."""
    classes: tuple[int, ...]
    values: tuple[tuple[str | int, str], ...] = ()
    """All that it can be, each with its name; empty: anything of its type."""


@cache
def field_registry() -> dict[str, FieldSpec]:
    """All leaf fields of events by path, in the order of the types."""
    found: dict[str, FieldSpec] = {}
    for event_class in EVENT_CLASSES:
        class_uid = event_class.__struct_config__.tag
        assert isinstance(class_uid, int)
        found["class_uid"] = FieldSpec("class_uid", "int", "which kind of act", False, False, ())
        for spec in _leaves(event_class, "", class_uid):
            known = found.get(spec.path)
            classes = (*known.classes, class_uid) if known else (class_uid,)
            # A field that several classes share is described once, by the first.
            values = dict.fromkeys((*known.values, *spec.values) if known else spec.values)
            found[spec.path] = msgspec.structs.replace(known or spec, classes=classes, values=tuple(values))
    for spec in _leaves(LeaverFields, "leaver.", None):
        found[spec.path] = spec
    return found


@cache
def control_fields() -> tuple[FieldSpec, ...]:
    """All leaf fields of what an agent says about itself: paths begin with "heartbeat." or "loss."."""
    return (*_leaves(Heartbeat, "heartbeat.", None), *_leaves(Loss, "loss.", None))


def _leaves(word: type[msgspec.Struct], prefix: str, class_uid: int | None) -> Iterator[FieldSpec]:
    described = inspect.type_info(word)
    assert isinstance(described, inspect.StructType)
    for field in described.fields:
        path = prefix + field.encode_name
        text, names_person, not_yet = _annotation(field.type, path)
        inner = _struct_inside(field.type)
        if inner is not None:
            yield from _leaves(inner.cls, path + ".", class_uid)
        else:
            values = tuple(_values(field.type))
            yield FieldSpec(path, _type_name(field.type), text, names_person, not_yet, (), values)


def _annotation(kind: inspect.Type, path: str) -> tuple[str, bool, bool]:
    if not isinstance(kind, inspect.Metadata):
        raise TypeError(f"field {path} has no purpose: annotate it with struct_base.purpose()")
    extra: dict[str, Any] = kind.extra_json_schema or {}
    text = extra.get("description", "")
    if not text:
        raise TypeError(f"field {path} has no purpose: annotate it with struct_base.purpose()")
    return text, bool(extra.get("names_person", False)), bool(extra.get("not_yet", False))


def _struct_inside(kind: inspect.Type) -> inspect.StructType | None:
    match kind:
        case inspect.Metadata(type=inner):
            return _struct_inside(inner)
        case inspect.StructType():
            return kind
        case inspect.VarTupleType(item_type=inner):
            return _struct_inside(inner)
        case inspect.UnionType(types=types):
            return next((s for s in map(_struct_inside, types) if s is not None), None)
        case _:
            return None


def _type_name(kind: inspect.Type) -> str:
    match kind:
        case inspect.Metadata(type=inner):
            return _type_name(inner)
        case inspect.UnionType(types=types):
            return " or ".join(_type_name(t) for t in types if not isinstance(t, inspect.NoneType))
        case inspect.EnumType(cls=cls) | inspect.CustomType(cls=cls):
            return cls.__name__
        case inspect.LiteralType(values=values):
            return " | ".join(map(str, values))
        case inspect.VarTupleType(item_type=inner):
            return f"list of {_type_name(inner)}"
        case _:
            return type(kind).__name__.removesuffix("Type").lower()


def _values(kind: inspect.Type) -> Iterator[tuple[str | int, str]]:
    match kind:
        case inspect.Metadata(type=inner) | inspect.VarTupleType(item_type=inner):
            yield from _values(inner)
        case inspect.UnionType(types=types):
            for each in types:
                yield from _values(each)
        case inspect.EnumType(cls=cls):
            for member in cls:
                yield member.value, member.name.lower()
        case inspect.LiteralType(values=values):
            for value in values:
                if isinstance(value, str | int):
                    yield value, str(value)
