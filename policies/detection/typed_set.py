"""Many rules on typed events of one class: no copy of the event is made, and what repeats is judged once.

Much of what rules ask about has few values: the activity, the drive's type, the person's status. For each
combination of these that occurs, the tests on them are made once; what is left for an event are tests on its
name, its size and the like, of the rules that the combination leaves possible, and an index over these.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from policies.detection.code_generation import Compiled, compile_tree
from policies.detection.condition_tree import Every, Tree
from policies.detection.routing import conjuncts, fields_of, has_keyword
from policies.detection.rule_index import RuleIndex, fill_texts
from policies.detection.texts import lowered
from policies.detection.witnesses import choose_witnesses
from policies.event_rows import LEAVER, EventRows
from policies.field_reader import FieldReader

_COMBINATIONS_KEPT: Final = 4096
_LEAVER_KEPT: Final = 50_000
_LOOKED_AT_ONCE: Final = 6
"""So few rules are looked at one after the other in less time than the index takes."""
_MANY_VALUES: Final = frozenset(
    {
        "id",
        "owner_id",
        "manager",
        "assigned_to",
        "days_to_last_day",
        "dormant_days",
        "historical_users",
        "origin",
    }
)


class _Left(msgspec.Struct, frozen=True):
    """Of a combination. `sure`: rules that fire; `possible`: that may; `unindexed`: among them."""

    places: tuple[int, ...]
    """Where the fields stand that the possible rules still ask for."""

    sure: tuple[int, ...]
    possible: frozenset[int]
    unindexed: frozenset[int]


class TypedDetectionSet:
    """`kind`: the class of events. No rule may have keywords: see can_be_typed."""

    def __init__(self, trees: Sequence[Tree], kind: type[msgspec.Struct]) -> None:
        reader = FieldReader(field for tree in trees for field in fields_of(tree))
        self._rows: Final = EventRows(kind, reader, 0)
        position = reader.position
        few = set(filter(_has_few_values, self._rows.single))
        parts = [list(conjuncts(tree)) for tree in trees]
        among = [[part for part in each if set(fields_of(part)) <= few] for each in parts]
        others = [[part for part in each if not set(fields_of(part)) <= few] for each in parts]
        self._firsts: Final = [_compiled(each, position) for each in among]
        self._rests: Final = [_compiled(each, position) for each in others]
        rests = [Every(tuple(each)) for each in others]
        self._index: Final = RuleIndex(choose_witnesses(rests), position)
        self._places: Final = [{position[field] for field in fields_of(tree)} for tree in rests]
        self._few_places: Final = [position[field] for field in sorted(few)]
        # A second place, for itemgetter gives no tuple for one.
        self._combination: Final = operator.itemgetter(*self._few_places, 0, 0)
        self._blank: Final[list[Any]] = [None] * (len(position) + 1)
        self._left: Final[dict[tuple[Any, ...], _Left]] = {}
        self._leaver_values: Final[dict[int, tuple[Mapping[str, Any], tuple[Any, ...]]]] = {}

    def match(self, event: msgspec.Struct, leaver: Mapping[str, Any]) -> Sequence[int]:
        """The numbers of the rules that fire, in order. `leaver` must not change."""
        kept = self._leaver_values.get(id(leaver))
        if kept is None:
            if len(self._leaver_values) >= _LEAVER_KEPT:
                self._leaver_values.clear()
            # Holding the words themselves keeps their id from being given to others.
            kept = self._leaver_values[id(leaver)] = leaver, self._rows.leaver_values(leaver)
        row = self._rows.row(event, kept[1])
        combination = self._combination(row)
        left = self._left.get(combination)
        if left is None:
            if len(self._left) >= _COMBINATIONS_KEPT:
                self._left.clear()
            left = self._left[combination] = self._left_by(row)
        if not left.possible:
            return left.sure
        texts = self._blank[:]
        found = [place for place in left.places if row[place] is not None]
        fill_texts(row, texts, found)
        possible: frozenset[int] | set[int] = left.possible
        if len(possible) > _LOOKED_AT_ONCE:
            possible = self._index.candidates(row, texts, found)
            possible &= left.possible
            possible |= left.unindexed
        rests = self._rests
        fired = [number for number in possible if rests[number](row, texts)]
        return sorted([*left.sure, *fired]) if fired else left.sure

    def _left_by(self, row: list[Any]) -> _Left:
        texts = self._blank[:]
        for place in self._few_places:
            texts[place] = lowered(row[place])
        alive = [number for number, first in enumerate(self._firsts) if first(row, texts)]
        sure = tuple(number for number in alive if self._rests[number] is _always)
        possible = frozenset(alive) - frozenset(sure)
        places = set().union(*(self._places[number] for number in possible))
        return _Left(tuple(sorted(places)), sure, possible, possible & self._index.always)


def can_be_typed(trees: Sequence[Tree]) -> bool:
    return not any(map(has_keyword, trees))


def _compiled(parts: Sequence[Tree], position: Mapping[str, int]) -> Compiled:
    return compile_tree(Every(tuple(parts)), position) if parts else _always


def _always(_row: list[Any], _texts: list[Any]) -> bool:
    return True


def _has_few_values(path: str) -> bool:
    """Kinds and states, by the names that OCSF and the field registry give them; not names, not numbers."""
    last = path.rpartition(".")[2]
    if path.startswith(LEAVER):
        return last not in _MANY_VALUES
    return last.endswith("_id") or path in ("class_uid", "type_uid", "category_uid")
