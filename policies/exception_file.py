"""Reads one exception: a Sigma filter with a key of our own, each fault with its line.

title: The build server keeps its own copies
id: 5f0c9e0e-…
logsource: {product: leaver}
filter:
  rules: [ec2514ad-ffed-4be4-aef3-3ceac81f571b]    # ids; never `any`
  build_server:
    device.hostname: build-1
  condition: not build_server                      # what must be true for a hit to count
leaver:
  owner: lin                                       # who answers for it
  reason: Nightly copies, change 4711
  until: 2026-12-31                                # its last day, UTC; a year ahead at most (too_far)
"""

from __future__ import annotations

import datetime
from collections.abc import Collection, Iterator, Mapping
from typing import Annotated, Any, Final

import msgspec
from sigma.exceptions import SigmaError
from sigma.filters import SigmaFilter
from sigma.rule import SigmaRule

from event_schema.field_registry import field_registry
from policies.detection.detection_set import DetectionSet, rule_tree
from policies.detection.routing import fields_of
from policies.detection_checks import Fault, detection_faults, detection_shape_faults, nearest
from policies.errors import NotSupported, PolicyError
from policies.exceptions import ParsedException
from policies.positioned_yaml import YamlDocument
from policies.rule_checks import SIGMA_KEYS, convert_fault

RULES_MAX: Final = 100
LONGEST_DAYS: Final = 366
"""Longer than that, and nobody remembers why."""
_KEYS: Final = SIGMA_KEYS - {"detection", "level", "falsepositives"} | {"filter", "leaver"}
_REQUIRED: Final = ("title", "id", "logsource", "filter", "leaver")
_DAY_MS: Final = 86_400_000
_EPOCH: Final = datetime.date(1970, 1, 1)


class _Duties(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The exception's `leaver` key."""

    owner: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]
    until: datetime.date


def end_of(until: datetime.date) -> int:
    """ms UTC, exclusive, of an exception whose last day this is."""
    return ((until - _EPOCH).days + 1) * _DAY_MS


def too_far(parsed: ParsedException, now: int) -> str | None:
    """What is wrong with its last day for one that is taken over now (ms UTC); what runs already is never
    further off by now."""
    today = now // _DAY_MS
    last = parsed.until // _DAY_MS - 1
    if last <= today + LONGEST_DAYS:
        return None
    latest = _EPOCH + datetime.timedelta(days=today + LONGEST_DAYS)
    return f"its last day is more than a year ahead; {latest} is the latest, renew it then"


def parse_exception(name: str, document: YamlDocument) -> tuple[ParsedException | None, list[PolicyError]]:
    """The exception of a document that has the key `filter`, or None and every fault found in it."""
    value = document.value
    faults = list(_shape_faults(value))
    if faults:
        return None, _at_lines(name, document, faults)
    selections = {key: inner for key, inner in value["filter"].items() if key != "rules"}
    faults = list(detection_faults(selections, field_registry().keys(), at=("filter",)))
    duties, duty_faults = _duties(value["leaver"])
    faults += duty_faults
    conditions: tuple[Any, ...] = ()
    fields: tuple[str, ...] = ()
    if not faults:
        conditions, fields, faults = _conditions(value, selections)
    if faults or duties is None:
        return None, _at_lines(name, document, faults)
    parsed = ParsedException(
        exception_id=value["id"].lower(),
        title=value["title"].strip(),
        owner=duties.owner.strip(),
        reason=duties.reason.strip(),
        until=end_of(duties.until),
        rules=tuple(dict.fromkeys(str(each).lower() for each in _rules(value["filter"]))),
        fields=fields,
        conditions=conditions,
        logsource={key: str(inner) for key, inner in value["logsource"].items()},
        file=name,
    )
    return parsed, []


def reference_fault(
    parsed: ParsedException, known: Mapping[str, Mapping[str, Any]], correlations: Collection[str] = ()
) -> str | None:
    """What is wrong with the rules that it names. `known`: logsources by id. `correlations`: ids."""
    for rule_id in parsed.rules:
        if rule_id in correlations:
            return f"{rule_id} is a correlation: name the rules that it counts"
        source = known.get(rule_id)
        if source is None:
            return f"no good rule has the id {rule_id}{nearest(rule_id, known)}"
        if not parsed.logsource.items() <= source.items():
            said = ", ".join(f"{key}: {value}" for key, value in source.items())
            return f"its logsource leaves out rule {rule_id}, which is of {said}"
    return None


def _shape_faults(value: Mapping[str, Any]) -> Iterator[Fault]:
    for key in value:
        if key not in _KEYS:
            yield Fault((key,), f"unknown key {key}{nearest(key, _KEYS)}")
    for key in _REQUIRED:
        if key not in value:
            yield Fault((), f"the exception has no {key}")
    for key in ("title", "id"):
        if key in value and not (isinstance(value[key], str) and value[key].strip()):
            yield Fault((key,), f"{key} is no text")
    if "logsource" in value and not isinstance(value["logsource"], dict):
        yield Fault(("logsource",), "logsource is a mapping: product: leaver")
    if "filter" in value:
        yield from _filter_faults(value["filter"])


def _filter_faults(inside: Any) -> Iterator[Fault]:
    if not isinstance(inside, dict):
        yield Fault(("filter",), "filter is a mapping of rules, selections and a condition")
        return
    for fault in detection_shape_faults({key: inner for key, inner in inside.items() if key != "rules"}):
        said = fault.message.replace("detection", "filter")
        yield Fault(("filter", *fault.path[1:]), said)
    rules = _rules(inside)
    at = ("filter", "rules") if "rules" in inside else ("filter",)
    if not rules or any(str(each).lower() == "any" for each in rules):
        yield Fault(at, "name the rules by their ids: an exception from all of them hides what nobody meant")
    elif len(rules) > RULES_MAX:
        yield Fault(at, f"{len(rules)} rules are more than {RULES_MAX}")


def _rules(inside: Mapping[str, Any]) -> list[Any]:
    rules = inside.get("rules")
    return rules if isinstance(rules, list) else [] if rules is None else [rules]


def _duties(own: Any) -> tuple[_Duties | None, list[Fault]]:
    if isinstance(own, dict) and isinstance(own.get("until"), datetime.datetime):
        return None, [Fault(("leaver", "until"), "until is a day, as in 2026-12-31: its last one")]
    try:
        return msgspec.convert(own, _Duties), []
    except msgspec.ValidationError as error:
        return None, [convert_fault("leaver", error)]


def _conditions(
    value: Mapping[str, Any], selections: Mapping[str, Any]
) -> tuple[tuple[Any, ...], tuple[str, ...], list[Fault]]:
    common = {key: inner for key, inner in value.items() if key not in ("leaver", "filter")}
    try:
        found = SigmaFilter.from_dict({**common, "filter": value["filter"]}, collect_errors=True)
        if found.errors:
            return (), (), [Fault(("filter",), str(error)) for error in found.errors]
        # A rule of the filter's own: pySigma parses conditions of rules only.
        rule = SigmaRule.from_dict({**common, "detection": dict(selections)})
        conditions = tuple(parsed.parsed for parsed in rule.detection.parsed_condition)
        tree = rule_tree(conditions)
        if not DetectionSet([tree]).match({}):
            said = "hides all events but these: an event that has none of the fields must pass; write `not …`"
            return (), (), [Fault(("filter", "condition"), f"the condition {said}")]
    except NotSupported as error:
        return (), (), [Fault(("filter",), str(error))]
    except (SigmaError, ValueError, TypeError, AttributeError) as error:
        # pySigma lets some malformed values through to Python's own errors.
        return (), (), [Fault(("filter", "condition"), str(error))]
    return conditions, tuple(sorted(set(fields_of(tree)))), []


def _at_lines(name: str, document: YamlDocument, faults: list[Fault]) -> list[PolicyError]:
    return [PolicyError(name, document.line(fault.path), fault.message) for fault in faults]
