"""Reads the fields that rules ask for out of a decoded record, whatever its shape, in one walk over it.

The same values as FieldReader gives, place by place, but by walking what the record holds and not what
rules might ask for: with thousands of rules an event holds a twentieth of their fields.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from policies.field_reader import LISTS, chosen_elements, values_in_lists

_Branch = dict[str, "_Node"]


class _Node:
    """What rules ask for at one key: the value itself (`place`, or 0), and what lies below."""

    __slots__ = ("below", "chosen", "place", "rests")

    def __init__(self) -> None:
        self.place = 0
        self.below: _Branch = {}
        self.rests: list[tuple[int, tuple[str, ...]]] = []
        """(place, path from here on): for where the value is a list."""
        self.chosen: list[tuple[int, str, tuple[str, ...]]] = []
        """(place, the key with its choice in brackets, path from there on)."""


class RecordReader:
    """`position`: each path's place, from 1 on; place 0 is the record itself."""

    def __init__(self, paths: Iterable[str]) -> None:
        self.position: Final = {path: at for at, path in enumerate(dict.fromkeys(paths), start=1)}
        self._blank: Final[list[Any]] = [None] * (len(self.position) + 1)
        self._dotted: Final = frozenset(path for path in self.position if "." in path)
        self._tree: Final[_Branch] = {}
        for path, place in self.position.items():
            self._add(path.split("."), place)

    def _add(self, parts: list[str], place: int) -> None:
        branch = self._tree
        for at, part in enumerate(parts):
            key = part.partition("[")[0] if part.endswith("]") else part
            node = branch.setdefault(key, _Node())
            rest = tuple(parts[at + 1 :])
            if part.endswith("]"):
                node.chosen.append((place, part, rest))
                return
            if not rest:
                node.place = place
                return
            node.rests.append((place, rest))
            branch = node.below

    def read(self, record: Mapping[str, Any]) -> tuple[list[Any], list[int]]:
        """The values by place, and the places that have one."""
        values = self._blank[:]
        values[0] = record
        found: list[int] = []
        _walk(record, self._tree, values, found)
        if self._dotted and not self._dotted.isdisjoint(record):
            for path in self._dotted & record.keys():
                place = self.position[path]
                values[place] = record[path]
                if place not in found:
                    found.append(place)
        return values, found


def _walk(record: Mapping[str, Any], branch: _Branch, values: list[Any], found: list[int]) -> None:
    get = branch.get
    for key, value in record.items():
        node = get(key)
        if node is None or value is None:
            continue
        if node.place:
            values[node.place] = value
            found.append(node.place)
        if node.rests:
            if value.__class__ is dict:
                _walk(value, node.below, values, found)
            elif isinstance(value, LISTS):
                for place, rest in node.rests:
                    values[place] = values_in_lists(value, rest)
                    found.append(place)
        for place, part, rest in node.chosen:
            values[place] = values_in_lists(chosen_elements(value, part), rest)
            found.append(place)
