"""The fields that rules ask for, read from a nested record into a row, each parent walked once.

A field inside a list (`hashes.value`) reads as the list of all its values, None left out. `list[x].field`
reads only the elements whose `type` is x: `discovery_details[resident_id].count`. Events from elsewhere may
be flat, with dots in their keys: such a key means itself and comes first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

LISTS: Final = (list, tuple)
"""Decoded JSON has lists, event structs made plain have tuples."""
_DEPTH_MAX: Final = 32


class FieldReader:
    """`position` says where in read()'s list each path stands; place 0 is the record itself."""

    def __init__(self, paths: Iterable[str]) -> None:
        by_parent: dict[tuple[str, ...], list[str]] = {}
        for path in dict.fromkeys(paths):
            *parents, last = path.split(".")
            by_parent.setdefault(tuple(parents), []).append(last)
        self._groups: Final = [(parents, tuple(lasts)) for parents, lasts in by_parent.items()]
        ordered = [".".join((*parents, last)) for parents, lasts in self._groups for last in lasts]
        self.position: Final = {path: at for at, path in enumerate(ordered, start=1)}
        self._dotted: Final = frozenset(path for path in ordered if "." in path)

    def read(self, record: Mapping[str, Any]) -> list[Any]:
        row: list[Any] = [record]
        for parents, lasts in self._groups:
            inside: Any = record
            for at, part in enumerate(parents):
                inside = inside.get(part.partition("[")[0])
                if type(inside) is not dict:
                    rest = parents[at + 1 :]
                    if part.endswith("]"):
                        inside = chosen_elements(inside, part)
                    row += [values_in_lists(inside, (*rest, last)) for last in lasts]
                    break
            else:
                row += map(inside.get, lasts)
        if not self._dotted.isdisjoint(record):
            for path in self._dotted & record.keys():
                row[self.position[path]] = record[path]
        return row


def values_in_lists(value: Any, parts: Sequence[str]) -> Any:
    return list(_values_in(value, parts, 0)) if isinstance(value, LISTS) else None


def _values_in(value: Any, parts: Sequence[str], depth: int) -> Iterator[Any]:
    if depth > _DEPTH_MAX:
        return
    if isinstance(value, LISTS):
        for element in value:
            yield from _values_in(element, parts, depth + 1)
    elif not parts:
        if value is not None:
            yield value
    elif type(value) is dict:
        part = parts[0]
        inside = value.get(part.partition("[")[0])
        yield from _values_in(
            chosen_elements(inside, part) if part.endswith("]") else inside, parts[1:], depth + 1
        )


def chosen_elements(value: Any, part: str) -> Any:
    """The elements of a list whose type is the one in brackets."""
    wanted = part[part.index("[") + 1 : -1]
    if not isinstance(value, LISTS):
        return None
    return [element for element in value if type(element) is dict and element.get("type") == wanted]
