"""Reads a folder of Sigma rules; reports every fault of every file with its line.

A file holds an exception (exception_file.py), a correlation (correlation_file.py), or one Sigma rule and two
keys of our own, which pySigma never sees:

    leaver: {family: removable_storage_copy, runbook: what the analyst does first,
             about: suspect, fades: true,       # these may be left out: see engine.Policy
             outside_budget: true}
    tests:  {firing: [...], silent: [...]}          # see examples.py; they are run at loading

Logsource is `product: leaver`, where `service` names the collector that the rule looks at, for people; or one
of the public ones that field_mapping.py translates. Fields are those of event_schema.field_registry: a rule
about a field that nobody collects is a fault, not a silent rule.
"""

from __future__ import annotations

import datetime
import hashlib
import threading
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import msgspec
from sigma.exceptions import SigmaError
from sigma.rule import SigmaRule

from event_schema.field_registry import field_registry
from policies.correlation_file import ReadCorrelation, good_correlations, parse_correlation
from policies.detection.detection_set import DetectionSet, rule_tree
from policies.detection_checks import Fault, detection_faults
from policies.engine import ParsedCorrelation, ParsedPolicy, Policy, PolicySet
from policies.errors import NotSupported, PolicyError, PolicyErrors
from policies.examples import Example, ExampleError, Examples, example_record
from policies.exception_file import parse_exception, reference_fault, too_far
from policies.exceptions import ExceptionSet, ParsedException
from policies.field_mapping import map_fields, mapped_source
from policies.positioned_yaml import Path as YamlPath
from policies.positioned_yaml import YamlDocument, read_yaml
from policies.rule_checks import Duties, for_sigma, own_keys, place_of, shape_faults

SHIPPED_RULES: Final = Path(__file__).parent / "rules"
FILE_BYTES_MAX: Final = 256 * 1024
FILES_MAX: Final = 5_000
RULE_ENDINGS: Final = (".yml", ".yaml")
TEXTS_KEPT: Final = 4_096
"""Parsed ones, by `parse_once`."""
_parsing: Final = threading.Lock()


class RuleText(msgspec.Struct, frozen=True):
    """A rule or an exception as it is written. `version`: as it was saved; 0: it was not."""

    file: str
    text: str
    version: int = 0

    @property
    def hash(self) -> str:
        """SHA-256, as sha256sum tells it of the file."""
        return hashlib.sha256(self.text.encode()).hexdigest()


class LoadedPolicies(msgspec.Struct, frozen=True):
    """What is good, and every fault of the rest."""

    policies: PolicySet
    exceptions: ExceptionSet
    errors: tuple[PolicyError, ...]


Parsed = ParsedPolicy | ParsedException | ReadCorrelation


class ParsedText(msgspec.Struct, frozen=True):
    """`rule_id`: as far as the text tells one. `parsed`: None where it has faults."""

    text: RuleText
    rule_id: str | None
    logsource: Mapping[str, Any]
    parsed: Parsed | None
    errors: tuple[PolicyError, ...]
    document: YamlDocument


def load_policies(folder: Path = SHIPPED_RULES) -> PolicySet:
    """All rules of a folder, compiled. Raises PolicyErrors that lists every fault of every file."""
    policies, errors = load_good_policies(folder)
    if errors:
        raise PolicyErrors(errors)
    return policies


def load_good_policies(folder: Path) -> tuple[PolicySet, tuple[PolicyError, ...]]:
    """The rules of a folder that are right, and every fault of the others."""
    texts, errors = read_folder(folder)
    found = load_texts(map(parse_text, texts), errors)
    return found.policies, found.errors


def read_folder(folder: Path) -> tuple[list[RuleText], list[PolicyError]]:
    """All RULE_ENDINGS of a folder and those below it, by name; what begins with a dot is left out."""
    files = sorted(
        (str(file.relative_to(folder)), file)
        for file in folder.rglob("*")
        if file.suffix in RULE_ENDINGS
        and not any(part.startswith(".") for part in file.relative_to(folder).parts)
    )
    if len(files) > FILES_MAX:
        return [], [PolicyError(str(folder), 1, f"{len(files)} files are more than {FILES_MAX}")]
    texts: list[RuleText] = []
    errors: list[PolicyError] = []
    for name, file in files:
        try:
            texts.append(RuleText(name, read_rule_file(file)))
        except OSError as error:
            errors.append(PolicyError(name, 1, f"cannot be read: {error.strerror}"))
        except ValueError as error:
            errors.append(PolicyError(name, 1, f"cannot be read: {error}"))
    return texts, errors


def load_texts(
    found: Iterable[ParsedText],
    errors: Iterable[PolicyError] = (),
    out_of_use: Iterable[ParsedText] = (),
) -> LoadedPolicies:
    """What is good of these together: ids stand once, exceptions and correlations name rules that are there.
    `errors`: of files that could not be read. `out_of_use`: see good_texts."""
    good, faults = good_texts(found, out_of_use)
    rules = [each.parsed for each in good if isinstance(each.parsed, ParsedPolicy)]
    correlations = [each.parsed.parsed for each in good if isinstance(each.parsed, ReadCorrelation)]
    exceptions = [each.parsed for each in good if isinstance(each.parsed, ParsedException)]
    return LoadedPolicies(
        PolicySet(rules, correlations),
        ExceptionSet(exceptions),
        tuple(sorted([*errors, *faults], key=_place)),
    )


def good_texts(
    found: Iterable[ParsedText], out_of_use: Iterable[ParsedText] = ()
) -> tuple[list[ParsedText], list[PolicyError]]:
    """Those that are good together, and every fault. `out_of_use`: rules that do not run, but which
    exceptions may name."""
    errors: list[PolicyError] = []
    good: list[ParsedText] = []
    id_seen: dict[str, str] = {}
    for each in found:
        faults = list(each.errors)
        name, rule_id = each.text.file, each.rule_id
        if rule_id is not None and rule_id in id_seen:
            words = f"id {rule_id} is also that of {id_seen[rule_id]}"
            faults.append(PolicyError(name, each.document.line(("id",)), words))
        elif rule_id is not None:
            id_seen[rule_id] = name
        errors += faults
        if each.parsed is not None and not faults:
            good.append(each)
    known = {
        each.rule_id: each.logsource
        for each in (*out_of_use, *good)
        if each.rule_id is not None and isinstance(each.parsed, ParsedPolicy)
    }
    rules = [each.parsed for each in good if isinstance(each.parsed, ParsedPolicy)]
    correlations = [each.parsed for each in good if isinstance(each.parsed, ReadCorrelation)]
    complete, faults = good_correlations(rules, correlations)
    errors += faults
    runs = {each.parsed.policy.rule_id for each in complete}
    whole: list[ParsedText] = []
    for each in good:
        if isinstance(each.parsed, ReadCorrelation) and each.rule_id not in runs:
            continue
        fault = (
            reference_fault(each.parsed, known, runs) if isinstance(each.parsed, ParsedException) else None
        )
        if fault is None:
            whole.append(each)
        else:
            errors.append(PolicyError(each.text.file, each.document.line(("filter", "rules")), fault))
    return whole, errors


def policy_of(found: ParsedText) -> Policy | None:
    """The rule or correlation as people see it; None: it is none, or has faults."""
    match found.parsed:
        case ParsedPolicy(policy=policy) | ReadCorrelation(parsed=ParsedCorrelation(policy=policy)):
            return policy
        case _:
            return None


def parse_text(text: RuleText) -> ParsedText:
    """A rule or an exception, by itself."""
    document = read_yaml(text.text)
    value = document.value if isinstance(document.value, dict) else {}
    rule_id = str(value["id"]).lower() if "id" in value else None
    parsed: Parsed | None
    if "filter" in value and not document.faults:
        parsed, errors = parse_exception(text.file, document)
        if parsed is not None:
            parsed = msgspec.structs.replace(parsed, version=text.version, hash=text.hash)
    elif "correlation" in value and not document.faults:
        parsed, errors = parse_correlation(text.file, document)
        if parsed is not None:
            parsed = parsed.saved_as(text.version, text.hash)
    else:
        parsed, errors = parse_rule(text.file, document)
        if parsed is not None:
            policy = msgspec.structs.replace(parsed.policy, version=text.version, hash=text.hash)
            parsed = msgspec.structs.replace(parsed, policy=policy)
    source = value.get("logsource")
    logsource = source if isinstance(source, dict) else {}
    return ParsedText(text, rule_id, logsource, None if errors else parsed, tuple(errors), document)


def parse_once(text: RuleText) -> ParsedText:
    """As parse_text, for texts that are looked at again and again; nobody changes what it gives. Who comes
    while another thread parses a text gets what that one made."""
    with _parsing:
        return _kept(text)


@lru_cache(maxsize=TEXTS_KEPT)
def _kept(text: RuleText) -> ParsedText:
    return parse_text(text)


def taken_over(found: ParsedText, now: int) -> ParsedText:
    """With the faults that it has where it is taken over now (ms UTC): an exception that ends too late."""
    fault = too_far(found.parsed, now) if isinstance(found.parsed, ParsedException) else None
    if fault is None:
        return found
    error = PolicyError(found.text.file, found.document.line(("leaver", "until")), fault)
    return msgspec.structs.replace(found, parsed=None, errors=(*found.errors, error))


def parse_rule(name: str, document: YamlDocument) -> tuple[ParsedPolicy | None, list[PolicyError]]:
    """The rule of one file, or None and every fault that could be found in it."""
    if document.faults:
        return None, [PolicyError(name, fault.line, fault.message) for fault in document.faults]
    rule = document.value
    faults = list(shape_faults(rule))
    if not isinstance(rule, dict):
        return None, _at_lines(name, document, faults)
    duties, examples, own_faults = own_keys(rule)
    told = {fault.path[:1] for fault in faults}
    source = None if ("logsource",) in told else mapped_source(rule.get("logsource", {}))
    if "detection" in rule and ("detection",) not in told:
        names = field_registry().keys() | (source.fields.keys() if source is not None else set())
        faults += detection_faults(rule["detection"], names)
    if faults:
        return None, _at_lines(name, document, [*faults, *own_faults])
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
    faults += own_faults
    if duties is None or examples is None or faults:
        return None, _at_lines(name, document, faults)
    parsed_policy = _parsed(name, rule, duties, conditions)
    return parsed_policy, _at_lines(name, document, list(_example_faults(parsed_policy, examples)))


def _place(error: PolicyError) -> tuple[str, int, str]:
    return error.file, error.line, error.message


def read_rule_file(file: Path) -> str:
    """Raises OSError, ValueError where it is too large or no text."""
    with file.open("rb") as opened:
        data = opened.read(FILE_BYTES_MAX + 1)
    if len(data) > FILE_BYTES_MAX:
        raise ValueError(f"more than {FILE_BYTES_MAX} bytes")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 at byte {error.start}") from error


def _parsed(name: str, rule: Mapping[str, Any], duties: Duties, conditions: tuple[Any, ...]) -> ParsedPolicy:
    family, runbook = duties.of_alerts
    policy = Policy(
        rule_id=rule["id"].lower(),
        title=rule["title"],
        level=rule["level"],
        family=family,
        description=rule["description"].strip(),
        runbook=runbook.strip(),
        about=duties.about,
        fades=duties.fades,
        outside_budget=duties.outside_budget,
        tags=tuple(rule.get("tags") or ()),
        file=name,
    )
    decides = {"policy": msgspec.structs.replace(policy, file=""), "detection": rule["detection"]}
    if mapped_source(rule["logsource"]) is not None:
        decides["logsource"] = rule["logsource"]
    detects = {key: value for key, value in decides.items() if key != "policy"}
    return ParsedPolicy(policy, conditions, _canonical(decides), rule.get("name"), _canonical(detects))


def _canonical(decides: Mapping[str, Any]) -> bytes:
    return msgspec.json.encode(decides, order="deterministic", enc_hook=_plain_date)


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
