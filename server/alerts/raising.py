"""Opens alerts and adds to them: one open alert a subject and policy family. Inside the batch's transaction.

An alert is a function of its subject's state (detection/assessment.py); only the times at which the
server opened and changed it are the server's clock's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, insert, select, update

from server.alerts.judgement import judged_of
from server.alerts.traits import blame
from server.detection.alert_text import AlertText, alert_text
from server.detection.assessment import Assessment, Judged, assess
from server.detection.storage_anomaly import FAMILY
from server.enrich.enrichment import peer_group_of
from server.people.directory import PersonRecord
from server.people.pseudonyms import pseudonym
from server.pipeline.memory import Memory
from server.pipeline.subject_state import ChannelDay, SubjectState, days_with_rules
from server.store.tables import alert_days, alerts
from server.store.upsert import insert_missing

SUBJECTS_AT_ONCE = 500
"""In one query."""


def raise_alerts(
    connection: Connection,
    memory: Memory,
    states: Sequence[SubjectState],
    people: Mapping[str, PersonRecord | None],
    *,
    now: int,
) -> list[int]:
    """Assesses every family of these subjects, also where none of their days changed: what is usual may have
    (watched_days.py). now: ms UTC. Returns the scores of the alerts that it opened."""
    scores: list[int] = []
    for start in range(0, len(states), SUBJECTS_AT_ONCE):
        part = states[start : start + SUBJECTS_AT_ONCE]
        known = _Known.of(connection, [state.subject for state in part])
        for state in part:
            scores += _raise(connection, memory, state, people[state.subject], known, now)
    return scores


class _Known(NamedTuple):
    """By subject and family: open alerts, and what was judged."""

    open_alerts: dict[tuple[str, str], int]
    judged: dict[tuple[str, str], Judged]

    @classmethod
    def of(cls, connection: Connection, subjects: list[str]) -> _Known:
        query = select(alerts.c.subject, alerts.c.family, alerts.c.id).where(
            alerts.c.subject.in_(subjects), alerts.c.status == "open"
        )
        open_alerts = {(row.subject, row.family): row.id for row in connection.execute(query)}
        return cls(open_alerts, judged_of(connection, subjects))


def _raise(
    connection: Connection,
    memory: Memory,
    state: SubjectState,
    person: PersonRecord | None,
    known: _Known,
    now: int,
) -> list[int]:
    scores: list[int] = []
    families = {hits.family for hits in state.rules.values()} | {FAMILY}
    for family in sorted(families - {""}):
        judged = known.judged.get((state.subject, family), {})
        found = assess(state, family, judged, memory.rules.policies.correlated.reaches)
        if found is None:
            continue
        again = not {day for _, day in judged}.isdisjoint(found.days)
        text = _text(memory, state, person, found, again=again)
        values = _values(state, person, found, text, memory, now)
        alert_id = known.open_alerts.get((state.subject, family))
        if alert_id is not None:
            connection.execute(update(alerts).where(alerts.c.id == alert_id).values(values))
        else:
            pseudonym(connection, state.subject)
            opened = {"subject": state.subject, "family": family, "status": "open", "opened_at": now}
            alert_id = connection.execute(
                insert(alerts).values(opened | values).returning(alerts.c.id)
            ).scalar_one()
            scores.append(found.risk.score)
        days = [{"alert": alert_id, "channel": channel, "day": day} for channel, day in found.places]
        insert_missing(connection, alert_days, days)
    return scores


def _text(
    memory: Memory, state: SubjectState, person: PersonRecord | None, found: Assessment, *, again: bool
) -> AlertText:
    times = [row.last_time for row in _rows(state, found) if row.day == found.peak]
    days_left = None
    if times and person is not None:
        _, days_left = memory.directory.status_at(person, max(times))
    return alert_text(
        state,
        found,
        memory.scorer,
        peer_group=peer_group_of(person),
        days_to_last_day=days_left,
        person_known=person is not None,
        again=again,
    )


def _rows(state: SubjectState, found: Assessment) -> list[ChannelDay]:
    """Days of the assessment that are still there, by channel."""
    rows = (state.days(channel).get(day) for channel, day in found.places)
    return [row for row in rows if row is not None]


def _values(
    state: SubjectState,
    person: PersonRecord | None,
    found: Assessment,
    text: AlertText,
    memory: Memory,
    now: int,
) -> dict[str, Any]:
    days = _rows(state, found)
    # Rule hits may outlive their day's row: old rows go table by table.
    hits = [h for h in days_with_rules(state, found.family) if h.day in found.days]
    times = [(row.first_time, row.last_time) for row in days] + [(h.first_time, h.last_time) for h in hits]
    events = sum(row.events for row in days)
    blamed = blame(
        state, frozenset(found.places), person_id=person.id if person is not None else None, events=events
    )
    return {
        "score": found.risk.score,
        "account_owner": blamed.account_owner,
        "suspected_actor": blamed.suspected_actor,
        "traits": msgspec.to_builtins(blamed.traits),
        "sentence": text.sentence,
        "shares": [msgspec.to_builtins(share) for share in found.risk.shares],
        "facts": text.facts | {"rules": _with_hashes(text.facts["rules"], memory.rules.hashes)},
        "policy_version": memory.rules.policies.version,
        "model_id": memory.scorer.model_id,
        "first_time": min(first for first, _ in times),
        "last_time": max(last for _, last in times),
        "events": events,
        "updated_at": now,
    }


def _with_hashes(
    rules: Sequence[dict[str, Any]], hashes: Mapping[tuple[str, int], str]
) -> list[dict[str, Any]]:
    """The versions that fired, each with the hash of its text: what the alert stands on, whatever changes."""
    return [
        rule
        | {
            "versions": [
                {"number": number, "hash": hashes.get((rule["id"], number), "")}
                for number in rule["versions"]
            ]
        }
        for rule in rules
    ]
