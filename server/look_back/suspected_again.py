"""Whose the hits of a stored event are that is scored again (pipeline/suspected_acts.py has it for new ones).

What somebody is suspected to have done through accounts of others is added to their state, not made anew:
an event that is in the index of theirs already was counted for them. Only windows of correlations, which hold
what both bring, are made anew with it, and so what correlations find.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Sequence
from typing import Final

from sqlalchemy import Connection, select

from event_schema.ocsf_events import Event
from policies.engine import PolicyHit
from server.enrich.enrichment import Enriched, channel_of
from server.enrich.who import subject_of
from server.look_back.borrowed_acts import add_borrowed, take_borrowed
from server.people.directory import PersonRecord
from server.pipeline.day_sums import add_to_day
from server.pipeline.hit_counting import Counted
from server.pipeline.memory import Memory
from server.pipeline.subject_state import BORROWED, CORRELATED, SubjectState, borrowed, load_subjects
from server.pipeline.suspected_acts import is_about_suspect, note_traits
from server.store.tables import subject_events, suspect_traits

THROUGH_MAX: Final = 50
Spool = tuple[str, str, str]
"""(subject, agent, epoch)."""


class OthersConcerned(Exception):
    """Events are these subjects' by now, or lead to them: their states must be made anew too."""

    def __init__(self, subjects: Sequence[str]) -> None:
        super().__init__(f"{len(subjects)} further subjects")
        self.subjects = tuple(subjects)


class CountedActs:
    """Events that count for suspects, though they were done through accounts of others. `subjects`: those
    that are asked for at once; others as they come."""

    def __init__(self, subjects: Collection[str]) -> None:
        self._subjects = frozenset(subjects)
        self._loaded: set[str] = set()
        self._ranges: dict[Spool, list[tuple[int, int]]] = {}
        self._connection: Connection | None = None

    def load(self, connection: Connection) -> None:
        """Whenever stored events are taken: those that came meanwhile were counted by the pipeline."""
        self._ranges.clear()
        self._loaded.clear()
        self._load(connection, self._subjects)

    def read_by(self, connection: Connection) -> None:
        """As long as portions are read by it."""
        self._connection = connection

    def _load(self, connection: Connection, subjects: Collection[str]) -> None:
        at = subject_events.c
        query = select(at.subject, at.agent, at.epoch, at.first_seq, at.last_seq)
        rows = connection.execute(
            query.where(at.subject.in_(subjects), at.channel.like(f"%{BORROWED}")).order_by(at.first_seq)
        )
        self._loaded.update(subjects)
        for subject, agent, epoch, first_seq, last_seq in rows:
            self._ranges.setdefault((subject, agent, epoch), []).append((first_seq, last_seq))

    @property
    def suspects(self) -> set[str]:
        """Of `subjects`, those for whom something counts."""
        return {subject for subject, _, _ in self._ranges} & self._subjects

    def holds(self, spool: Spool, seq: int) -> bool:
        if spool[0] not in self._loaded and self._connection is not None:
            self._load(self._connection, (spool[0],))
        found = self._ranges.get(spool)
        if not found:
            return False
        number = bisect_right(found, (seq, 2**62)) - 1
        return number >= 0 and seq <= found[number][1]


class SuspectedAgain:
    """`counted`: of all subjects whose states the Memory holds. What is added to them is kept apart, since
    the pipeline goes on adding too; `merge` puts both together."""

    def __init__(self, memory: Memory, counted: CountedActs, subjects: Collection[str]) -> None:
        self._memory = memory
        self._counted = counted
        self._subjects = subjects
        self._added: dict[str, SubjectState] = {}
        self._seen_again: dict[str, SubjectState] = {}
        self.missing: set[str] = set()
        """Of whom the Memory holds no state. Hits that lead to them are taken for the account's own."""

    def counted_for(
        self, hits: Collection[PolicyHit], event: Event, enriched: Enriched, at: tuple[str, str, int]
    ) -> Counted | None:
        suspicion = enriched.suspicion
        own = self._memory.subjects[enriched.subject], channel_of(event), enriched.day
        if suspicion is None or not is_about_suspect(hits):
            return own
        counted = own
        if suspicion.person is not None:
            subject = subject_of(suspicion.person)
            agent, epoch, seq = at
            if self._counted.holds((subject, agent, epoch), seq):
                return self._again(suspicion.person, event, enriched.time)
            if subject in self._subjects:
                counted = self._with_suspect(suspicion.person, event, enriched.time, at)
            else:
                self.missing.add(subject)
        note_traits(*counted, enriched.subject, suspicion)
        return counted

    def merge(self, connection: Connection, since: int) -> None:
        """Into the states that the Memory holds: what is stored by now of acts through accounts of others,
        and what was added. In the write transaction that ends it. since: local day."""
        stored_of = load_subjects(connection, sorted(self._counted.suspects), since=since)
        for subject, stored in stored_of.items():
            take_borrowed(self._memory.subjects[subject], stored)
        for subject, added in self._added.items():
            add_borrowed(self._memory.subjects[subject], added)
        for subject, seen in self._seen_again.items():
            seen.rules = {place: hits for place, hits in seen.rules.items() if place[1] == CORRELATED}
            add_borrowed(self._memory.subjects[subject], seen)

    def _again(self, suspect: PersonRecord, event: Event, time: int) -> Counted | None:
        """For windows only."""
        if subject_of(suspect) not in self._subjects:
            return None
        state = self._apart(self._seen_again, subject_of(suspect))
        return state, borrowed(channel_of(event)), self._memory.directory.local_day_and_hour(suspect, time)[0]

    def _with_suspect(
        self, suspect: PersonRecord, event: Event, time: int, at: tuple[str, str, int]
    ) -> Counted:
        directory = self._memory.directory
        state = self._apart(self._added, subject_of(suspect))
        day = directory.local_day_and_hour(suspect, time)[0]
        row = state.channel_day(borrowed(channel_of(event)), day, directory.day_type(day))
        add_to_day(row, event, time)
        agent, epoch, seq = at
        state.index_event((day, row.channel, agent, epoch), seq)
        return state, row.channel, day

    def _apart(self, states: dict[str, SubjectState], subject: str) -> SubjectState:
        state = states.get(subject)
        if state is None:
            state = states[subject] = SubjectState(subject)
            # Windows hold what both bring.
            state.correlations = self._memory.subjects[subject].correlations
        return state


def through_whom(connection: Connection, subjects: Sequence[str], first_day: int) -> list[str]:
    """Through whose accounts these acted, as is thought: their windows are made anew of those events too.
    Beside these subjects; at most THROUGH_MAX."""
    found: dict[str, None] = {}
    asked: Sequence[str] = subjects
    row = suspect_traits.c
    while asked and len(found) < THROUGH_MAX:
        acted = row.subject.in_(asked) & row.channel.like(f"%{BORROWED}") & (row.day >= first_day)
        query = select(row.through).where(acted).distinct().order_by(row.through).limit(THROUGH_MAX)
        through = connection.execute(query).scalars().all()
        asked = [each for each in through if each not in found and each not in subjects]
        found.update(dict.fromkeys(asked))
    return list(found)[:THROUGH_MAX]
