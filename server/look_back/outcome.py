"""Writes what looking back found: states of the window in place of what was there, and alerts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, Table, delete, exists, select

from server.alerts.raising import raise_alerts
from server.alerts.ranking import HELD, OPEN
from server.look_back.alerts_follow import follow_events
from server.look_back.moved_events import MovedEvents
from server.pipeline.commit import write_correlations, write_subjects
from server.pipeline.memory import Memory
from server.pipeline.state_versions import raise_versions
from server.pipeline.subject_state import BORROWED, SubjectState
from server.store.tables import (
    activity_days,
    alerts,
    anomaly_days,
    channel_days,
    correlation_groups,
    rule_days,
    subject_agents,
    subject_events,
    subject_places,
    suspect_traits,
)


class Outcome(NamedTuple):
    """Alerts that it opened, whoever they are about; others that are not held and that it changed; and how
    many that were open stronger ones put out."""

    opened: int
    joined: int
    withdrawn: int


def write_outcome(
    connection: Connection,
    memory: Memory,
    states: Sequence[SubjectState],
    moved: MovedEvents,
    versions: Mapping[str, int],
    *,
    first_day: int,
    now: int,
) -> Outcome:
    """In a write transaction that is alone. `versions`: of the subjects, locked."""
    subjects = [state.subject for state in states]
    rules = [policy.rule_id for policy in memory.rules.policies.policies]
    _clear(connection, subjects, first_day, rules)
    moved.write(connection)
    for state in states:
        state.all_places_dirty()
    write_subjects(connection, states)
    write_correlations(connection, states)
    if moved:
        _forget_empty(connection, subjects)
        follow_events(connection, moved.went_to(), now)
    raise_versions(connection, versions)
    at = alerts.c
    was_open = select(at.id).where(at.subject.in_(subjects), at.status == OPEN)
    before = set(connection.execute(was_open).scalars())
    changed = raise_alerts(
        connection,
        memory,
        states,
        {subject: memory.enricher.person_of(subject) for subject in subjects},
        now=now,
        looking_back=first_day,
    )
    touched = select(at.id, at.status).where(
        at.subject.in_(subjects), at.looked_back_at == now, at.status != HELD
    )
    # Of those that it opened some may be other subjects': a place became free.
    joined = sum(status != OPEN or number in before for number, status in connection.execute(touched))
    return Outcome(len(changed.opened), joined, changed.withdrawn)


def _clear(connection: Connection, subjects: Sequence[str], first_day: int, rules: Sequence[str]) -> None:
    for subject in subjects:
        connection.execute(
            delete(activity_days).where(activity_days.c.subject == subject, activity_days.c.day >= first_day)
        )
        connection.execute(
            delete(anomaly_days).where(anomaly_days.c.subject == subject, anomaly_days.c.day >= first_day)
        )
        connection.execute(
            delete(channel_days).where(
                channel_days.c.subject == subject, channel_days.c.day >= first_day, _own(channel_days)
            )
        )
        connection.execute(
            delete(rule_days).where(
                rule_days.c.subject == subject,
                rule_days.c.day >= first_day,
                rule_days.c.rule_id.in_(rules),
                _own(rule_days),
            )
        )
        connection.execute(
            delete(suspect_traits).where(
                suspect_traits.c.subject == subject,
                suspect_traits.c.day >= first_day,
                _own(suspect_traits),
            )
        )
        connection.execute(
            delete(correlation_groups).where(
                correlation_groups.c.subject == subject, correlation_groups.c.rule_id.in_(rules)
            )
        )
        for table in (subject_places, subject_agents):
            connection.execute(delete(table).where(table.c.subject == subject))


def _own(table: Table) -> ColumnElement[bool]:
    """Not through accounts of others."""
    return table.c.channel.not_like(f"%{BORROWED}")


def _forget_empty(connection: Connection, subjects: Sequence[str]) -> None:
    """Accounts whose events are all somebody's by now."""
    for subject in subjects:
        left = exists().where(subject_events.c.subject == subject)
        for table in (subject_places, subject_agents):
            connection.execute(delete(table).where(table.c.subject == subject, ~left))
