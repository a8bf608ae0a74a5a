"""Reads one correlation of the pack: a Sigma correlation and two keys of our own, each fault with its line.

    title, id, status, description, level, tags …     as a rule has them
    correlation:
      type: temporal_ordered
      rules: [database_export, archive_made, file_sent_out]     # ids or names
      timespan: 3d
    leaver: {family: …, runbook: …, suppress: 1d, window: days}  # the last two need not be there
    tests:  {firing: [...], silent: [...]}                      # sequences, see sequence_examples.py

`group-by` need not be there: on the server every group is of one subject anyway. One that is there names who
acted too (WHO_FIELDS), for without it Sigma means everybody's acts together, which the server does not count.
What a correlation counts is known when all files are read (good_correlations); its examples are run then.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Final, get_args

import msgspec
from sigma.correlations import SigmaCorrelationRule, SigmaCorrelationTimespan
from sigma.exceptions import SigmaError

from event_schema.field_registry import field_registry
from policies.correlated_policies import CorrelatedPolicies, Named, Wanted
from policies.correlation_checks import (
    DAY_SECONDS,
    DAYS_MAX,
    correlation_faults,
    own_faults,
    reference_faults,
    references,
    suppressed_ms,
    whole_days,
)
from policies.detection_checks import Fault, nearest
from policies.engine import Level, ParsedCorrelation, ParsedPolicy, Policy, PolicySet
from policies.errors import PolicyError
from policies.examples import ExampleError
from policies.positioned_yaml import Path, YamlDocument
from policies.rule_checks import Duties, convert_fault, duties_faults
from policies.sequence_examples import Sequences, fired_on

_REQUIRED: Final = ("title", "id", "status", "description", "correlation", "level", "leaver", "tests")
_KEYS: Final = frozenset(
    {
        *_REQUIRED,
        *("name", "related", "taxonomy", "license", "references", "author", "date", "modified", "tags"),
        *("falsepositives", "fields", "scope"),
    }
)


WHO_FIELDS: Final = frozenset(
    {
        *("leaver.person.id", "leaver.account.owner_id", "leaver.suspect.id"),
        *("actor.user.name", "actor.user.uid", "actor.process.auid", "user.name", "user.uid", "email.from"),
    }
)
"""Groups by one of these are of one person, as every group on the server is."""


class CorrelationDuties(Duties, frozen=True, forbid_unknown_fields=True):
    """`suppress` and `window`: see correlation_checks.py."""

    suppress: Annotated[str, msgspec.Meta(max_length=20)] | None = None
    window: Annotated[str, msgspec.Meta(max_length=20)] | None = None


class ReadCorrelation(msgspec.Struct, frozen=True):
    """One that is good by itself."""

    parsed: ParsedCorrelation
    examples: Sequences
    document: YamlDocument

    @property
    def policy(self) -> Policy:
        return self.parsed.policy

    @property
    def rules(self) -> tuple[str, ...]:
        """What it names, by id or name."""
        return tuple(references(self.parsed.wanted.sigma))

    def saved_as(self, version: int, digest: str) -> ReadCorrelation:
        policy = msgspec.structs.replace(self.parsed.policy, version=version, hash=digest)
        parsed = msgspec.structs.replace(self.parsed, policy=policy)
        return msgspec.structs.replace(self, parsed=parsed)


def parse_correlation(name: str, document: YamlDocument) -> tuple[ReadCorrelation | None, list[PolicyError]]:
    """The correlation of one file, or None and every fault that could be found in it."""
    if document.faults:
        return None, [PolicyError(name, fault.line, fault.message) for fault in document.faults]
    rule = document.value
    faults = list(_faults(rule))
    sigma: Any = None
    if not faults:
        try:
            plain = {key: value for key, value in rule.items() if key not in ("leaver", "tests")}
            sigma = SigmaCorrelationRule.from_dict(plain, collect_errors=True)
            faults += [Fault(("correlation",), str(error)) for error in sigma.errors]
        except (SigmaError, ValueError, TypeError, AttributeError, KeyError) as error:
            # pySigma lets some malformed values through to Python's own errors.
            faults.append(Fault(("correlation",), str(error)))
    duties = examples = None
    if not faults:
        try:
            duties = msgspec.convert(rule["leaver"], CorrelationDuties)
            faults += duties_faults(duties)
        except msgspec.ValidationError as error:
            faults.append(convert_fault("leaver", error))
        try:
            examples = msgspec.convert(rule["tests"], Sequences)
        except msgspec.ValidationError as error:
            faults.append(convert_fault("tests", error))
    if faults or duties is None or examples is None:
        return None, [PolicyError(name, document.line(fault.path), fault.message) for fault in faults]
    return ReadCorrelation(_parsed(name, rule, sigma, duties), examples, document), []


def _faults(rule: Mapping[str, Any]) -> Iterator[Fault]:
    for key in rule:
        if key not in _KEYS:
            yield Fault((key,), f"unknown key {key}{nearest(key, _KEYS)}")
    for key in _REQUIRED:
        if key not in rule:
            yield Fault((), f"the correlation has no {key}")
    for key in ("title", "id", "description", "level", "status"):
        if key in rule and not (isinstance(rule[key], str) and rule[key].strip()):
            yield Fault((key,), f"{key} is no text")
    levels = get_args(Level)
    if isinstance(rule.get("level"), str) and rule["level"] not in levels:
        yield Fault(("level",), f"level {rule['level']} is none of {', '.join(levels)}")
    if "correlation" in rule:
        found = list(correlation_faults(rule["correlation"]))
        yield from found or own_faults(rule)
        if not found:
            yield from _field_faults(rule["correlation"])
            yield from _group_faults(rule["correlation"])
            yield from _timespan_faults(rule["correlation"])


def _field_faults(correlation: Mapping[str, Any]) -> Iterator[Fault]:
    """Fields that no event has. An alias stands for other fields."""
    known = field_registry().keys()
    aliases = correlation.get("aliases")
    aliases = aliases if isinstance(aliases, dict) else {}
    condition = correlation.get("condition")
    asked = condition.get("field") if isinstance(condition, dict) else None
    named: list[tuple[tuple[str, ...], Any]] = [
        *((("correlation", "group-by"), each) for each in _listed(correlation.get("group-by"))),
        *((("correlation", "condition"), each) for each in _listed(asked)),
        *(
            (("correlation", "aliases"), each)
            for alias in aliases.values()
            if isinstance(alias, dict)
            for each in alias.values()
        ),
    ]
    for path, field in named:
        if field not in known and field not in aliases:
            yield Fault(path, f"unknown field {field}{nearest(str(field), known)}")


def _group_faults(correlation: Mapping[str, Any]) -> Iterator[Fault]:
    """Groups over several people, which would be counted for each of them alone."""
    groups = [str(each) for each in _listed(correlation.get("group-by"))]
    aliases = correlation.get("aliases")
    aliases = aliases if isinstance(aliases, dict) else {}
    meant = [
        set(map(str, aliases[name].values())) if isinstance(aliases.get(name), dict) else {name}
        for name in groups
    ]
    if groups and not any(fields and fields <= WHO_FIELDS for fields in meant):
        yield Fault(
            ("correlation", "group-by"),
            f"groups by {', '.join(groups)} hold acts of several people, and the server counts those of each "
            "person alone: add leaver.person.id to group-by if that is what you mean (leaver policy match "
            "counts across people)",
        )


def _timespan_faults(correlation: Mapping[str, Any]) -> Iterator[Fault]:
    timespan = correlation["timespan"]
    if SigmaCorrelationTimespan(timespan).seconds > DAYS_MAX * DAY_SECONDS:
        words = f"timespan {timespan} is more than the {DAYS_MAX} days that the server keeps events for"
        yield Fault(("correlation", "timespan"), words)


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list) else [value]


def _parsed(name: str, rule: Mapping[str, Any], sigma: Any, duties: Duties) -> ParsedCorrelation:
    family, runbook = duties.of_alerts
    policy = Policy(
        rule_id=rule["id"].lower(),
        title=rule["title"],
        level=rule["level"],
        family=family,
        description=rule["description"].strip(),
        runbook=runbook.strip(),
        outside_budget=duties.outside_budget,
        tags=tuple(rule.get("tags") or ()),
        file=name,
    )
    decides = {
        "policy": msgspec.structs.replace(policy, file=""),
        "correlation": rule["correlation"],
        "leaver": rule["leaver"],
    }
    content = msgspec.json.encode(decides, order="deterministic", enc_hook=_plain_date)
    wanted = Wanted(policy.rule_id, sigma, suppressed_ms(rule), whole_days(rule))
    return ParsedCorrelation(policy, wanted, content)


def _plain_date(value: Any) -> str:
    if isinstance(value, datetime.date):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} in a correlation")


def good_correlations(
    rules: Sequence[ParsedPolicy], read: Sequence[ReadCorrelation]
) -> tuple[list[ReadCorrelation], list[PolicyError]]:
    """Those whose rules are all there, and whose examples do as they say; and every fault of the others."""
    errors: list[PolicyError] = []
    named = [Named(rule.policy.rule_id, rule.name, "") for rule in rules]
    good = list(read)
    while True:
        bad = reference_faults(named, [each.parsed.wanted.sigma for each in good])
        for at, faults in bad.items():
            errors += _at_lines(good[at], faults)
        good = [each for at, each in enumerate(good) if at not in bad]
        if not bad:
            break
    if not good:
        return [], errors
    policies = policies_of_sequences(rules, good)
    failing: list[ReadCorrelation] = []
    for each in good:
        faults = [
            Fault(run.path, f"example {run.name!r} has no valid record: {run.fault}")
            if run.fault is not None
            else Fault(run.path, f"the correlation {run.says} on its example {run.name!r}")
            for run in sequence_runs(policies, each)
            if run.fault is not None or run.fires != run.should_fire
        ]
        if faults:
            failing.append(each)
            errors += _at_lines(each, faults)
    if failing:
        # Others may count them.
        good, more = good_correlations(rules, [each for each in good if each not in failing])
        errors += more
    return good, errors


def policies_of_sequences(rules: Sequence[ParsedPolicy], good: Sequence[ReadCorrelation]) -> PolicySet:
    """These correlations, and of the rules those that they count."""
    named = [Named(rule.policy.rule_id, rule.name, "") for rule in rules]
    reaches = CorrelatedPolicies(named, [each.parsed.wanted for each in good]).reaches
    counted = frozenset[str]().union(*(reach.rules for reach in reaches.values()))
    return PolicySet(
        [rule for rule in rules if rule.policy.rule_id in counted], [each.parsed for each in good]
    )


class SequenceRun(msgspec.Struct, frozen=True):
    """What one example did. `fault`: why one of its records is no valid event."""

    path: Path
    name: str
    should_fire: bool
    fires: bool
    fault: str | None

    @property
    def says(self) -> str:
        return "fires" if self.fires else "does not fire"


def sequence_runs(policies: PolicySet, read: ReadCorrelation) -> Iterator[SequenceRun]:
    """`policies`: policies_of_sequences, with this one among them."""
    for kind, should_fire, listed in (
        ("firing", True, read.examples.firing),
        ("silent", False, read.examples.silent),
    ):
        for at, example in enumerate(listed):
            fires, fault = False, None
            try:
                fires = read.policy.rule_id in fired_on(policies, example)
            except ExampleError as error:
                fault = str(error)
            yield SequenceRun(("tests", kind, at), example.name, should_fire, fires, fault)


def _at_lines(read: ReadCorrelation, faults: Sequence[Fault]) -> list[PolicyError]:
    file = read.parsed.policy.file
    return [PolicyError(file, read.document.line(fault.path), fault.message) for fault in faults]
