"""Which events an alert's correlations point to: exactly those that made them fire, as their windows tell.

Pure, a function of the subject's state. What windows no longer hold is not told again; what was told when the
alert was raised stays with it (correlated_ranges).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from analytics.step_words import StepFacts
from policies.correlated_policies import CorrelatedPolicies
from policies.correlation.correlator import Counts
from policies.correlation.group_window import Entry
from server.alerts.event_ranges import EventRange, joined
from server.people.directory import Directory, PersonRecord
from server.pipeline.step_notes import StepNote
from server.pipeline.subject_correlations import event_series
from server.pipeline.subject_state import SubjectState


class Pointed(msgspec.Struct, frozen=True):
    """first_time, last_time: ms UTC, of the events; None: there are none. `late`: correlations that a late
    event completed. `steps`: of the sequence on the day that was asked for, with the rules' ids.
    `gone`: windows of some hits are there no more. `untold`: they lack which events some were."""

    ranges: tuple[EventRange, ...] = ()
    first_time: int | None = None
    last_time: int | None = None
    late: frozenset[str] = frozenset()
    steps: tuple[tuple[str, tuple[Entry, ...]], ...] = ()
    gone: bool = False
    untold: bool = False


def pointed(
    state: SubjectState,
    correlated: CorrelatedPolicies,
    hits: Iterable[tuple[str, int]],
    counts: Counts,
    *,
    spools: Iterable[tuple[str, str]],
    peak: int,
) -> Pointed:
    """`hits`: (rule id of a correlation, local day). `spools`: (agent, epoch) of the subject's events.
    `counts`: as SubjectCorrelations.take. `peak`: the day whose sequence is told."""
    ranges: list[EventRange] = []
    times: list[int] = []
    late: set[str] = set()
    gone = untold = False
    steps: tuple[tuple[str, tuple[Entry, ...]], ...] = ()
    series = {event_series(agent, epoch): (agent, epoch) for agent, epoch in spools}
    for rule_id, day in sorted(hits):
        made = state.correlations.made_on(correlated, rule_id, day, counts)
        if made is None:
            gone = True
            continue
        untold = untold or made.untold
        known = [(series[name], first, last) for name, first, last in made.events.ranges() if name in series]
        ranges += [EventRange(*spool, first, last) for spool, first, last in known]
        times += (made.first, made.last)
        if made.late:
            late.add(rule_id)
        if day == peak and made.steps and not steps:
            names = correlated.sources_of(rule_id)
            steps = tuple((name, step) for name, step in zip(names, made.steps, strict=True) if step)
    return Pointed(
        tuple(joined(ranges)),
        min(times, default=None),
        max(times, default=None),
        frozenset(late),
        steps,
        gone,
        untold,
    )


def step_facts(
    found: Pointed, titles: dict[str, str], directory: Directory, person: PersonRecord | None
) -> tuple[StepFacts, ...]:
    """`titles`: of rules, by id."""
    facts: list[StepFacts] = []
    before: Sequence[Entry] = ()
    for rule_id, step in found.steps:
        notes = [StepNote(*entry.note) for entry in step if entry.note is not None]
        acts = Counter(note.act for note in notes)
        places = {note.place for note in notes}
        day, minute = directory.local_day_and_minute(person, step[0].time)
        facts.append(
            StepFacts(
                rule=titles.get(rule_id, ""),
                act=next(iter(acts)) if len(acts) == 1 else "",
                events=len(step),
                items=sum(note.items for note in notes),
                bytes=sum(note.bytes for note in notes),
                place=next(iter(places)) if len(places) == 1 else None,
                archive=bool(notes) and all(note.archive for note in notes),
                same=len(step) == 1 and len(before) == 1 and step[0].event == before[0].event,
                time=step[0].time,
                day=day,
                minute=minute,
            )
        )
        before = step
    return tuple(facts)
