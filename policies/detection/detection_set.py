"""Many rules' detections, compiled and indexed together: which of them an event fulfils."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from policies.detection.code_generation import Compiled, compile_tree
from policies.detection.condition_tree import Either, Placeholders, Tree, condition_tree
from policies.detection.record_reader import RecordReader
from policies.detection.routing import fields_of
from policies.detection.rule_index import RuleIndex, fill_texts
from policies.detection.witnesses import choose_witnesses


class DetectionSet:
    """`trees`: a rule each (rule_tree). Raises NotSupported.

    Without an index every rule is looked at for every event: the same answers, for comparison.
    """

    def __init__(self, trees: Sequence[Tree], *, indexed: bool = True) -> None:
        self._reader: Final = RecordReader(field for tree in trees for field in fields_of(tree))
        self.position: Final = self._reader.position
        """The place of each field in a row; place 0 is the record."""
        self._compiled: Final[list[Compiled]] = [compile_tree(tree, self._reader.position) for tree in trees]
        witnesses = choose_witnesses(trees) if indexed else [None] * len(trees)
        self._index: Final = RuleIndex(witnesses, self._reader.position)
        self._blank: Final[list[Any]] = [None] * (len(self._reader.position) + 1)

    def match(self, record: Mapping[str, Any]) -> list[int]:
        """The numbers of the rules that fire, in order."""
        return self.match_row(*self._reader.read(record))

    def match_row(self, values: list[Any], found: Sequence[int]) -> list[int]:
        """As match, of a record whose `values` lie by place. found: the places that have one."""
        texts = self._blank[:]
        fill_texts(values, texts, found)
        compiled = self._compiled
        fired = [
            number
            for number in self._index.candidates(values, texts, found)
            if compiled[number](values, texts)
        ]
        fired.sort()
        return fired


def rule_tree(conditions: Sequence[Any], placeholders: Placeholders | None = None) -> Tree:
    """A rule from its parsed conditions, of which one is enough. Raises NotSupported."""
    placeholders = placeholders or {}
    trees = tuple(condition_tree(condition, placeholders) for condition in conditions)
    return trees[0] if len(trees) == 1 else Either(trees)
