"""What can be wrong with a rule before it is compiled: its keys, fields, values, and our own two keys."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final, get_args

import msgspec

from event_schema.channels import CHANNELS
from policies.detection_checks import Fault, detection_shape_faults, nearest
from policies.engine import About, Level
from policies.examples import Examples, RecordName
from policies.field_mapping import SOURCES, mapped_source
from policies.positioned_yaml import Path as YamlPath

_REQUIRED: Final = (
    "title",
    "id",
    "status",
    "description",
    "logsource",
    "detection",
    "level",
    "leaver",
    "tests",
)
SIGMA_KEYS: Final = frozenset(
    {
        *("title", "id", "name", "related", "taxonomy", "status", "description", "license", "references"),
        *("author", "date", "modified", "tags", "logsource", "detection", "fields", "falsepositives"),
        *("level", "scope"),
    }
)
_OWN_KEYS: Final = frozenset({"leaver", "tests"})
_TEXT_KEYS: Final = ("title", "id", "description", "level", "status")
_SERVICES: Final = CHANNELS | {"all", "database"}
"""What a rule looks at: one channel, or several."""
_LEVELS: Final[tuple[Level, ...]] = get_args(Level)
_PLACE: Final = re.compile(r" - at `\$(.*)`$")
_STEP: Final = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]")


class Duties(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The rule's `leaver` key: what an alert needs, or that it makes none (see duties_faults)."""

    family: Annotated[str, msgspec.Meta(pattern="^[a-z][a-z0-9_]{0,63}$")] | msgspec.UnsetType = msgspec.UNSET
    runbook: Annotated[str, msgspec.Meta(min_length=1, max_length=10_000)] | msgspec.UnsetType = msgspec.UNSET
    about: About = "account"
    fades: bool = False
    outside_budget: bool = False
    building_block: bool = False
    """It is there for correlations to count."""

    @property
    def of_alerts(self) -> tuple[str, str]:
        """Family and runbook; empty where it makes no alerts."""
        return self.family or "", self.runbook or ""


def duties_faults(duties: Duties) -> Iterator[Fault]:
    if duties.building_block:
        if any(duties.of_alerts):
            yield Fault(("leaver",), "a building_block makes no alerts: it has neither family nor runbook")
        if duties.outside_budget:
            yield Fault(("leaver", "outside_budget"), "a building_block makes no alerts: no budget holds it")
        return
    for key, value in zip(("family", "runbook"), duties.of_alerts, strict=True):
        if not value:
            yield Fault(
                ("leaver",), f"the rule has no {key}; one that correlations count is a building_block"
            )


def shape_faults(rule: Any) -> Iterator[Fault]:
    if not isinstance(rule, dict):
        yield Fault((), "a rule is a mapping of keys such as title, id, logsource, detection")
        return
    for key in rule:
        if key not in SIGMA_KEYS | _OWN_KEYS:
            yield Fault((key,), f"unknown key {key}{nearest(key, SIGMA_KEYS | _OWN_KEYS)}")
    for key in _REQUIRED:
        if key not in rule:
            yield Fault((), f"the rule has no {key}")
    for key in _TEXT_KEYS:
        if key in rule and not (isinstance(rule[key], str) and rule[key].strip()):
            yield Fault((key,), f"{key} is no text")
    if isinstance(rule.get("level"), str) and rule["level"] not in _LEVELS:
        yield Fault(("level",), f"level {rule['level']} is none of {', '.join(_LEVELS)}")
    yield from _logsource_faults(rule.get("logsource", {"product": "leaver"}))
    yield from detection_shape_faults(rule.get("detection", {"condition": "x", "x": "x"}))


def _logsource_faults(logsource: Any) -> Iterator[Fault]:
    if not isinstance(logsource, dict):
        yield Fault(("logsource",), "logsource is a mapping: product: leaver, service: removable_storage")
    elif logsource.get("product") != "leaver" and mapped_source(logsource) is None:
        known = ", ".join(" ".join(f"{k}: {v}" for k, v in each.logsource.items()) for each in SOURCES)
        said = f"product is {logsource['product']}" if "product" in logsource else "there is no product"
        yield Fault(
            ("logsource",),
            f"{said}, Leaver's events are product: leaver; of other logsources it knows {known}",
        )
    elif logsource.get("product") == "leaver" and logsource.get("service", "all") not in _SERVICES:
        service, known = str(logsource["service"]), ", ".join(sorted(_SERVICES))
        said = f"no collector is called {service}{nearest(service, _SERVICES)}; there are {known}"
        yield Fault(("logsource", "service"), said)


def for_sigma(rule: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in rule.items() if key not in _OWN_KEYS}


def place_of(error: BaseException) -> YamlPath:
    """Where a fault that pySigma gives without a line most likely lies, by the kind of the error."""
    kind = type(error).__name__.removeprefix("Sigma").removesuffix("Error").lower()
    places: dict[str, YamlPath] = {
        "identifier": ("id",),
        "condition": ("detection", "condition"),
        "tag": ("tags",),
        "reference": ("references",),
    }
    return places.get(kind, (kind,) if kind in SIGMA_KEYS else ("detection",))


def own_keys(rule: Mapping[str, Any]) -> tuple[Duties | None, Examples | None, list[Fault]]:
    """None where there is none, or it has faults."""
    faults: list[Fault] = []
    duties = examples = None
    if "leaver" in rule:
        try:
            duties = msgspec.convert(rule["leaver"], Duties)
            faults += duties_faults(duties)
        except msgspec.ValidationError as error:
            faults.append(convert_fault("leaver", error))
    if "tests" in rule:
        unknown = list(_record_faults(rule["tests"]))
        faults += unknown
        try:
            examples = None if unknown else msgspec.convert(rule["tests"], Examples)
        except msgspec.ValidationError as error:
            faults.append(convert_fault("tests", error))
    return duties, examples, faults


def _record_faults(tests: Any) -> Iterator[Fault]:
    names = get_args(RecordName)
    for kind in ("firing", "silent"):
        found = tests.get(kind) if isinstance(tests, dict) else None
        for at, example in enumerate(found if isinstance(found, list) else ()):
            record = example.get("record") if isinstance(example, dict) else None
            if isinstance(record, str) and record not in names:
                yield Fault(
                    ("tests", kind, at, "record"),
                    f"there is no record {record}{nearest(record, names)}; see leaver policy record",
                )


def convert_fault(key: str, error: msgspec.ValidationError) -> Fault:
    """Of what stands under `key`, at the place that msgspec names."""
    message = str(error)
    place = _PLACE.search(message)
    steps = _STEP.findall(place.group(1)) if place else []
    return Fault((key, *(name or int(at) for name, at in steps)), _PLACE.sub("", message))
