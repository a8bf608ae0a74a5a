"""Which subject an event's rule hits count for: whoever's account it was, or the one whom its traits lead to.

An act is the suspect's once a rule that is about suspects fires on it: then all that it sets off is theirs,
and it is among the evidence of theirs, in their own local day. What the account did on that day (sums,
places, anomaly) stays the account's, whoever used it. Where traits lead to several people who left, the act
stays the account's, and says so.

With the suspect it stands on a channel of its own (`access_log~`): their own days and history stay what they
did by their own accounts, and what is worked out again from these leaves the other alone.
"""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection

from event_schema.ocsf_events import Event
from policies.engine import PolicyHit
from server.enrich.enrichment import Enriched, channel_of
from server.enrich.suspicion import Suspicion
from server.enrich.who import subject_of
from server.people.directory import PersonRecord
from server.pipeline.batch_outcome import Batch
from server.pipeline.day_sums import add_to_day
from server.pipeline.hit_counting import Counted
from server.pipeline.memory import Memory
from server.pipeline.subject_state import SubjectState, TraitPlace, borrowed


class SuspectedActs:
    """Over one batch. The states of the events' own subjects must be loaded; those of suspects, who are few,
    are as they come."""

    def __init__(self, memory: Memory, batch: Batch, connection: Connection) -> None:
        self._memory = memory
        self._batch = batch
        self._connection = connection

    def counted_for(
        self, hits: Collection[PolicyHit], event: Event, enriched: Enriched, at: tuple[str, str, int]
    ) -> Counted:
        suspicion = enriched.suspicion
        if suspicion is None or not is_about_suspect(hits):
            return self._memory.subjects[enriched.subject], channel_of(event), enriched.day
        if suspicion.person is None:
            counted = self._memory.subjects[enriched.subject], channel_of(event), enriched.day
        else:
            counted = self._with_suspect(suspicion.person, event, enriched.time, at)
        note_traits(*counted, enriched.subject, suspicion)
        return counted

    def _with_suspect(
        self, suspect: PersonRecord, event: Event, time: int, at: tuple[str, str, int]
    ) -> Counted:
        directory = self._memory.directory
        subject = subject_of(suspect)
        self._memory.load_subjects(self._connection, (subject,))
        state = self._batch.subjects[subject] = self._memory.subjects[subject]
        self._batch.people[subject] = suspect
        day = directory.local_day_and_hour(suspect, time)[0]
        row = state.channel_day(borrowed(channel_of(event)), day, directory.day_type(day))
        add_to_day(row, event, time)
        agent, epoch, seq = at
        state.index_event((day, row.channel, agent, epoch), seq)
        return state, row.channel, day


def is_about_suspect(hits: Collection[PolicyHit]) -> bool:
    """Whether a rule fired that is about suspects."""
    return any(hit.about == "suspect" for hit in hits)


def note_traits(state: SubjectState, channel: str, day: int, through: str, suspicion: Suspicion) -> None:
    """What leads to whom, one act more of it. `through`: the subject of the account."""
    suspect_id = suspicion.person.id if suspicion.person is not None else ""
    whole: TraitPlace = (channel, day, through, "", suspect_id)
    state.suspect_trait(whole, owner_id=suspicion.owner_id)
    for pointer in suspicion.pointers:
        state.suspect_trait(
            (channel, day, through, pointer.trait, pointer.person_id),
            owner_id=suspicion.owner_id,
            since=pointer.since,
            until=pointer.until,
            others=pointer.others,
        )
