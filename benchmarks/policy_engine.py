"""Policy engine: events per CPU second with many Sigma rules, and what that is of decoding the same lines.

python -m benchmarks.policy_engine [--events N]

The engine's time is that of matching decoded events. `x loads` is its speed against orjson.loads of the
same lines in the same run; `with loads` the same for decoding and matching together. Flat events are
about 700 bytes with rules like public ones (benchmarks/sigma_rules.py); nested ones are OCSF with the
shipped rules, and with copies of them that look for other words.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import click
import orjson
import yaml
from sigma.correlations import SigmaCorrelationRule
from sigma.rule import SigmaRule

from benchmarks.sigma_rules import flat_events, sigma_rules
from policies.correlation.correlator import Correlator
from policies.correlation.definition import define_correlations
from policies.detection.condition_tree import Tree
from policies.detection.detection_set import DetectionSet, rule_tree
from policies.examples import Example, example_record
from policies.rule_checks import for_sigma
from policies.rule_file import SHIPPED_RULES

COUNTS = (1, 50, 200, 3_000)
_UNINDEXED_EVENTS = 400
_QUIET = [
    Example(
        name=f"quiet {n}",
        record="file_copied",
        changes={
            "file.name": f"holiday-{n}.jpg",
            "file.size": 9 * n,
            "file.path": f"/media/stick/{n}/holiday-{n}.jpg",
        },
    )
    for n in range(40)
]
_FIRING = [
    Example(
        name="firing",
        record="file_copied",
        changes={"leaver.person.status": "notice", "file.name": "customers.xlsx", "file.ext": "xlsx"},
    )
]


def seconds(work: Callable[[], object], rounds: int = 5) -> float:
    """CPU seconds, the best of several."""
    best = float("inf")
    for _ in range(rounds):
        started = time.process_time()
        work()
        best = min(best, time.process_time() - started)
    return best


def trees_of(rules: Sequence[dict[str, Any]]) -> list[Tree]:
    found = []
    for rule in rules:
        detection = SigmaRule.from_dict(rule).detection
        found.append(rule_tree([parsed.parsed for parsed in detection.parsed_condition]))
    return found


def compare(name: str, trees: Sequence[Tree], lines: Sequence[bytes], *, indexed: bool) -> None:
    engine = DetectionSet(trees, indexed=indexed)
    if not indexed and len(trees) > 1:
        lines = lines[:_UNINDEXED_EVENTS]
    events = [orjson.loads(line) for line in lines]
    match, loads = engine.match, orjson.loads
    decoding = seconds(lambda: [loads(line) for line in lines])
    matching = seconds(lambda: [match(event) for event in events])
    together = seconds(lambda: [match(loads(line)) for line in lines])
    hits = sum(len(match(event)) for event in events) / len(events)
    click.echo(
        f"{name:<8} {len(trees):>6,} {'index' if indexed else 'none':>6} {len(events) / matching:>10,.0f} "
        f"{decoding / matching:>8.3f} {decoding / together:>11.3f} {hits:>9.2f}"
    )


def correlations(lines: Sequence[bytes], digits: int) -> None:
    """Four correlations by computer, over four rules that fire on events whose process id ends so."""
    names = [f"base{at}" for at in range(4)]
    endings = ("{}", "{}0", "{}00")[digits - 1]
    rules = [
        SigmaRule.from_dict(
            {
                "title": name,
                "name": name,
                "logsource": {"category": "x"},
                "detection": {
                    "s": {"ProcessId|endswith": [endings.format(2 * at), endings.format(2 * at + 1)]},
                    "condition": "s",
                },
            }
        )
        for at, name in enumerate(names)
    ]
    common: dict[str, Any] = {"group-by": ["Computer"], "timespan": "10m"}
    wanted: list[dict[str, Any]] = [
        {"type": "event_count", "rules": names[:2], "condition": {"gte": 20}},
        {"type": "value_count", "rules": [names[1]], "condition": {"field": "Image", "gte": 20}},
        {"type": "value_sum", "rules": [names[2]], "condition": {"field": "ProcessId", "gte": 10**9}},
        {"type": "temporal_ordered", "rules": names[:3], "condition": {"gte": 3}},
    ]
    defined = define_correlations(
        rules,
        [
            SigmaCorrelationRule.from_dict({"title": f"c{at}", "correlation": {**common, **each}})
            for at, each in enumerate(wanted)
        ],
    )
    engine = DetectionSet([rule_tree([p.parsed for p in rule.detection.parsed_condition]) for rule in rules])
    events = [orjson.loads(line) for line in lines]
    hits = sum(map(bool, map(engine.match, events))) / len(events)

    def both() -> int:
        correlator = Correlator(defined)
        return sum(
            len(correlator.take(at * 250, at, found, event))
            for at, event in enumerate(events)
            if (found := engine.match(event))
        )

    decoding = seconds(lambda: [orjson.loads(line) for line in lines])
    alone = seconds(lambda: [engine.match(event) for event in events])
    together = seconds(both)
    click.echo(
        f"four rules that fire on {hits:>3.0%} of events {len(events) / alone:>9,.0f} events per CPU second; "
        f"and four correlations {len(events) / together:>9,.0f}: {alone / together:.2f} of that, "
        f"{decoding / together:.3f} x loads, {both():,} alerts"
    )


def pack_rules(count: int) -> list[dict[str, Any]]:
    """The shipped rules, and as many copies with other words as it takes."""
    files = [yaml.safe_load(file.read_bytes()) for file in sorted(SHIPPED_RULES.glob("*.yml"))]
    shipped = [for_sigma(rule) for rule in files if "detection" in rule]
    found = []
    for number in range(count):
        rule = dict(shipped[number % len(shipped)])
        copy = number // len(shipped)
        if copy:
            words = {"file.name|contains": [f"word-{number}", f"other-{number}"]}
            detection = rule["detection"]
            conditions = detection["condition"]
            first = conditions if isinstance(conditions, str) else " or ".join(f"({c})" for c in conditions)
            rule["detection"] = {**detection, "words": words, "condition": f"({first}) and words"}
        found.append(rule)
    return found


@click.command(help=__doc__)
@click.option("--events", "count", type=click.IntRange(100, 1_000_000), default=4_000, show_default=True)
def main(count: int) -> None:
    flat = [orjson.dumps(event) for event in flat_events(count)]
    base = [orjson.dumps(example_record(example)) for example in _QUIET + _FIRING]
    nested = [base[at % len(base)] for at in range(count)]
    rules, pack = trees_of(sigma_rules(max(COUNTS))), trees_of(pack_rules(max(COUNTS)))
    shipped = sum("\ndetection:" in file.read_text("utf-8") for file in SHIPPED_RULES.glob("*.yml"))
    for name, lines in (("flat", flat), ("nested", nested)):
        click.echo(f"{name} events: {sum(map(len, lines)) / len(lines):.0f} bytes")
    click.echo(
        f"{'events':<8} {'rules':>6} {'':>6} {'events/s':>10} {'x loads':>8} {'with loads':>11} "
        f"{'hits each':>9}"
    )
    for indexed in (True, False):
        for number in COUNTS:
            compare("flat", rules[:number], flat, indexed=indexed)
        for number in (1, shipped, 50, 200, 3_000):
            compare("nested", pack[:number], nested, indexed=indexed)
    for digits in (1, 2):
        correlations(flat, digits)


if __name__ == "__main__":
    main()
