"""The compiled set of policies: which rules fire on a record.

Rules that can only fire on some event classes (they ask for a class_uid) are looked at for these only; each
class has its own set of conditions, so that only the fields are read that its class's rules ask for.

Most of what rules ask about has few values: the activity, the drive's type, the person's status. For each
combination of these that occurs, the tests on them are made once; what is left for an event are the tests
on its name, its size and the like, of the rules that the combination leaves possible.
"""

from __future__ import annotations

import hashlib
import operator
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import msgspec

from event_schema.leaver_fields import LeaverFields
from event_schema.ocsf_events import EVENT_CLASSES, Event
from policies.event_rows import LEAVER, EventRows
from policies.matcher import Condition, ConditionSet, Conjunct, Row, pinned_classes

_COMBINATIONS_KEPT: Final = 4096
_LEAVER_KEPT: Final = 50_000
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
_EVENT_CLASSES: Final[dict[int, type[msgspec.Struct]]] = {
    int(str(kind.__struct_config__.tag)): kind for kind in EVENT_CLASSES
}

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


_Tests = list[tuple[tuple[Condition, ...], PolicyHit]]


class _Left(msgspec.Struct, frozen=True):
    """Rules that a combination leaves possible, each with the tests that still have to hold."""

    rules: _Tests
    hint: Condition
    """Whether any of the strings fits without which the rules outside of `unhinted` cannot fire."""
    unhinted: _Tests


class _Program:
    """The rules that may fire on one event class."""

    def __init__(
        self, rules: Sequence[tuple[ParsedPolicy, PolicyHit]], kind: type[msgspec.Struct] | None = None
    ) -> None:
        flat = [(condition, hit) for parsed, hit in rules for condition in parsed.conditions]
        compiled = ConditionSet([condition for condition, _ in flat])
        by_keyword = any(part.fields is None for conjuncts in compiled.conjuncts for part in conjuncts)
        self._rows: Final = (
            EventRows(kind, compiled.fields, compiled.spare) if kind is not None and not by_keyword else None
        )
        few = set(filter(_has_few_values, self._rows.single)) if self._rows is not None else set()
        self._compiled: Final = compiled
        self._rules: Final = [
            (_tests(conjuncts, few, among=True), _tests(conjuncts, few, among=False), hit)
            for conjuncts, (_, hit) in zip(compiled.conjuncts, flat, strict=True)
        ]
        self._whole: Final = [(holds, hit) for holds, (_, hit) in zip(compiled.conditions, flat, strict=True)]
        places = [compiled.fields.position[path] for path in sorted(few)]
        # A second place, for itemgetter gives no tuple for one.
        self._combination: Final = operator.itemgetter(*places, 0, 0)
        self._left: Final[dict[tuple[Any, ...], _Left]] = {}
        self._leaver_values: Final[dict[int, tuple[Mapping[str, Any], tuple[Any, ...]]]] = {}

    def match(self, record: Mapping[str, Any]) -> list[PolicyHit]:
        if not self._rules:
            return []
        row = self._compiled.row(record)
        # Without combinations: in a record of unknown origin 1 may stand where another has true, its equal.
        return _once([hit for holds, hit in self._whole if holds(row)])

    def match_event(self, event: Event, leaver: Mapping[str, Any]) -> list[PolicyHit]:
        if not self._rules:
            return []
        if self._rows is None:
            return self.match(msgspec.to_builtins(event, str_keys=True) | {"leaver": leaver})
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
            left = self._left[combination] = self._possible(row)
        return _hits(left.rules if left.hint(row) else left.unhinted, row)

    def _possible(self, row: Row) -> _Left:
        rules: _Tests = []
        unhinted: _Tests = []
        strings = []
        for among_few, others, hit in self._rules:
            if not all(part.test(row) for part in among_few):
                continue
            rules.append((tuple(part.test for part in others), hit))
            found = next((part.strings for part in others if part.strings is not None), None)
            if found is None:
                unhinted.append(rules[-1])
            else:
                strings.append(found)
        return _Left(rules, self._compiled.any_fits(strings), unhinted)


def _hits(rules: _Tests, row: Row) -> list[PolicyHit]:
    hits = []
    for tests, hit in rules:
        for test in tests:
            if not test(row):
                break
        else:
            hits.append(hit)
    return _once(hits)


def _once(hits: list[PolicyHit]) -> list[PolicyHit]:
    """A rule with several conditions hits once."""
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
                [(p, h) for p, h, classes in routed if classes is None or class_uid in classes],
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

    def match_event(self, event: Event, leaver: Mapping[str, Any]) -> list[PolicyHit]:
        """As match(record_of(event, …)), several times as fast. `leaver` is plain; it must not change."""
        return self._by_kind[type(event)].match_event(event, leaver)


def record_of(event: Event, leaver: LeaverFields) -> dict[str, Any]:
    """An event and what enrichment knew of it, as policies see them."""
    record: dict[str, Any] = msgspec.to_builtins(event, str_keys=True)
    record["leaver"] = msgspec.to_builtins(leaver, str_keys=True)
    return record


def _has_few_values(path: str) -> bool:
    """Kinds and states, by the names that OCSF and the field registry give them; not names, not numbers."""
    last = path.rpartition(".")[2]
    if path.startswith(LEAVER):
        return last not in _MANY_VALUES
    return last.endswith("_id") or path in ("class_uid", "type_uid", "category_uid")


def _tests(conjuncts: Sequence[Conjunct], few: set[str], *, among: bool) -> list[Conjunct]:
    """Those that look at nothing but fields of few values, or all others."""
    return [part for part in conjuncts if (part.fields is not None and part.fields <= few) == among]


def _hit(policy: Policy) -> PolicyHit:
    return PolicyHit(policy.rule_id, policy.title, policy.level, policy.family)


def _classes(conditions: Sequence[Any]) -> frozenset[int] | None:
    each = [pinned_classes(condition) for condition in conditions]
    found = [classes for classes in each if classes is not None]
    return frozenset().union(*found) if len(found) == len(each) else None
