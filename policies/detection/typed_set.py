"""Many rules on typed events of one class: events of which all their tests say the same are judged once.

An event's key (event_keys.py) holds what the tests on its fields say, and with it stands which rules fire.
There are far fewer keys than events; only the first event of each is read field by field and judged by rules.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, Final, Generic, TypeVar

import msgspec

from policies.detection.condition_tree import Tree
from policies.detection.detection_set import DetectionSet
from policies.detection.event_keys import EventKeys
from policies.detection.outcomes import comparisons
from policies.detection.routing import has_keyword
from policies.event_rows import LEAVER, EventRows

_ANSWERS_KEPT: Final = 50_000

Answer = TypeVar("Answer")


class TypedDetectionSet(Generic[Answer]):
    """`kind`: the class of events. `trees`: rules that can_be_typed. `answer`: made of the numbers of those
    that fire, once for each key."""

    def __init__(
        self, trees: Sequence[Tree], kind: type[msgspec.Struct], answer: Callable[[Sequence[int]], Answer]
    ) -> None:
        self._rules: Final = DetectionSet(trees)
        self._rows: Final = EventRows(kind, self._rules.position)
        self._keys: Final = EventKeys(kind, trees)
        self._key: Final = self._keys.key
        self._answer: Final = answer
        self._answers: Final[dict[Hashable, Answer]] = {}

    def match(self, event: msgspec.Struct, leaver: Mapping[str, Any]) -> Answer:
        """`leaver` must not change."""
        key = self._key(event, leaver)
        answer = self._answers.get(key)
        if answer is None:
            if len(self._answers) >= _ANSWERS_KEPT:
                self._answers.clear()
            row = self._rows.row(event, leaver)
            found = [place for place, value in enumerate(row) if place and value is not None]
            answer = self._answers[key] = self._answer(self._rules.match_row(row, found))
        return answer


def can_be_typed(tree: Tree) -> bool:
    """Whether it asks each of the event's fields by itself. What is known around it may be compared."""
    if has_keyword(tree):
        return False
    compared = [field for test in comparisons(tree) for field in (test.field, test.other.field)]
    return all(field.startswith(LEAVER) for field in compared)
