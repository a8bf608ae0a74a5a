"""What a verdict writes beside the alert's row, and how reopening takes exactly that back.

Judged days and ranges (judgement.py, evidence_blocks.py), what counts as usual for a while (calming.py), and
whoever cools down after it (cooling.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Row, delete, select, update

from server import audit
from server.alerts.calming import ACCEPTED, CALMING, note_accepted
from server.alerts.cooling import CONFIRMED
from server.alerts.evidence_blocks import note_judged_ranges
from server.alerts.history import Changes, JudgedChange, JudgedRange, Value, Verb, change_alert
from server.alerts.judgement import note_judged
from server.alerts.ranking import CLOSED, QueueDay
from server.people.erased import SUBJECT_CHARACTERS
from server.people.pseudonyms import person_subject
from server.pipeline.state_versions import raise_versions
from server.retention import first_activity_day
from server.store.column_types import key_text
from server.store.tables import alert_candidates, alert_days, alerts, judged_days, judged_ranges
from server.store.upsert import insert_new, upsert

RANGES_MAX: Final = 20_000
"""Judged ranges that history keeps of a reopened alert; one with more is not closed again by undoing."""
_AT_ONCE: Final = 500

JudgedDays = dict[tuple[str, int], int]
"""Count by rule and day."""


def close_one(
    connection: Connection,
    alert: Row[Any],
    verdict: str,
    reason: str,
    *,
    actor: str,
    at: int,
    activity_days: int,
    unit: int,
    undo_group: int | None = None,
) -> audit.Act:
    """`alert`: its row, which is not closed. `unit`: the alert with which it is closed. In a write
    transaction, whose trail gets what is returned."""
    place = (alert.subject, alert.family)
    before = judged_in(connection, *place)
    forget_confirmed(connection, alert, verdict)
    note_judged_ranges(connection, alert.id)
    after = before | note_judged(connection, alert.id, *place)
    values: dict[str, Value] = {"status": CLOSED, "verdict": verdict, "closed_at": at, "closed_by": actor}
    values |= dict.fromkeys(("snoozed_until", "snoozed_score", "snoozed_events", "snoozed_last"))
    change_alert(
        connection,
        alert.id,
        values,
        verb=Verb.CLOSE,
        actor=actor,
        at=at,
        unit=unit,
        reason=reason,
        typed={"reason": reason},
        rest=Changes(unit, judged_days=_changed(before, after)),
        undo_group=undo_group,
    )
    if verdict in CALMING:
        note_accepted(connection, alert.id, alert.subject, first_activity_day(at, activity_days))
    return audit.Act(
        at=at,
        actor=actor,
        action="alert.close",
        object=f"alert:{alert.id}",
        reason=reason,
        detail={"verdict": verdict, "score": alert.score, "family": alert.family}
        | ({} if unit == alert.id else {"with": unit}),
    )


def forget_confirmed(connection: Connection, alert: Row[Any], verdict: str | None) -> None:
    """A leak's days are nobody's usual while it is closed as confirmed (confirmed_days.py): whoever remembers
    these people forgets what their days are measured against."""
    if verdict != CONFIRMED:
        return
    concerned = {alert.subject}
    if alert.account_owner is not None:
        concerned.add(key_text(person_subject(alert.account_owner), SUBJECT_CHARACTERS))
    raise_versions(connection, {}, concerned)


def judged_in(connection: Connection, subject: str, family: str) -> JudgedDays:
    at = judged_days.c
    query = select(at.rule_id, at.day, at["count"]).where(at.subject == subject, at.family == family)
    return {(row[0], row[1]): row[2] for row in connection.execute(query)}


def take_back(connection: Connection, alert: Row[Any], judged: Iterable[JudgedChange]) -> None:
    """Of a closed alert all that closing wrote beside its row. `judged`: what that changed; what somebody
    changed since, or is gone, stays so."""
    set_judged_days(connection, alert, [(each, each.before) for each in judged])
    connection.execute(delete(judged_ranges).where(judged_ranges.c.alert == alert.id))
    forget_confirmed(connection, alert, alert.verdict)
    set_accepted(connection, alert.id, None)


def put_back(connection: Connection, alert: Row[Any], changes: Changes, verdict: str | None) -> None:
    """What reopening took, `changes`: by its history."""
    set_judged_days(connection, alert, [(each, each.before) for each in changes.judged_days])
    rows = [{"alert": alert.id} | msgspec.structs.asdict(each) for each in changes.judged_ranges]
    insert_new(connection, judged_ranges, rows)
    forget_confirmed(connection, alert, verdict)
    set_accepted(connection, alert.id, changes.accepted)


def set_judged_days(
    connection: Connection, alert: Row[Any], wanted: Iterable[tuple[JudgedChange, int | None]]
) -> None:
    """Each where it still is what the change left."""
    now = judged_in(connection, alert.subject, alert.family)
    place = {"subject": alert.subject, "family": alert.family}
    rows = []
    gone: dict[str, list[int]] = {}
    for each, count in wanted:
        if now.get((each.rule_id, each.day)) != each.after:
            continue
        if count is None:
            gone.setdefault(each.rule_id, []).append(each.day)
        else:
            rows.append(place | {"rule_id": each.rule_id, "day": each.day, "count": count})
    at = judged_days.c
    mine = (at.subject == alert.subject) & (at.family == alert.family)
    for rule, days in gone.items():
        for start in range(0, len(days), _AT_ONCE):
            some = (at.rule_id == rule) & at.day.in_(days[start : start + _AT_ONCE])
            connection.execute(delete(judged_days).where(mine, some))
    upsert(connection, judged_days, rows)


def ranges_of(connection: Connection, alert_id: int) -> tuple[JudgedRange, ...] | None:
    """Which a verdict was about. None: more than history keeps."""
    columns = (judged_ranges.c[name] for name in JudgedRange.__struct_fields__)
    query = select(*columns).where(judged_ranges.c.alert == alert_id).limit(RANGES_MAX + 1)
    found = tuple(JudgedRange(*row) for row in connection.execute(query.order_by(*judged_ranges.primary_key)))
    return None if len(found) > RANGES_MAX else found


def judged_before_history(connection: Connection, alert: Row[Any]) -> tuple[JudgedChange, ...]:
    """What is known of a closing that no history tells of: days of this alert that no other closed one of
    the same person and family had."""
    at, other = alert_days.c, alerts.alias()
    mine = set(connection.execute(select(at.day).where(at.alert == alert.id)).scalars())
    theirs = (
        select(at.day)
        .join(other, other.c.id == at.alert)
        .where(
            other.c.subject == alert.subject,
            other.c.family == alert.family,
            other.c.status == CLOSED,
            other.c.id != alert.id,
        )
    )
    days = mine - set(connection.execute(theirs).scalars())
    judged = judged_in(connection, alert.subject, alert.family)
    return tuple(JudgedChange(rule, day, None, count) for (rule, day), count in judged.items() if day in days)


def warm_up(connection: Connection, alert_id: int) -> set[QueueDay]:
    """Nobody cools down after an alert that is no longer closed. The days to rank anew."""
    at = alert_candidates.c
    cooled = select(at.queue, at.day).where(at.cooling == alert_id).distinct()
    found = {QueueDay(*row) for row in connection.execute(cooled)}
    if found:
        connection.execute(update(alert_candidates).where(at.cooling == alert_id).values(cooling=None))
    return found


def set_accepted(connection: Connection, alert_id: int, accepted: list[Any] | None) -> None:
    facts = connection.execute(select(alerts.c.facts).where(alerts.c.id == alert_id)).scalar_one()
    if facts.get(ACCEPTED) == accepted:
        return
    kept = {name: value for name, value in facts.items() if name != ACCEPTED}
    values = kept if accepted is None else kept | {ACCEPTED: accepted}
    connection.execute(update(alerts).where(alerts.c.id == alert_id).values(facts=values))


def accepted_in_row(alert: Row[Any]) -> list[Any] | None:
    found = alert.facts.get(ACCEPTED)
    return None if found is None else list(found)


def _changed(before: JudgedDays, after: JudgedDays) -> tuple[JudgedChange, ...]:
    keys = sorted(before.keys() | after.keys())
    return tuple(
        JudgedChange(rule, day, before.get((rule, day)), after.get((rule, day)))
        for rule, day in keys
        if before.get((rule, day)) != after.get((rule, day))
    )
