"""The installation's settings under this endpoint's own file, which can only narrow them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import inspect

from collectors.contract import NARROWED_BY

Tables = Mapping[str, Any]
"""TOML as Python has it."""


class Merged(msgspec.Struct, frozen=True):
    """`overruled`: keys of the file, dotted, whose values do not hold."""

    tables: dict[str, Any]
    overruled: tuple[str, ...]


def merge(own: Tables, installation: Tables, types: Mapping[str, type[msgspec.Struct]]) -> Merged:
    """own: the endpoint's file. types: each table's config struct by its dotted name
    ("collectors.removable_storage"). Values of the wrong type are left for the later check."""
    overruled: list[str] = []
    return Merged(_merge(own, installation, types, "", overruled), tuple(overruled))


def _merge(
    own: Tables,
    installation: Tables,
    types: Mapping[str, type[msgspec.Struct]],
    place: str,
    overruled: list[str],
) -> dict[str, Any]:
    merged = dict(own)
    rules = _rules(types[place]) if place in types else {}
    for key, asked in installation.items():
        at = f"{place}.{key}" if place else key
        known = own.get(key)
        if isinstance(asked, dict) and (known is None or isinstance(known, dict)) and place not in types:
            merged[key] = _merge(known or {}, asked, types, at, overruled)
        elif known is None or known == asked:
            merged[key] = asked
        else:
            merged[key] = _narrow(rules.get(key), asked, known)
            if merged[key] == asked and merged[key] != known:
                overruled.append(at)
    return merged


def _narrow(rule: str | None, asked: Any, known: Any) -> Any:
    match rule, asked, known:
        case "and", bool(), bool():
            return asked and known
        case "smaller", int() | float(), int() | float():
            return min(asked, known)
        case "union", list(), list():
            return [*asked, *(entry for entry in known if entry not in asked)]
        case _:
            return asked


def _rules(kind: type[msgspec.Struct]) -> dict[str, str]:
    described = inspect.type_info(kind)
    assert isinstance(described, inspect.StructType)
    found = {"enabled": "and"}
    for field in described.fields:
        if isinstance(field.type, inspect.Metadata) and field.type.extra:
            rule = field.type.extra.get(NARROWED_BY)
            if rule is not None:
                found[field.encode_name] = rule
    return found
