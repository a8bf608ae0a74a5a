"""Policy engine: records per CPU second with the shipped rules, against decoding the same events.

python -m benchmarks.policy_matching
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import click
import msgspec

from event_schema.codec import decode_event, encode_event
from event_schema.ocsf_events import Event
from policies.examples import Example, example_record
from policies.rule_file import load_policies

RECORDS = 20_000
_QUIET = [
    Example(
        name=f"quiet {n}", record="file_copied", changes={"file.name": f"holiday-{n}.jpg", "file.size": 9 * n}
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


def measure(work: Callable[[], int]) -> float:
    """Items per CPU second, the best of three."""
    best = 0.0
    for _ in range(3):
        started = time.process_time()
        done = work()
        best = max(best, done / (time.process_time() - started))
    return best


@click.command()
def main() -> None:
    """Prints both speeds and their ratio."""
    policies = load_policies()
    records = [example_record(example) for example in _QUIET + _FIRING]
    events = [(_event(record), record["leaver"]) for record in records]
    encoded = [encode_event(event) for event, _ in events]
    rounds = RECORDS // len(records)

    def match() -> int:
        for _ in range(rounds):
            for record in records:
                policies.match(record)
        return rounds * len(records)

    def match_events() -> int:
        for _ in range(rounds):
            for event, leaver in events:
                policies.match_event(event, leaver)
        return rounds * len(records)

    def decode() -> int:
        for _ in range(rounds):
            for data in encoded:
                decode_event(data)
        return rounds * len(encoded)

    matched, plain, decoded = measure(match_events), measure(match), measure(decode)
    click.echo(f"rules                {len(policies.policies):>10}")
    click.echo(f"match events         {matched:>10,.0f} events per CPU second, as the pipeline does")
    click.echo(f"match plain records  {plain:>10,.0f} records per CPU second")
    click.echo(f"decode and validate  {decoded:>10,.0f} events per CPU second")
    click.echo(f"ratio                {matched / decoded:>10.2f}")


def _event(record: dict[str, Any]) -> Event:
    event: Event = msgspec.convert({k: v for k, v in record.items() if k != "leaver"}, Event)
    return event


if __name__ == "__main__":
    main()
