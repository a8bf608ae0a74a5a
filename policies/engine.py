"""The compiled set of policies: which rules fire on a record.

Rules that can only fire on some event classes (they ask for a class_uid) are looked at for these only; each
class has its own set of conditions, so that only the fields are read that its class's rules ask for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import msgspec

from event_schema.leaver_fields import LeaverFields
from event_schema.ocsf_events import Event
from policies.matcher import Condition, ConditionSet, pinned_classes

Level = Literal["informational", "low", "medium", "high", "critical"]


class Policy(msgspec.Struct, frozen=True):
    """A rule as people see it."""

    rule_id: str
    title: str
    level: Level
    family: str
    """Alerts of one subject and one family are one alert."""
    description: str
    runbook: str
    """What the analyst does first."""
    tags: tuple[str, ...]
    file: str


class PolicyHit(msgspec.Struct, frozen=True):
    rule_id: str
    title: str
    level: Level
    family: str


class ParsedPolicy(msgspec.Struct, frozen=True):
    """A rule that the loader found good. `conditions` are pySigma's parsed conditions: one is enough."""

    policy: Policy
    conditions: tuple[Any, ...]
    content: bytes
    """Canonical form of all that decides about hits and alerts."""


class _Program:
    """The rules that may fire on one event class."""

    def __init__(self, rules: Sequence[tuple[ParsedPolicy, PolicyHit]]) -> None:
        flat = [(condition, hit) for parsed, hit in rules for condition in parsed.conditions]
        self._compiled: Final = ConditionSet([condition for condition, _ in flat])
        hits = [hit for _, hit in flat]
        self._rules: Final[list[tuple[Condition, PolicyHit]]] = list(
            zip(self._compiled.conditions, hits, strict=True)
        )

    def match(self, record: Mapping[str, Any]) -> list[PolicyHit]:
        if not self._rules:
            return []
        row = self._compiled.row(record)
        hits = [hit for holds, hit in self._rules if holds(row)]
        # A rule with several conditions hits once.
        return list(dict.fromkeys(hits)) if len(hits) > 1 else hits


class PolicySet:
    """Rules in the order of their ids; the order of files does not matter."""

    def __init__(self, rules: Sequence[ParsedPolicy]) -> None:
        in_order = sorted(rules, key=lambda parsed: parsed.policy.rule_id)
        self.policies: Final = tuple(parsed.policy for parsed in in_order)
        self.version: Final = hashlib.sha256(b"\n".join(parsed.content for parsed in in_order)).hexdigest()
        """Changes when, and only when, what a rule does changes."""
        routed = [(parsed, _hit(parsed.policy), _classes(parsed.conditions)) for parsed in in_order]
        known = frozenset().union(*(classes for _, _, classes in routed if classes is not None))
        self._other_classes: Final = _Program([(p, h) for p, h, classes in routed if classes is None])
        self._programs: Final = {
            class_uid: _Program(
                [(p, h) for p, h, classes in routed if classes is None or class_uid in classes]
            )
            for class_uid in known
        }

    def match(self, record: Mapping[str, Any]) -> list[PolicyHit]:
        """Rules that fire on {…event's fields…, "leaver": {…}}, plain decoded JSON values (see record_of)."""
        class_uid = record.get("class_uid")
        if type(class_uid) is not int:
            return self._other_classes.match(record)
        return self._programs.get(class_uid, self._other_classes).match(record)


def record_of(event: Event, leaver: LeaverFields) -> dict[str, Any]:
    """An event and what enrichment knew of it, as policies see them."""
    record: dict[str, Any] = msgspec.to_builtins(event, str_keys=True)
    record["leaver"] = msgspec.to_builtins(leaver, str_keys=True)
    return record


def _hit(policy: Policy) -> PolicyHit:
    return PolicyHit(policy.rule_id, policy.title, policy.level, policy.family)


def _classes(conditions: Sequence[Any]) -> frozenset[int] | None:
    each = [pinned_classes(condition) for condition in conditions]
    found = [classes for classes in each if classes is not None]
    return frozenset().union(*found) if len(found) == len(each) else None
