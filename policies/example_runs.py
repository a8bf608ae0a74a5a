"""A rule's examples one by one: which fire, whether they should, and where they stand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from policies.correlation_file import ReadCorrelation, policies_of_sequences, sequence_runs
from policies.engine import ParsedPolicy, PolicySet
from policies.examples import ExampleError, example_record
from policies.positioned_yaml import YamlDocument
from policies.rule_checks import own_keys
from policies.rule_file import ParsedText, parse_rule


class ExampleRun(msgspec.Struct, frozen=True):
    """`fault`: why its record is no valid event."""

    file: str
    line: int
    rule_id: str
    title: str
    name: str
    should_fire: bool
    fires: bool
    fault: str | None = None


def example_runs(file: str, document: YamlDocument) -> Iterator[ExampleRun]:
    """Of a text that reads as a rule, also where its examples do not do as they should; else none. Those of
    correlations are run with the rules that they count (rule_file.good_texts)."""
    value = document.value
    if not isinstance(value, dict) or "filter" in value or "correlation" in value:
        return
    parsed, _ = parse_rule(file, document)
    if parsed is None:
        return
    _, examples, faults = own_keys(document.value)
    if examples is None or faults:
        return
    alone = PolicySet([parsed])
    for kind, should_fire, listed in (("firing", True, examples.firing), ("silent", False, examples.silent)):
        for at, example in enumerate(listed):
            fires, fault = False, None
            try:
                fires = bool(alone.match(example_record(example)))
            except ExampleError as error:
                fault = f"is no valid record: {error}"
            line = document.line(("tests", kind, at))
            about = parsed.policy
            yield ExampleRun(file, line, about.rule_id, about.title, example.name, should_fire, fires, fault)


def correlation_runs(good: Iterable[ParsedText]) -> Iterator[ExampleRun]:
    """Of all correlations among these texts, which are good together (rule_file.good_texts)."""
    parsed = [each.parsed for each in good]
    correlations = [each for each in parsed if isinstance(each, ReadCorrelation)]
    policies = policies_of_sequences(
        [each for each in parsed if isinstance(each, ParsedPolicy)], correlations
    )
    for each in correlations:
        about = each.policy
        for run in sequence_runs(policies, each):
            line = each.document.line(run.path)
            told = (about.file, line, about.rule_id, about.title, run.name)
            yield ExampleRun(*told, run.should_fire, run.fires, run.fault)
