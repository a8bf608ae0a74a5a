"""Closing alerts with a verdict, and opening them again."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, and_, delete, exists, select

from server.alerts.closing import (
    accepted_in_row,
    close_one,
    judged_before_history,
    ranges_of,
    take_back,
    warm_up,
)
from server.alerts.explaining import explain_moved
from server.alerts.history import Changes, JudgedChange, Value, Verb, history_of, standing
from server.alerts.parts import parts_of
from server.alerts.queries import REASON_CHARACTERS, Verdict, checked_words
from server.alerts.ranking import CLOSED, HELD, OPEN, QueueDay, rank
from server.store.postgresql import lock_queues
from server.store.tables import alert_candidates, alert_history, alert_notes, alerts, case_alerts
from server.triage.outcome import Change, Outcome, Refused, Why
from server.triage.work import Work, not_a_part, not_closed, rows_of

_UNTOUCHED: Final = and_(
    alerts.c.status == HELD,
    alerts.c.triage_version == 0,
    alerts.c.merged_into.is_(None),
    *(~exists().where(table.c.alert == alerts.c.id) for table in (alert_history, alert_notes, case_alerts)),
)


class Keeping(msgspec.Struct, frozen=True):
    """What the installation keeps: as the settings `retention` say. `clock`: ms UTC."""

    events_days: int | None
    activity_days: int
    clock: Callable[[], int]


def close(
    connection: Connection, change: Change, verdict: Verdict, reason: str, *, activity_days: int
) -> Outcome:
    """With the parts of each. Raises ValueError where the reason is empty, too long, or cannot be stored."""
    reason = checked_words("a reason", reason, REASON_CHARACTERS)
    work = Work(connection, change, Verb.CLOSE)
    targets = work.targets(not_closed, with_main=True)
    of_main = parts_of(connection, [alert.id for alert in targets])
    parts = rows_of(connection, [part for each in of_main.values() for part in each])
    for alert in targets:
        for each in (alert, *(parts[number] for number in of_main.get(alert.id, ()))):
            act = close_one(
                connection,
                each,
                verdict.value,
                reason,
                actor=change.actor,
                at=change.at,
                activity_days=activity_days,
                unit=alert.id,
                undo_group=work.group,
            )
            work.note_act(act)
            work.note_changed(each.id)
        work.note_done(alert.id)
    return work.outcome()


def reopen(connection: Connection, change: Change, *, keeping: Keeping) -> Outcome:
    """With the parts of each: one that cannot be is refused, and stays closed by itself. What the verdict
    wrote is taken back: the days count for what they are again."""
    work = Work(connection, change, Verb.REOPEN)
    queues: set[QueueDay] = set()
    kept = True
    for alert in work.targets(_can_reopen(connection), with_main=True):
        # Asked again: one that was reopened just now may be about the same.
        if (since := opened_since(connection, alert)) is not None:
            work.refuse(since)
            continue
        numbers = parts_of(connection, [alert.id]).get(alert.id, ())
        parts = rows_of(connection, numbers)
        for each in (alert, *(parts[number] for number in numbers)):
            since = opened_since(connection, each)
            if since is not None:
                work.refuse(since)
                work.set(each, {"merged_into": None}, unit=alert.id)
                continue
            queues |= give_way(work, each)
            kept &= _reopen_one(work, each, alert.id)
            queues |= warm_up(connection, each.id)
        work.note_done(alert.id)
    rank_anew(connection, queues, change.at, keeping)
    return work.outcome(undoable=kept)


def opened_since(connection: Connection, alert: Row[Any]) -> Refused | None:
    """There is at most one of a person and family that is not closed. One that is held and that nobody ever
    touched gives way (give_way)."""
    found = connection.execute(select(alerts.c.id).where(_others(alert), ~_UNTOUCHED)).scalar()
    return None if found is None else Refused(alert.id, Why.OPENED_SINCE, {"alert": found})


def give_way(work: Work, alert: Row[Any]) -> set[QueueDay]:
    """Deletes what was held about the same since: nobody saw it, and the next batch tells it again, as more
    of the alert that is open now. Days to rank anew."""
    connection = work.connection
    held = list(connection.execute(select(alerts.c.id).where(_others(alert), _UNTOUCHED)).scalars())
    if not held:
        return set()
    at = alert_candidates.c
    queues = {
        QueueDay(row.queue, row.day)
        for row in connection.execute(select(at.queue, at.day).where(at.alert.in_(held)).distinct())
    }
    for number in held:
        work.audit(number, {"gave_way_to": alert.id})
    connection.execute(delete(alerts).where(alerts.c.id.in_(held)))
    return queues


def _others(alert: Row[Any]) -> ColumnElement[bool]:
    """About the same, and not closed."""
    other = alerts.c
    same = and_(other.subject == alert.subject, other.family == alert.family)
    return and_(same, other.id != alert.id, other.status != CLOSED)


def rank_anew(connection: Connection, queues: Iterable[QueueDay], now: int, keeping: Keeping) -> None:
    """Days of which some cooled down after an alert that is not closed any more."""
    days = set(queues)
    if days:
        lock_queues(connection)
        moved = rank(connection, days, now)
        explain_moved(connection, moved, keeping.clock, keeping.events_days, keeping.activity_days)


def _can_reopen(connection: Connection) -> Callable[[Row[Any]], Refused | None]:
    def check(row: Row[Any]) -> Refused | None:
        if row.status != CLOSED:
            return Refused(row.id, Why.NOT_CLOSED)
        return not_a_part(row) or opened_since(connection, row)

    return check


def _reopen_one(work: Work, alert: Row[Any], unit: int) -> bool:
    """Whether it could be closed again by undoing."""
    connection = work.connection
    closing = next((s for s in standing(history_of(connection, alert.id)) if s.verb == Verb.CLOSE), None)
    if closing is None:
        judged, status = judged_before_history(connection, alert), _status_by_queues(connection, alert)
    else:
        judged, status = closing.changes.judged_days, str(closing.changes.columns["status"][0])
    ranges = ranges_of(connection, alert.id)
    # Seen from the state that it leaves behind: what undoing it finds, and what it makes of that.
    taken = tuple(JudgedChange(each.rule_id, each.day, each.after, each.before) for each in judged)
    rest = Changes(unit, judged_days=taken, judged_ranges=ranges or (), accepted=accepted_in_row(alert))
    take_back(connection, alert, judged)
    values: dict[str, Value] = {"status": status, "verdict": None, "closed_at": None, "closed_by": None}
    detail = {"verdict": alert.verdict} | ({} if unit == alert.id else {"with": unit})
    work.set(alert, values, unit=unit, reason=alert.reason, typed={"reason": None}, rest=rest, detail=detail)
    return ranges is not None


def _status_by_queues(connection: Connection, alert: Row[Any]) -> str:
    """Of one that was closed before there was a history."""
    at = alert_candidates.c
    of_queues = connection.execute(select(exists().where(at.alert == alert.id))).scalar()
    let_through = connection.execute(select(exists().where(at.alert == alert.id, at.admitted))).scalar()
    return OPEN if alert.by_rules or let_through or not of_queues else HELD
