"""Reads a folder of Sigma rules; reports every fault of every file with its line.

A file holds one Sigma rule and two keys of our own, which pySigma never sees:

    leaver: {family: removable_storage_copy, runbook: what the analyst does first,
             about: suspect, fades: true}       # both may be left out: see engine.Policy
    tests:  {firing: [...], silent: [...]}          # see examples.py; they are run at loading

Logsource is `product: leaver`, where `service` names the collector that the rule looks at, for people; or one
of the public ones that field_mapping.py translates. Fields are those of event_schema.field_registry: a rule
about a field that nobody collects is a fault, not a silent rule.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
from sigma.exceptions import SigmaError
from sigma.rule import SigmaRule

from event_schema.field_registry import field_registry
from policies.detection.detection_set import DetectionSet, rule_tree
from policies.detection_checks import Fault, detection_faults
from policies.engine import ParsedPolicy, Policy, PolicySet
from policies.errors import NotSupported, PolicyError, PolicyErrors
from policies.examples import Example, ExampleError, Examples, example_record
from policies.field_mapping import map_fields, mapped_source
from policies.positioned_yaml import Path as YamlPath
from policies.positioned_yaml import YamlDocument, read_yaml
from policies.rule_checks import Duties, for_sigma, own_keys, place_of, shape_faults

SHIPPED_RULES: Final = Path(__file__).parent / "rules"
FILE_BYTES_MAX: Final = 256 * 1024
FILES_MAX: Final = 5_000


def load_policies(folder: Path = SHIPPED_RULES) -> PolicySet:
    """All rules (*.yml) of a folder, compiled. Raises PolicyErrors that lists every fault of every file."""
    policies, errors = load_good_policies(folder)
    if errors:
        raise PolicyErrors(errors)
    return policies


def load_good_policies(folder: Path) -> tuple[PolicySet, tuple[PolicyError, ...]]:
    """The rules of a folder that are right, and every fault of the others."""
    files = sorted(folder.glob("*.yml"))
    if len(files) > FILES_MAX:
        return PolicySet([]), (PolicyError(str(folder), 1, f"{len(files)} files are more than {FILES_MAX}"),)
    rules: list[ParsedPolicy] = []
    errors: list[PolicyError] = []
    id_seen: dict[str, str] = {}
    for file in files:
        name = file.name
        try:
            text = _read(file)
        except (OSError, ValueError) as error:
            errors.append(PolicyError(name, 1, f"cannot be read: {error}"))
            continue
        document = read_yaml(text)
        rule, found = parse_rule(name, document)
        rule_id = str(document.value.get("id")).lower() if isinstance(document.value, dict) else None
        if rule_id is not None and rule_id in id_seen:
            line = document.line(("id",))
            found.append(PolicyError(name, line, f"id {rule_id} is also that of {id_seen[rule_id]}"))
        elif rule_id is not None:
            id_seen[rule_id] = name
        errors += found
        if rule is not None and not found:
            rules.append(rule)
    return PolicySet(rules), tuple(sorted(errors, key=lambda e: (e.file, e.line, e.message)))


def parse_rule(name: str, document: YamlDocument) -> tuple[ParsedPolicy | None, list[PolicyError]]:
    """The rule of one file, or None and every fault that could be found in it."""
    if document.faults:
        return None, [PolicyError(name, fault.line, fault.message) for fault in document.faults]
    faults = list(shape_faults(document.value))
    rule = document.value
    if not faults:
        source = mapped_source(rule["logsource"])
        names = field_registry().keys() | (source.fields.keys() if source is not None else set())
        faults += detection_faults(rule["detection"], names)
    if faults:
        return None, _at_lines(name, document, faults)
    try:
        sigma = SigmaRule.from_dict(for_sigma(rule), collect_errors=True)
        faults += [Fault(place_of(error), str(error)) for error in sigma.errors]
        if source is not None and not faults:
            map_fields(sigma, source)
        conditions = () if faults else tuple(parsed.parsed for parsed in sigma.detection.parsed_condition)
        if conditions:
            DetectionSet([rule_tree(conditions)])
    except NotSupported as error:
        faults.append(Fault(("detection",), str(error)))
    except (SigmaError, ValueError, TypeError, AttributeError) as error:
        # pySigma lets some malformed values through to Python's own errors.
        faults.append(Fault(place_of(error), str(error)))
    if faults:
        return None, _at_lines(name, document, faults)
    duties, examples, faults = own_keys(rule)
    if duties is None or examples is None:
        return None, _at_lines(name, document, faults)
    parsed_policy = _parsed(name, rule, duties, conditions)
    return parsed_policy, _at_lines(name, document, list(_example_faults(parsed_policy, examples)))


def _read(file: Path) -> str:
    with file.open("rb") as opened:
        data = opened.read(FILE_BYTES_MAX + 1)
    if len(data) > FILE_BYTES_MAX:
        raise ValueError(f"more than {FILE_BYTES_MAX} bytes")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 at byte {error.start}") from error


def _parsed(name: str, rule: Mapping[str, Any], duties: Duties, conditions: tuple[Any, ...]) -> ParsedPolicy:
    policy = Policy(
        rule_id=rule["id"].lower(),
        title=rule["title"],
        level=rule["level"],
        family=duties.family,
        description=rule["description"].strip(),
        runbook=duties.runbook.strip(),
        about=duties.about,
        fades=duties.fades,
        tags=tuple(rule.get("tags") or ()),
        file=name,
    )
    decides = {"policy": msgspec.structs.replace(policy, file=""), "detection": rule["detection"]}
    if mapped_source(rule["logsource"]) is not None:
        decides["logsource"] = rule["logsource"]
    content = msgspec.json.encode(
        decides,
        order="deterministic",
        enc_hook=_plain_date,
    )
    return ParsedPolicy(policy, conditions, content)


def _plain_date(value: Any) -> str:
    if isinstance(value, datetime.date):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} in a rule")


def _example_faults(rule: ParsedPolicy, examples: Examples) -> Iterator[Fault]:
    alone = PolicySet([rule])
    for kind, wanted, listed in (("firing", True, examples.firing), ("silent", False, examples.silent)):
        for at, example in enumerate(listed):
            yield from _one_example(alone, ("tests", kind, at), example, wanted)


def _one_example(alone: PolicySet, path: YamlPath, example: Example, wanted: bool) -> Iterator[Fault]:
    try:
        fired = bool(alone.match(example_record(example)))
    except ExampleError as error:
        yield Fault(path, f"example {example.name!r} is no valid record: {error}")
        return
    if fired != wanted:
        says = "does not fire" if wanted else "fires"
        yield Fault(path, f"the rule {says} on its example {example.name!r}")


def _at_lines(name: str, document: YamlDocument, faults: list[Fault]) -> list[PolicyError]:
    return [PolicyError(name, document.line(fault.path), fault.message) for fault in faults]
