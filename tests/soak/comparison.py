"""Two runs of the script, each row by row with the other, and both with the script itself."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from agent.host import this_host
from agent.version import agent_version
from event_schema.codec import encode_event
from tests.soak.outcome import Outcome, Place
from tests.soak.script import numbers_on, scripted_event

_EXAMPLES = 3


class Line(msgspec.Struct, frozen=True):
    """A row of the comparison. `fault`: what differs, empty where all is well."""

    what: str
    undisturbed: int
    killed: int
    fault: str = ""


def compare(
    undisturbed: Outcome, killed: Outcome, *, names: Sequence[str], count: int, base_time: int
) -> list[Line]:
    """`names`: of the endpoints, in the script's order. All but the last line must be equal, or empty."""
    lines = [
        Line("events", len(undisturbed.events), len(killed.events), _events_fault(undisturbed, killed)),
        Line(
            "events as scripted",
            _as_scripted(undisturbed, names, count, base_time),
            scripted := _as_scripted(killed, names, count, base_time),
            "" if scripted == count else f"{count - scripted} are not",
        ),
    ]
    lines += [
        Line(name, len(rows), len(killed.tables[name]), tables_fault(undisturbed, killed, name))
        for name, rows in undisturbed.tables.items()
    ]
    for what, nothing_in in (
        ("stored twice", lambda o: o.twice),
        ("numbers missing", _missing),
        ("lost", lambda o: range(o.lost)),
        ("dead letters", lambda o: o.dead),
        ("findings", lambda o: o.findings),
        ("left on the log", lambda o: range(o.lag)),
    ):
        first, second = nothing_in(undisturbed), nothing_in(killed)
        fault = f"{[*first, *second][:_EXAMPLES]}" if len(first) or len(second) else ""
        lines.append(Line(what, len(first), len(second), fault))
    lines.append(Line("came again, counted once", undisturbed.duplicates, killed.duplicates))
    return lines


def _events_fault(undisturbed: Outcome, killed: Outcome) -> str:
    places = sorted(undisturbed.events.keys() | killed.events.keys())
    differing = [p for p in places if undisturbed.events.get(p) != killed.events.get(p)]
    return f"{len(differing)} differ: {differing[:_EXAMPLES]}" if differing else ""


def tables_fault(first: Outcome, second: Outcome, name: str) -> str:
    """In words, which rows of a table differ; empty where they are equal."""
    rows, others = first.tables[name], second.tables[name]
    if rows == others:
        return ""
    differing = sorted(set(map(repr, rows)) ^ set(map(repr, others)))
    return f"{len(differing)} rows differ: {differing[:_EXAMPLES]}"


def _as_scripted(outcome: Outcome, names: Sequence[str], count: int, base_time: int) -> int:
    """How many of the script's events are stored under their own number, byte for byte."""
    version = agent_version()
    right = 0
    for index, name in enumerate(names):
        host = this_host(name)
        for seq, number in enumerate(numbers_on(index, len(names), count)):
            place: Place = (name, "epoch 1", seq)
            stored = outcome.events.get(place)
            expected = encode_event(scripted_event(number, count, base_time, host, version))
            right += stored is not None and stored.event == expected
    return right


def _missing(outcome: Outcome) -> list[str]:
    """Epochs whose numbers are not one range from 0: there is a gap."""
    return [seen for epochs in outcome.epochs.values() for seen in epochs if not _is_whole(seen)]


def _is_whole(seen: str) -> bool:
    return seen == "" or (seen.startswith("0-") and "," not in seen)
