"""A part of a typed event in plain form, as records hold it: what correlations read, and no more."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import msgspec

from policies.event_rows import LEAVER, reach

_TEXT_LIKE: Final = (str, int, float, bool)

Reader = Callable[[Any, Mapping[str, Any]], Mapping[str, Any]]
"""(event, plain `leaver`) to a record with at least the paths that were asked for."""


def part_reader(kind: type[msgspec.Struct], paths: Iterable[str]) -> Reader:
    """For events of one class."""
    tops: dict[str, Callable[[Any], Any]] = {}
    wanted = [path for path in paths if not path.startswith(LEAVER)]
    below: dict[str, list[list[str]]] = {}
    for path in wanted:
        top, *rest = path.split(".")
        below.setdefault(top.partition("[")[0], []).append(rest)
    names = {field.encode_name: field.name for field in msgspec.structs.fields(kind)}
    if any(names.get(top) != top for top in below):
        # Written otherwise than it is called, such as the class itself.
        return lambda event, leaver: msgspec.to_builtins(event, str_keys=True) | {"leaver": leaver}
    for top, rests in below.items():
        single = [rest for rest in rests if len(rest) == 1 and reach(kind, [top, *rest])]
        tops[top] = _fields(top, [rest[0] for rest in single]) if len(single) == len(rests) else _whole(top)

    def read(event: Any, leaver: Mapping[str, Any]) -> Mapping[str, Any]:
        record = {top: get(event) for top, get in tops.items()}
        record["leaver"] = leaver
        return record

    return read


def _whole(top: str) -> Callable[[Any], Any]:
    return lambda event: msgspec.to_builtins(getattr(event, top), str_keys=True)


def _fields(top: str, names: list[str]) -> Callable[[Any], dict[str, Any]]:
    get = operator.attrgetter(top)

    def read(event: Any) -> dict[str, Any]:
        parent = get(event)
        return {name: _plain(getattr(parent, name)) for name in names}

    return read


def _plain(value: Any) -> Any:
    return value if value.__class__ in _TEXT_LIKE else msgspec.to_builtins(value)
