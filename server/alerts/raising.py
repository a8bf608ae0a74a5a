"""Opens alerts and adds to them: one open alert a subject and policy family. Inside the batch's transaction.

An alert is a function of its subject's state (detection/assessment.py); only the times at which the
server opened and changed it are the server's clock's.
"""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Connection, func, insert, select, update

from server.detection.alert_text import AlertText, alert_text
from server.detection.assessment import Assessment, assess
from server.detection.storage_anomaly import CHANNEL, FAMILY
from server.enrich.enrichment import peer_group_of
from server.people.directory import PersonRecord
from server.people.pseudonyms import pseudonym
from server.pipeline.memory import Memory
from server.pipeline.subject_state import SubjectState
from server.store.tables import alert_days, alerts
from server.store.upsert import insert_missing


def raise_alerts(
    connection: Connection,
    memory: Memory,
    state: SubjectState,
    person: PersonRecord | None,
    *,
    policy_version: str,
    now: int,
) -> list[int]:
    """Assesses every family of the subject, also where none of its days changed: what is usual may have
    (watched_days.py). now: ms UTC. Returns the scores of the alerts that it opened."""
    scores: list[int] = []
    families = {hits.family for hits in state.rules.values()} | {FAMILY}
    for family in sorted(families):
        rows = connection.execute(
            select(alerts.c.status, func.max(alerts.c.id), func.max(alerts.c.last_time))
            .where(alerts.c.subject == state.subject, alerts.c.family == family)
            .group_by(alerts.c.status)
        )
        by_status = {status: (alert_id, last_time) for status, alert_id, last_time in rows}
        judged_until = by_status["closed"][1] if "closed" in by_status else None
        found = assess(state, family, after=judged_until)
        if found is None:
            continue
        text = _text(memory, state, person, found)
        values = _values(state, person, found, text, memory.scorer.model_id, policy_version, now)
        if "open" in by_status:
            alert_id = by_status["open"][0]
            connection.execute(update(alerts).where(alerts.c.id == alert_id).values(values))
        else:
            pseudonym(connection, state.subject)
            opened = {"subject": state.subject, "family": family, "status": "open", "opened_at": now}
            alert_id = connection.execute(
                insert(alerts).values(opened | values).returning(alerts.c.id)
            ).scalar_one()
            scores.append(found.risk.score)
        days = [{"alert": alert_id, "channel": CHANNEL, "day": day} for day in found.days]
        insert_missing(connection, alert_days, days)
    return scores


def _text(memory: Memory, state: SubjectState, person: PersonRecord | None, found: Assessment) -> AlertText:
    row = state.days.get(found.peak)
    days_left = None
    if row is not None and person is not None:
        _, days_left = memory.directory.status_at(person, row.last_time)
    return alert_text(
        state,
        found,
        memory.scorer,
        peer_group=peer_group_of(person),
        days_to_last_day=days_left,
        person_known=person is not None,
    )


def _values(
    state: SubjectState,
    person: PersonRecord | None,
    found: Assessment,
    text: AlertText,
    model_id: int | None,
    policy_version: str,
    now: int,
) -> dict[str, Any]:
    days = [row for day in found.days if (row := state.days.get(day)) is not None]
    person_id = person.id if person is not None else None
    return {
        "score": found.risk.score,
        "account_owner": person_id,
        # The one whose account was used, until a trait points to somebody else.
        "suspected_actor": person_id,
        "traits": ["own account"] if person_id is not None else ["account of nobody known"],
        "sentence": text.sentence,
        "shares": [msgspec.to_builtins(share) for share in found.risk.shares],
        "facts": text.facts,
        "policy_version": policy_version,
        "model_id": model_id,
        "first_time": min(row.first_time for row in days),
        "last_time": max(row.last_time for row in days),
        "events": sum(row.events for row in days),
        "updated_at": now,
    }
