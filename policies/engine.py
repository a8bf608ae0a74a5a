"""The compiled set of policies: which rules fire on a record.

Rules that can only fire on some event classes (they ask for a class_uid) are looked at for these only; each
class has its own set of conditions, so that only the fields are read that its class's rules ask for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Final, Literal

import msgspec

from event_schema.leaver_fields import LeaverFields
from event_schema.ocsf_events import EVENT_CLASSES, Event
from policies.correlated_policies import CorrelatedPolicies, Named, Wanted
from policies.detection.condition_tree import Tree
from policies.detection.detection_set import DetectionSet, rule_tree
from policies.detection.routing import pinned_classes
from policies.detection.typed_set import TypedDetectionSet, can_be_typed

_EVENT_CLASSES: Final[dict[int, type[msgspec.Struct]]] = {
    int(str(kind.__struct_config__.tag)): kind for kind in EVENT_CLASSES
}

Level = Literal["informational", "low", "medium", "high", "critical"]
About = Literal["account", "suspect"]


class Policy(msgspec.Struct, frozen=True):
    """A rule as people see it."""

    rule_id: str
    title: str
    level: Level
    family: str
    """Alerts of one subject and one family are one alert. "": it makes none, correlations count it."""
    description: str
    runbook: str
    """What the analyst does first."""
    tags: tuple[str, ...]
    file: str
    about: About = "account"
    """Whose alert it is: the account's person, or the one whom the traits lead to (leaver.suspect)."""
    fades: bool = False
    """Whether it weighs less the longer ago they left (analytics/fading.py)."""
    outside_budget: bool = False
    """Whether it alerts however many alerts there are; rules of level critical always do."""
    version: int = 0
    """1, 2 … as it was saved; 0: it comes from no store."""
    hash: str = ""
    """SHA-256 of its text."""

    @property
    def always_alerts(self) -> bool:
        """Outside of the alert budget."""
        return bool(self.family) and (self.outside_budget or self.level == "critical")


class PolicyHit(msgspec.Struct, frozen=True):
    rule_id: str
    title: str
    level: Level
    family: str
    about: About = "account"
    fades: bool = False
    outside_budget: bool = False
    """Policy.always_alerts."""
    version: int = 0


class ParsedPolicy(msgspec.Struct, frozen=True):
    """A rule that the loader found good. `conditions` are pySigma's parsed conditions: one is enough."""

    policy: Policy
    conditions: tuple[Any, ...]
    content: bytes
    """Canonical form of all that decides about hits and alerts."""
    name: str | None = None
    """What correlations may call it by, beside its id."""
    detects: bytes = b""
    """Canonical form of what decides about hits: correlations over it go on while it is the same."""


class ParsedCorrelation(msgspec.Struct, frozen=True):
    """A correlation that the loader found good, whose rules are there."""

    policy: Policy
    wanted: Wanted
    content: bytes


class _Program:
    """The rules that may fire on one event class. Compiled when the first such event comes."""

    def __init__(
        self, rules: Sequence[tuple[Tree, PolicyHit]], kind: type[msgspec.Struct] | None = None
    ) -> None:
        self._trees: Final = [tree for tree, _ in rules]
        self._hits: Final = [hit for _, hit in rules]
        self._kind: Final = kind
        self._others: Final = [at for at, tree in enumerate(self._trees) if not can_be_typed(tree)]
        """Rules that have to see the plain form of events."""

    @cached_property
    def _plain(self) -> DetectionSet:
        return DetectionSet(self._trees)

    @cached_property
    def _typed(self) -> TypedDetectionSet[tuple[PolicyHit, ...]]:
        assert self._kind is not None
        typed = [at for at, tree in enumerate(self._trees) if can_be_typed(tree)]
        return TypedDetectionSet(
            [self._trees[at] for at in typed],
            self._kind,
            lambda fired: tuple([self._hits[typed[number]] for number in fired]),
        )

    @cached_property
    def _untyped(self) -> DetectionSet:
        return DetectionSet([self._trees[at] for at in self._others])

    def match(self, record: Mapping[str, Any]) -> list[PolicyHit]:
        return [self._hits[number] for number in self._plain.match(record)] if self._trees else []

    def match_event(self, event: Event, leaver: Mapping[str, Any]) -> tuple[PolicyHit, ...]:
        if not self._trees:
            return ()
        hits = self._typed.match(event, leaver)
        if self._others:
            record = msgspec.to_builtins(event, str_keys=True) | {"leaver": leaver}
            others = [self._hits[self._others[number]] for number in self._untyped.match(record)]
            if others:
                return tuple(sorted([*hits, *others], key=lambda hit: hit.rule_id))
        return hits


class PolicySet:
    """Rules in the order of their ids, then correlations; the order of files does not matter.

    `correlated`: what is to be done with the hits of rules that correlations count."""

    def __init__(self, rules: Sequence[ParsedPolicy], correlations: Sequence[ParsedCorrelation] = ()) -> None:
        in_order = sorted(rules, key=lambda parsed: parsed.policy.rule_id)
        above = sorted(correlations, key=lambda parsed: parsed.policy.rule_id)
        self.policies: Final = (
            *(parsed.policy for parsed in in_order),
            *(parsed.policy for parsed in above),
        )
        contents = [parsed.content for parsed in in_order] + [parsed.content for parsed in above]
        self.version: Final = hashlib.sha256(b"\n".join(contents)).hexdigest()
        """Changes when, and only when, what a rule does changes."""
        trees = [rule_tree(parsed.conditions) for parsed in in_order]
        self.correlated: Final = CorrelatedPolicies(
            [_named(parsed) for parsed in in_order],
            [parsed.wanted for parsed in above],
        )
        self._correlation_hits: Final = {each.policy.rule_id: _hit(each.policy) for each in above}
        routed = [
            (tree, _hit(parsed.policy), pinned_classes(tree))
            for tree, parsed in zip(trees, in_order, strict=True)
        ]
        known = frozenset().union(*(classes for _, _, classes in routed if classes is not None))
        self._other_classes: Final = _Program([(t, h) for t, h, classes in routed if classes is None])
        self._programs: Final = {
            class_uid: _Program(
                [(t, h) for t, h, classes in routed if classes is None or class_uid in classes],
                _EVENT_CLASSES.get(class_uid),
            )
            for class_uid in known | _EVENT_CLASSES.keys()
        }
        self._by_kind: Final = {kind: self._programs[uid] for uid, kind in _EVENT_CLASSES.items()}

    def match(self, record: Mapping[str, Any]) -> list[PolicyHit]:
        """Rules that fire on {…event's fields…, "leaver": {…}}, plain decoded JSON values (see record_of)."""
        class_uid = record.get("class_uid")
        if type(class_uid) is not int:
            return self._other_classes.match(record)
        return self._programs.get(class_uid, self._other_classes).match(record)

    def match_event(self, event: Event, leaver: Mapping[str, Any]) -> tuple[PolicyHit, ...]:
        """As match(record_of(event, …)), many times as fast. `leaver` is plain; it must not change."""
        return self._by_kind[type(event)].match_event(event, leaver)

    def correlation_hit(self, rule_id: str) -> PolicyHit:
        """What a correlation fires as."""
        return self._correlation_hits[rule_id]


def record_of(event: Event, leaver: LeaverFields) -> dict[str, Any]:
    """An event and what enrichment knew of it, as policies see them."""
    record: dict[str, Any] = msgspec.to_builtins(event, str_keys=True)
    record["leaver"] = msgspec.to_builtins(leaver, str_keys=True)
    return record


def _hit(policy: Policy) -> PolicyHit:
    return PolicyHit(
        policy.rule_id,
        policy.title,
        policy.level,
        policy.family,
        policy.about,
        policy.fades,
        policy.always_alerts,
        policy.version,
    )


def _named(parsed: ParsedPolicy) -> Named:
    content = hashlib.sha256(parsed.detects or parsed.content).hexdigest()
    return Named(parsed.policy.rule_id, parsed.name, content)
