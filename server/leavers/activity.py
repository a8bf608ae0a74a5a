"""What leavers did, as far as the ledger tells it: whether something of theirs was used since, and how many
alerts are open. Times and numbers alone; never what was done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, func, select

from server.people.erased import SUBJECT_CHARACTERS
from server.people.leaving import Leaver
from server.people.pseudonyms import person_subject
from server.store.column_types import key_text
from server.store.tables import alerts, channel_days

_AT_ONCE = 500


def last_uses(connection: Connection, found: Sequence[Leaver]) -> dict[str, int]:
    """When anything was last seen of those who have left (ms UTC), by person; only after they left."""
    left = {_subject(each.id): each for each in found if each.has_left and each.left_at is not None}
    subjects = sorted(left)
    uses: dict[str, int] = {}
    for start in range(0, len(subjects), _AT_ONCE):
        day = channel_days.c
        query = (
            select(day.subject, func.max(day.last_time))
            .where(day.subject.in_(subjects[start : start + _AT_ONCE]))
            .group_by(day.subject)
        )
        for subject, last in connection.execute(query):
            who = left[subject]
            if who.left_at is not None and last >= who.left_at:
                uses[who.id] = last
    return uses


def open_alerts(connection: Connection, ids: Sequence[str]) -> Mapping[str, int]:
    """How many open alerts are about these people, as subject or as whom traits point to; by person."""
    counts: dict[str, int] = {}
    subjects = {_subject(person_id): person_id for person_id in ids}
    query = select(alerts.c.subject, alerts.c.suspected_actor).where(alerts.c.status == "open")
    for subject, suspect in connection.execute(query):
        for person_id in {subjects.get(subject), suspect}:
            if person_id is not None:
                counts[person_id] = counts.get(person_id, 0) + 1
    return {person_id: counts[person_id] for person_id in ids if person_id in counts}


def _subject(person_id: str) -> str:
    return key_text(person_subject(person_id), SUBJECT_CHARACTERS)
