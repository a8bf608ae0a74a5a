"""Which events made a correlation fire on a day, told from what its windows hold.

Of a correlation that counts or adds up these are all events of the windows that fired on the day; of
`temporal` those of the rules that its condition asks for; of `temporal_ordered` those that are a step of a
complete sequence: earlier steps before them, later ones after them. Of a correlation of correlations they are
the events of those below. It is a function of the events that the windows hold, so neither the order in which
they came nor how they were cut into batches shows in it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from policies.correlation.correlator import Correlator
from policies.correlation.day_window import DayWindow
from policies.correlation.definition import Correlation
from policies.correlation.event_spans import EventSpans
from policies.correlation.group_window import Entry, GroupWindow

_NEVER: Final = 1 << 62


class Made(msgspec.Struct):
    """first, last: ms, of the events. `late`: something came late and completed it. `steps`: of the last
    sequence of the day, by the correlation's rules in their order, each rule's events; else empty.
    `untold`: `events` lack some that came before windows kept which they were."""

    events: EventSpans = msgspec.field(default_factory=EventSpans)
    first: int = _NEVER
    last: int = -_NEVER
    late: bool = False
    steps: tuple[tuple[Entry, ...], ...] = ()
    untold: bool = False


def made_on(correlator: Correlator, number: int, day: int) -> Made | None:
    """None: nothing that is kept fired on this day."""
    made = Made()
    sequences: list[tuple[int, tuple[tuple[Entry, ...], ...]]] = []
    for window in correlator.groups[number].values():
        if isinstance(window, DayWindow):
            _add_days(made, window, day)
        elif isinstance(window, GroupWindow):
            fired = [at for at, entry in enumerate(window.entries) if entry.fired and entry.day == day]
            made.late = made.late or any(window.entries[at].late for at in fired)
            for at in _widest(window, fired):
                members = _members(correlator.correlations[number], _window(window, at))
                _add(made, correlator, number, [entry for entry, _ in members])
                if correlator.correlations[number].kind == "temporal_ordered":
                    sequences.append((window.times[at], _steps(correlator.correlations[number], members)))
    if made.first == _NEVER:
        return None
    if sequences:
        made.steps = max(sequences, key=lambda each: each[0])[1]
    return made


def _widest(window: GroupWindow, fired: Sequence[int]) -> Iterator[int]:
    """Of entries whose windows begin with the same event the last one: it holds those of the others."""
    begins = [window.begin_of(at) for at in fired]
    for index, at in enumerate(fired):
        if index + 1 == len(fired) or begins[index + 1] != begins[index]:
            yield at


def _window(window: GroupWindow, at: int) -> list[Entry]:
    return window.entries[window.begin_of(at) : at + 1]


def _add_days(made: Made, window: DayWindow, day: int) -> None:
    found = window.window_of(day)
    if found is None:
        return
    made.late = made.late or found.late
    made.untold = made.untold or found.untold
    for first, last, spans in found.days:
        made.first, made.last = min(made.first, first), max(made.last, last)
        made.events.update(spans)


def _add(made: Made, correlator: Correlator, number: int, entries: Sequence[Entry]) -> None:
    sources = correlator.correlations[number].sources
    for entry in entries:
        own = False
        for at, source in enumerate(sources):
            if not entry.mask >> at & 1:
                continue
            if source.is_correlation:
                _add_lower(made, correlator, source.number, entry)
            else:
                own = True
        if own:
            made.events.add(entry.event)
            made.first, made.last = min(made.first, entry.time), max(made.last, entry.time)


def _add_lower(made: Made, correlator: Correlator, number: int, above: Entry) -> None:
    """What made the alert of a lower correlation that counted above as this entry."""
    for window in correlator.groups[number].values():
        if isinstance(window, DayWindow):
            _add_days(made, window, above.day)
        elif isinstance(window, GroupWindow):
            for at, entry in enumerate(window.entries):
                if entry.fired and (entry.time, entry.event) == (above.time, above.event):
                    members = _members(correlator.correlations[number], _window(window, at))
                    _add(made, correlator, number, [each for each, _ in members])


def _members(correlation: Correlation, window: Sequence[Entry]) -> list[tuple[Entry, int]]:
    """Entries that take part, each with the mask of the rules as which it does."""
    if correlation.kind == "temporal_ordered":
        return _in_order(correlation, window)
    if correlation.kind == "temporal":
        asked = correlation.ordered_mask
        return [(entry, entry.mask & asked) for entry in window if entry.mask & asked]
    return [(entry, entry.mask) for entry in window]


def _in_order(correlation: Correlation, window: Sequence[Entry]) -> list[tuple[Entry, int]]:
    """Those of which a chain of as many rules as are asked for goes through them."""
    sources = len(correlation.sources)
    steps = [
        (entry, at)
        for entry in window
        for at in range(sources)
        if (entry.mask & correlation.ordered_mask) >> at & 1
    ]
    before, after = [0] * len(steps), [0] * len(steps)
    longest = [0] * sources
    for index, (_, at) in enumerate(steps):
        before[index] = 1 + max(longest[:at], default=0)
        longest[at] = max(longest[at], before[index])
    longest = [0] * sources
    for index in range(len(steps) - 1, -1, -1):
        at = steps[index][1]
        after[index] = 1 + max(longest[at + 1 :], default=0)
        longest[at] = max(longest[at], after[index])
    needed = _rules_asked_for(correlation, window)
    masks: dict[int, tuple[Entry, int]] = {}
    for index, (entry, at) in enumerate(steps):
        if before[index] + after[index] - 1 >= needed:
            masks[id(entry)] = (entry, masks.get(id(entry), (entry, 0))[1] | 1 << at)
    return list(masks.values())


def _rules_asked_for(correlation: Correlation, window: Sequence[Entry]) -> int:
    if correlation.expression is not None:
        seen = 0
        for entry in window:
            seen |= entry.mask
        return (seen & correlation.ordered_mask).bit_count()
    match correlation.operator:
        case "gte" | "eq":
            return math.ceil(correlation.bound)
        case "gt":
            return math.floor(correlation.bound) + 1
        case _:
            return 1


def _steps(correlation: Correlation, members: Sequence[tuple[Entry, int]]) -> tuple[tuple[Entry, ...], ...]:
    return tuple(
        tuple(entry for entry, mask in members if mask >> at & 1) for at in range(len(correlation.sources))
    )
