"""Exceptions: Sigma filters that take events out of a rule's hits, until a day that somebody set.

An exception is judged by the event's own time: one that has run out lets events of its time go on being
hidden when they come late, and hides nothing that happened afterwards. What it hides is counted, so that
nobody forgets it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from event_schema.ocsf_events import Event
from policies.detection.condition_tree import Tree
from policies.detection.detection_set import DetectionSet, rule_tree
from policies.engine import PolicyHit


class ParsedException(msgspec.Struct, frozen=True):
    """A filter that the loader found good. `rules`: ids. `until`: ms UTC, exclusive. `fields`: that it asks
    for. `conditions`: pySigma's; what fulfils none of them is hidden."""

    exception_id: str
    title: str
    owner: str
    reason: str
    until: int
    rules: tuple[str, ...]
    fields: tuple[str, ...]
    conditions: tuple[Any, ...]
    logsource: Mapping[str, str]
    file: str
    version: int = 0
    hash: str = ""


class Hidden(msgspec.Struct, frozen=True):
    exception_id: str
    rule_id: str


class Sifted(msgspec.Struct, frozen=True):
    """`hidden`: one for each exception that hides a hit."""

    hits: Sequence[PolicyHit]
    hidden: Sequence[Hidden]


class ExceptionSet:
    """In the order of their ids."""

    def __init__(self, exceptions: Sequence[ParsedException] = ()) -> None:
        self.exceptions: Final = tuple(sorted(exceptions, key=lambda each: each.exception_id))
        trees: list[Tree] = [rule_tree(each.conditions) for each in self.exceptions]
        self._passing: Final = DetectionSet(trees)
        self._of_rule: Final[dict[str, list[int]]] = {}
        for number, each in enumerate(self.exceptions):
            for rule_id in each.rules:
                self._of_rule.setdefault(rule_id, []).append(number)

    def concerns(self, hits: Sequence[PolicyHit]) -> bool:
        return bool(self._of_rule) and any(hit.rule_id in self._of_rule for hit in hits)

    def sift(self, hits: Sequence[PolicyHit], event: Event, leaver: Mapping[str, Any], *, at: int) -> Sifted:
        """at: the event's time, ms UTC. `leaver` is plain."""
        if not self.concerns(hits):
            return Sifted(hits, ())
        return self.sift_record(hits, msgspec.to_builtins(event, str_keys=True) | {"leaver": leaver}, at=at)

    def sift_record(self, hits: Sequence[PolicyHit], record: Mapping[str, Any], *, at: int) -> Sifted:
        """`record`: as PolicySet.match takes it."""
        passing = set(self._passing.match(record))
        kept: list[PolicyHit] = []
        hidden: list[Hidden] = []
        for hit in hits:
            hiding = [
                Hidden(self.exceptions[number].exception_id, hit.rule_id)
                for number in self._of_rule.get(hit.rule_id, ())
                if number not in passing and at < self.exceptions[number].until
            ]
            hidden += hiding
            if not hiding:
                kept.append(hit)
        return Sifted(kept, hidden)
