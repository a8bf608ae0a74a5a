"""The policies' part of the pipeline: events per CPU second with the shipped rules, against decoding them.

python -m benchmarks.policy_matching [--events N]

Two mixes of typed events with new names, sizes and times each: a company's week of copies to sticks
(company_load.py), and all channels in equal parts (the examples' records). What is known around an event is
shared by all events of a person and hour, as enrichment shares it. `rules`: which fire. `with correlations`:
the hits are also counted for their subject and day, and go to the correlations. `without correlations`: the
same with the rules alone that make alerts by themselves.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, get_args

import click
import msgspec

from benchmarks.company_load import DAY_MS, Company
from event_schema.codec import decode_event, encode_event
from event_schema.ocsf_endpoint_events import FileSystemActivity
from event_schema.ocsf_events import Event
from event_schema.wire import decode_events
from policies.engine import ParsedPolicy, PolicySet
from policies.examples import Example, RecordName, example_record
from policies.rule_file import SHIPPED_RULES, load_policies, parse_text, read_folder
from server.pipeline.correlating import Correlating
from server.pipeline.subject_state import SubjectState

_TODAY = 1_795_000_000_000 // DAY_MS
_ROUNDS = 3


class Act(NamedTuple):
    event: Event
    leaver: Mapping[str, Any]
    subject: str


def seconds(work: Callable[[], object]) -> float:
    """CPU seconds, the best of three."""
    best = float("inf")
    for _ in range(_ROUNDS):
        started = time.process_time()
        work()
        best = min(best, time.process_time() - started)
    return best


class _Around:
    """Leaver fields, plain: one dictionary for all events of a person and hour. One person in 50 leaves."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str, int], dict[str, Any]] = {}

    def of(self, base: Mapping[str, Any], kind: str, subject: str, at: int) -> Mapping[str, Any]:
        hour = at // 3_600_000
        found = self._kept.get((kind, subject, hour))
        if found is None:
            status = "notice" if int(subject) % 50 == 0 else "active"
            found = self._kept[kind, subject, hour] = {
                **base,
                "person": {**base.get("person", {}), "id": subject, "status": status},
                "time": {**base.get("time", {}), "local_hour": hour % 24},
            }
        return found


def copies(count: int) -> list[Act]:
    """The company's week."""
    base = example_record(Example(name="copied", record="file_copied"))["leaver"]
    around = _Around()
    acts = []
    for record in Company(1, _TODAY - 1).week(count).records:
        for event in decode_events(record).events:
            if isinstance(event, FileSystemActivity) and event.actor.user is not None:
                subject = str(event.actor.user.name).removeprefix("user")
                acts.append(Act(event, around.of(base, "copy", subject, event.time), subject))
    return acts


def channels(count: int) -> list[Act]:
    """All kinds of the examples' records in turn, of 200 people."""
    records = {name: example_record(Example(name=name, record=name)) for name in get_args(RecordName)}
    around = _Around()
    acts = []
    for number, name in zip(range(count), itertools.cycle(records)):
        record = records[name]
        subject = str(number // 20 % 200)
        at = (_TODAY - 5) * DAY_MS + number * 4_000
        ending = ("pptx", "pdf", "jpg", "docx", "zip", "xlsx")[number % 6]
        plain = {key: value for key, value in record.items() if key != "leaver"} | {"time": at}
        if "file" in plain:
            named = {"name": f"slides-{number}.{ending}", "ext": ending, "size": number * 1009 % 30_000_000}
            plain["file"] = plain["file"] | named
        event: Event = msgspec.convert(plain, Event)
        acts.append(Act(event, around.of(record["leaver"], name, subject, at), subject))
    return acts


def without_correlations() -> PolicySet:
    parsed = map(parse_text, read_folder(SHIPPED_RULES)[0])
    rules = [each.parsed for each in parsed if isinstance(each.parsed, ParsedPolicy)]
    return PolicySet([rule for rule in rules if rule.policy.family])


def count_hits(policies: PolicySet, acts: Sequence[Act]) -> dict[str, SubjectState]:
    """As the pipeline does it."""
    states: dict[str, SubjectState] = {}
    correlating = Correlating(policies)
    for number, (event, leaver, subject) in enumerate(acts):
        hits = policies.match_event(event, leaver)
        if not hits:
            continue
        state = states.get(subject)
        if state is None:
            state = states[subject] = SubjectState(subject)
        day = event.time // DAY_MS
        for hit in hits:
            state.rule_hit(
                (hit.rule_id, "channel", day),
                family=hit.family,
                level=hit.level,
                title=hit.title,
                time=event.time,
                version=hit.version,
            )
        place, at = ("agent", "00c0ffee", number), (event.time, day)
        correlating.take(state, event, leaver, hits, place=place, at=at)
    return states


def measure(name: str, acts: Sequence[Act], policies: PolicySet, alone: PolicySet) -> None:
    encoded = [encode_event(event) for event, _, _ in acts]
    decoding = seconds(lambda: [decode_event(data) for data in encoded])
    hits = sum(len(policies.match_event(event, leaver)) for event, leaver, _ in acts) / len(acts)
    found = (
        ("match events", seconds(lambda: [policies.match_event(e, leaver) for e, leaver, _ in acts])),
        ("without correlations", seconds(lambda: count_hits(alone, acts))),
        ("with correlations", seconds(lambda: count_hits(policies, acts))),
        ("decode and validate", decoding),
    )
    click.echo(f"{name}: {len(acts):,} events, {hits:.2f} hits each")
    for what, taken in found:
        speed = len(acts) / taken
        click.echo(
            f"  {what:<22} {speed:>10,.0f} events per CPU second {1e6 / speed:>6.1f} µs"
            f" {decoding / taken:>6.2f} x decoding"
        )


@click.command(help=__doc__)
@click.option("--events", "count", type=click.IntRange(1_000, 1_000_000), default=20_000, show_default=True)
def main(count: int) -> None:
    policies, alone = load_policies(), without_correlations()
    click.echo(f"{len(policies.policies)} policies, {len(alone.policies)} of them without correlations")
    measure("copies", copies(count), policies, alone)
    measure("all channels", channels(count), policies, alone)


if __name__ == "__main__":
    main()
