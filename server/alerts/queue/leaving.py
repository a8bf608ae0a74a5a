"""Who is leaving or left, as subjects of alerts. They are few beside the alerts: the queue looks these up
first."""

from __future__ import annotations

from typing import Final

from event_schema.leaver_fields import PersonStatus
from server.people.directory import Directory
from server.people.pseudonyms import person_subject

LEFT_DAYS: Final = 180
"""Whoever left longer ago is a leaver no more where the queue is narrowed to them."""
LEAVERS_MAX: Final = 10_000


def leaving_subjects(directory: Directory, now: int) -> tuple[str, ...]:
    """Those nearest to their last day first. now: ms UTC."""
    found: list[tuple[int, str]] = []
    for person in directory.people():
        status, days = directory.status_at(person, now)
        if status is PersonStatus.NOTICE or (status is PersonStatus.LEFT and (days or 0) >= -LEFT_DAYS):
            found.append((abs(days or 0), person_subject(person.id)))
    return tuple(subject for _, subject in sorted(found)[:LEAVERS_MAX])
