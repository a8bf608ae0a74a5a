"""What can be wrong with a correlation, in plain words, before and after its rules are known."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from sigma.correlations import (
    SigmaCorrelationRule,
    SigmaCorrelationTimespan,
    SigmaExtendedCorrelationCondition,
)

from policies.detection_checks import Fault, nearest

TYPES: Final = (
    *("event_count", "value_count", "value_sum", "value_avg", "value_percentile", "value_median"),
    *("temporal", "temporal_ordered"),
)
_OPERATORS: Final = frozenset({"lt", "lte", "gt", "gte", "eq", "neq"})
_KEYS: Final = frozenset({"type", "rules", "generate", "group-by", "timespan", "aliases", "condition"})
_TIMESPAN: Final = re.compile(r"0*[1-9][0-9]{0,8}[smhdwMy]")
_WORD: Final = re.compile(r"[^\s()]+")
_IDENTIFIER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OF_DAYS: Final = ("event_count", "value_count", "value_sum", "value_avg")
DAY_SECONDS: Final = 86_400
DAYS_MAX: Final = 92
VALUES_MAX: Final = 10_000
RULES_MAX: Final = 100
CHAIN_MAX: Final = 8

Path = tuple[str | int, ...]


def suppressed_ms(value: Mapping[str, Any]) -> int:
    """How long a group stays quiet after an alert: `leaver: {suppress: 1d}` beside `correlation`; else 0."""
    written = _own(value, "suppress")
    return 0 if written is None else SigmaCorrelationTimespan(written).seconds * 1000


def whole_days(value: Mapping[str, Any]) -> int:
    """Of a window of whole days: `leaver: {window: days}` beside `correlation`; else 0."""
    if _own(value, "window") is None:
        return 0
    return int(SigmaCorrelationTimespan(value["correlation"]["timespan"]).seconds) // DAY_SECONDS


def own_faults(value: Mapping[str, Any]) -> Iterator[Fault]:
    """Of what is Leaver's own beside `correlation`, which has no faults."""
    written = _own(value, "suppress")
    if written is not None and not (isinstance(written, str) and _TIMESPAN.fullmatch(written)):
        yield Fault(("leaver", "suppress"), f"suppress {written} is no number with s, m, h, d, w, M or y: 1d")
    window = _own(value, "window")
    if window is None:
        return
    correlation = value["correlation"]
    if window != "days":
        yield Fault(("leaver", "window"), f"window is {window}: only days is possible, else it slides")
    elif correlation["type"] not in _OF_DAYS:
        words = f"{correlation['type']} needs each event: windows of days are for {', '.join(_OF_DAYS)}"
        yield Fault(("leaver", "window"), words)
    else:
        seconds = SigmaCorrelationTimespan(correlation["timespan"]).seconds
        if seconds % DAY_SECONDS or not 1 <= seconds // DAY_SECONDS <= DAYS_MAX:
            words = f"a window of days has 1 to {DAYS_MAX} whole days: {correlation['timespan']} has not"
            yield Fault(("correlation", "timespan"), words)
        if correlation["type"] == "value_count" and _bound(correlation) > VALUES_MAX:
            words = f"a window of days tells at most {VALUES_MAX:,} values a day apart"
            yield Fault(("correlation", "condition"), words)


def _bound(correlation: Mapping[str, Any]) -> float:
    condition = correlation.get("condition")
    bounds = [condition.get(name) for name in _OPERATORS] if isinstance(condition, dict) else []
    return max((each for each in bounds if isinstance(each, int | float)), default=0)


def _own(value: Mapping[str, Any], key: str) -> Any:
    own = value.get("leaver")
    return own.get(key) if isinstance(own, dict) else None


def correlation_faults(value: Any) -> Iterator[Fault]:
    """Faults of the `correlation` key alone."""
    at: Path = ("correlation",)
    if not isinstance(value, dict):
        yield Fault(at, "correlation is a mapping of type, rules, group-by, timespan and condition")
        return
    for key in value:
        if key not in _KEYS:
            yield Fault((*at, key), f"unknown key {key}{nearest(key, _KEYS)}")
    kind = value.get("type")
    if kind not in TYPES:
        said = "correlation has no type" if kind is None else f"type {kind} is none of {', '.join(TYPES)}"
        yield Fault((*at, "type"), said + nearest(str(kind), TYPES))
    timespan = value.get("timespan")
    if not isinstance(timespan, str) or not _TIMESPAN.fullmatch(timespan):
        yield Fault(
            (*at, "timespan"), f"timespan {timespan} is no number with s, m, h, d, w, M or y: 15m, 7d"
        )
    rules = value.get("rules")
    if isinstance(rules, list) and not (0 < len(rules) <= RULES_MAX):
        yield Fault((*at, "rules"), f"{len(rules)} rules: a correlation has 1 to {RULES_MAX}")
    condition = value.get("condition")
    if isinstance(condition, dict):
        yield from _condition_faults((*at, "condition"), condition, str(kind))
    elif isinstance(condition, str):
        for word in _WORD.findall(condition):
            if not _IDENTIFIER.fullmatch(word):
                words = f"{word} cannot stand in a condition: name rules with letters, digits and _ (name: …)"
                yield Fault((*at, "condition"), words)


def _condition_faults(at: Path, condition: Mapping[str, Any], kind: str) -> Iterator[Fault]:
    asked = sorted(_OPERATORS & condition.keys())
    for key in condition:
        if key not in _OPERATORS | {"field", "percentile"}:
            yield Fault((*at, key), f"unknown key {key}{nearest(key, _OPERATORS | {'field', 'percentile'})}")
    if len(asked) > 1:
        words = f"a range ({' and '.join(asked)}) is not possible: write two correlations, or one bound"
        yield Fault((*at, asked[1]), words)
    elif not asked:
        yield Fault(at, "condition compares with nothing: one of gt, gte, lt, lte, eq, neq")
    if kind.startswith("value_") and "field" not in condition:
        yield Fault(at, f"{kind} needs a field in its condition")
    several = isinstance(condition.get("field"), list)
    if several and kind != "value_count":
        yield Fault((*at, "field"), f"{kind} looks at one field; only value_count takes several")
    percentile = condition.get("percentile", 50)
    if isinstance(percentile, bool) or not isinstance(percentile, int) or not 0 <= percentile <= 100:
        yield Fault((*at, "percentile"), f"percentile {percentile} is no whole number from 0 to 100")


def references(correlation: SigmaCorrelationRule) -> list[str]:
    """The rules that it names, by id or name, in order."""
    if correlation.rules is not None:
        return [each.reference for each in correlation.rules]
    assert isinstance(correlation.condition, SigmaExtendedCorrelationCondition)
    return correlation.condition.get_referenced_rules()


def by_reference(rules: Sequence[Any]) -> dict[str, int]:
    """Where each rule stands, by its id and by its name."""
    known: dict[str, int] = {}
    for at, rule in enumerate(rules):
        if rule.id is not None:
            known[str(rule.id)] = at
        if rule.name is not None:
            known.setdefault(rule.name, at)
    return known


def reference_faults(
    rules: Sequence[Any], correlations: Sequence[SigmaCorrelationRule]
) -> dict[int, list[Fault]]:
    """By place in `correlations`: names that no good rule has, and circles."""
    known = by_reference([*rules, *correlations])
    faults: dict[int, list[Fault]] = {}
    below: list[list[int]] = []
    for at, correlation in enumerate(correlations):
        below.append([])
        named = references(correlation)
        for alias in correlation.aliases or ():
            named += [each.reference for each in alias.mapping]
        for reference in named:
            found = known.get(str(reference).lower(), known.get(str(reference)))
            if found is None:
                words = f"no good rule has the id or name {reference}{nearest(str(reference), known)}"
                faults.setdefault(at, []).append(Fault(("correlation", "rules"), words))
            elif found >= len(rules):
                below[at].append(found - len(rules))
    for at in range(len(correlations)):
        if at not in faults and (circle := _chain_fault(at, below)):
            faults[at] = [Fault(("correlation", "rules"), circle)]
    return faults


def _chain_fault(start: int, below: Sequence[Sequence[int]]) -> str | None:
    level, steps = {start}, 0
    while level:
        level = {inner for each in level for inner in below[each]}
        steps += 1
        if start in level:
            return "the correlation refers to itself, through other correlations or not"
        if steps > CHAIN_MAX:
            return f"a chain of more than {CHAIN_MAX} correlations, or one that runs in a circle"
    return None
