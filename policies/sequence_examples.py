"""Examples of a correlation: sequences of events on which it must fire, and on which it must be silent.

    tests:
      firing:
        - name: an export, and two days later an upload
          events:
            - {record: database_exported, at: 0h}
            - {record: file_uploaded, at: 49h, with: {file.ext: zip}}
      silent:
        - name: forty copies in one day
          events:
            - {record: file_copied, at: 0h, times: 40, every: 5m}

`record` and `with` are those of a rule's examples (examples.py); `at` is counted from a midnight.
Events are of different people where `leaver.person.id` differs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Final

import msgspec

from policies.correlation.correlator import Correlator, Limits
from policies.correlation.day_window import DAY_MS
from policies.engine import PolicySet
from policies.examples import Example, RecordName, example_record

_BEGIN: Final = 20_460 * DAY_MS
_UNITS: Final = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": DAY_MS}
_LIMITS: Final = Limits(keep=365 * DAY_MS)
EVENTS_MAX: Final = 20_000
EVENTS_OF_ALL_MAX: Final = 50_000
"""Of all examples of a correlation: they are run whenever rules are loaded."""

_Span = Annotated[str, msgspec.Meta(pattern="^[0-9]{1,6}[smhd]$")]


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`times` events, one `every` so long."""

    record: RecordName
    at: _Span
    changes: Annotated[dict[str, Any], msgspec.Meta(max_length=64)] = msgspec.field(
        name="with", default_factory=dict
    )
    times: Annotated[int, msgspec.Meta(ge=1, le=EVENTS_MAX)] = 1
    every: _Span = "0s"


class Sequence(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    events: Annotated[tuple[Step, ...], msgspec.Meta(min_length=1, max_length=200)]


class Sequences(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    firing: Annotated[tuple[Sequence, ...], msgspec.Meta(min_length=1, max_length=100)]
    silent: Annotated[tuple[Sequence, ...], msgspec.Meta(min_length=1, max_length=100)]

    def __post_init__(self) -> None:
        events = sum(step.times for each in (*self.firing, *self.silent) for step in each.events)
        if events > EVENTS_OF_ALL_MAX:
            raise ValueError(f"{events:,} events in all examples are more than {EVENTS_OF_ALL_MAX:,}")


def fired_on(policies: PolicySet, sequence: Sequence) -> set[str]:
    """Ids of the correlations that fire. Raises ExampleError."""
    correlated = policies.correlated
    of_person: dict[Any, Correlator] = {}
    found: set[str] = set()
    for number, (time, record) in enumerate(sorted(_events(sequence), key=lambda each: each[0])):
        rules = correlated.counted([hit.rule_id for hit in policies.match(record)])
        person = record["leaver"]["person"].get("id")
        if person not in of_person:
            of_person[person] = Correlator(correlated.plan, _LIMITS)
        found.update(map(correlated.id_of, of_person[person].take(time, number, rules, record)))
    return found


def _events(sequence: Sequence) -> Iterator[tuple[int, dict[str, Any]]]:
    left = EVENTS_MAX
    for step in sequence.events:
        record = example_record(Example(name=sequence.name, record=step.record, changes=step.changes))
        for time in range(min(step.times, left)):
            yield _BEGIN + _ms(step.at) + time * _ms(step.every), record
        left -= min(step.times, left)


def _ms(span: str) -> int:
    return int(span[:-1]) * _UNITS[span[-1]]
