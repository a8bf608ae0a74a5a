"""The installation's settings under this endpoint's own file, which can only narrow them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from os.path import normpath
from pathlib import PurePath
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec

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
            if not _holds(known, merged[key]):
                overruled.append(at)
    return merged


def _narrow(rule: _Rule | None, asked: Any, known: Any) -> Any:  # noqa: PLR0911 - one a rule
    match rule.kind if rule is not None else None, asked, known:
        case "and", bool(), bool():
            return asked and known
        case "smaller", int() | float(), int() | float():
            return min(asked, known)
        case "union", list(), list():
            return [*asked, *(entry for entry in known if entry not in asked)]
        case "within", list(), list():
            own = {normpath(entry): entry for entry in known if _lies_in(entry, asked)}
            others = {normpath(entry): entry for entry in asked if _lies_in(entry, known)}
            return list((others | own).values())
        case "listed", list(), list():
            there = [(entry["name"], entry["path"]) for entry in known]
            return [entry for entry in asked if (entry["name"], entry["path"]) in there]
        case "later", str(), str():
            assert rule is not None
            return max(asked, known, key=rule.words.index)
        case _:
            return asked


def _holds(known: Any, merged: Any) -> bool:
    """Whether what the file says is part of what holds."""
    if isinstance(known, list) and isinstance(merged, list):
        return all(entry in merged for entry in known)
    return bool(known == merged)


def _lies_in(path: str, folders: list[str]) -> bool:
    """By their names: a ".." leads out, where a link leads nobody knows here."""
    inner = PurePath(normpath(path))
    return any(inner.is_relative_to(normpath(folder)) for folder in folders)


class _Rule(msgspec.Struct, frozen=True):
    kind: str
    words: tuple[str, ...]
    """Those that the setting can have, in the order in which they were written."""


def _rules(kind: type[msgspec.Struct]) -> dict[str, _Rule]:
    found = {"enabled": _Rule("and", ())}
    hints = get_type_hints(kind, include_extras=True)
    for field in msgspec.structs.fields(kind):
        plain, *metas = get_args(hints[field.name]) or (None,)
        for meta in metas:
            rule = (meta.extra or {}).get(NARROWED_BY) if isinstance(meta, msgspec.Meta) else None
            if rule is not None:
                words = get_args(plain) if get_origin(plain) is Literal else ()
                found[field.encode_name] = _Rule(rule, words)
    return found
