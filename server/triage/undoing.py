"""Taking back what somebody did a moment ago: exactly what that changed, and nothing that came after.

Whoever did it may undo it, all of it at once, within UNDO_MS. An alert is left as it is, and the reason told,
where somebody changed the same of it since, or where what it would be again no longer fits: then with all
alerts of its unit, a main alert and its parts, so that none is lost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, select, update

from server.alerts.closing import judged_in, put_back, take_back, warm_up
from server.alerts.history import (
    NOTE,
    Changes,
    Step,
    Value,
    Verb,
    history_of,
    note_undone,
    standing,
    steps_of_group,
)
from server.alerts.parts import parts_of
from server.alerts.ranking import CLOSED, QueueDay
from server.store.column_types import WHOLE_MAX
from server.store.tables import alert_notes, triage_groups
from server.triage.judging import Keeping, give_way, opened_since, rank_anew
from server.triage.outcome import BULK_MAX, Change, Outcome, Refused, Why, user_of
from server.triage.work import Work, rows_of

UNDO_MS: Final = 600_000
_NONE_LEFT: Final = "none of these alerts is there any more"


class CannotUndo(Exception):
    """Nothing of the group is undone; the message says why."""


def units_of_group(connection: Connection, group: int) -> dict[int, int]:
    """Which alerts `undo` looks at, and with which main alert each stands or falls."""
    steps = {step.alert: step.changes.unit for step in steps_of_group(connection, group)}
    noted = select(alert_notes.c.alert).where(alert_notes.c.undo_group == group).order_by(alert_notes.c.id)
    return steps | {alert: alert for alert in connection.execute(noted).scalars()}


def undo(
    connection: Connection,
    group: int,
    actor: str,
    at: int,
    *,
    keeping: Keeping,
    only: frozenset[int] | None = None,
) -> Outcome:
    """In a write transaction that is alone. `only`: of these units, where it goes in turns (in_turns.py). at:
    ms UTC. Raises CannotUndo."""
    done = _checked_group(connection, group, actor, at)
    if done.verb == Verb.NOTE:
        return _withdraw_notes(connection, done, at, only)
    steps = steps_of_group(connection, group)
    if not steps:
        raise CannotUndo(_NONE_LEFT)
    units: dict[int, list[Step]] = {}
    for step in steps:
        if only is None or step.changes.unit in only:
            units.setdefault(step.changes.unit, []).append(step)
    numbers = tuple(step.alert for unit in units.values() for step in unit) or (steps[0].alert,)
    work = Work(connection, Change(actor, at, numbers[:BULK_MAX]), Verb.UNDO)
    queues: set[QueueDay] = set()
    for unit in units.values():
        # The latest first: the same alert may have been changed twice.
        queues |= _undo_unit(work, list(reversed(unit)), group)
    rank_anew(connection, queues, at, keeping)
    outcome = work.outcome()
    if outcome.changed:
        values = {"undone_at": at}
        connection.execute(update(triage_groups).where(triage_groups.c.id == group).values(values))
    return outcome


def _withdraw_notes(connection: Connection, done: Row[Any], at: int, only: frozenset[int] | None) -> Outcome:
    """The words go, that there was a note stays: in the alert's history and in the audit trail. `done`: of
    triage_groups. `only`: from these alerts."""
    notes = alert_notes.c
    mine = notes.undo_group == done.id
    if only is not None:
        mine &= notes.alert.in_(only)
    found = connection.execute(select(notes.alert, notes.id).where(mine)).all()
    if not found:
        if only is not None:
            return Outcome(Verb.UNDO.value, ())
        withdrawn = done.undone_at is not None
        raise CannotUndo("the note is withdrawn already" if withdrawn else _NONE_LEFT)
    work = Work(connection, Change(done.actor, at, tuple(row.alert for row in found)), Verb.UNDO)
    connection.execute(delete(alert_notes).where(mine))
    for alert, number in found:
        changes = Changes(alert, columns={NOTE: (number, None)})
        note_undone(connection, alert, changes, done.id, actor=done.actor, at=at)
        work.audit(alert, {"verb": Verb.NOTE.value, "group": done.id, "note": number})
        work.note_changed(alert)
        work.note_done(alert)
    undone = update(triage_groups).where(triage_groups.c.id == done.id).values(undone_at=at)
    connection.execute(undone)
    return work.outcome()


def _checked_group(connection: Connection, group: int, actor: str, at: int) -> Row[Any]:
    known = 0 < group <= WHOLE_MAX
    query = select(triage_groups).where(triage_groups.c.id == group)
    row = connection.execute(query).first() if known else None
    # Alike for what is not there and what somebody else did.
    if row is None or row.actor != actor:
        raise CannotUndo("there is nothing of yours to undo")
    if at - row.at > UNDO_MS:
        raise CannotUndo(f"what was done can be undone for {UNDO_MS // 60_000} minutes")
    return row


def _undo_unit(work: Work, steps: Sequence[Step], group: int) -> set[QueueDay]:
    """Days to rank anew."""
    connection = work.connection
    rows = rows_of(connection, [step.alert for step in steps])
    wanted = {
        step.alert: {name: before for name, (before, _) in step.changes.columns.items()} for step in steps
    }
    refused = _refusals(connection, steps, rows, group) or _misfits(connection, steps, rows, wanted)
    if refused:
        for each in refused:
            work.refuse(each)
        for number in wanted.keys() - {each.id for each in refused}:
            work.refuse(Refused(number, Why.WITH_MAIN, {"alert": refused[0].id}))
        return set()
    queues: set[QueueDay] = set()
    for step in steps:
        alert = rows[step.alert]
        queues |= _undo_one(work, step, alert, wanted[step.alert], group)
        work.note_done(step.alert)
    return queues


def _undo_one(work: Work, step: Step, alert: Row[Any], values: dict[str, Value], group: int) -> set[QueueDay]:
    typed: dict[str, Any] = {}
    queues: set[QueueDay] = set()
    status = values.get("status", alert.status)
    if alert.status == CLOSED and status != CLOSED:
        queues = give_way(work, alert)
        take_back(work.connection, alert, step.changes.judged_days)
        queues |= warm_up(work.connection, alert.id)
        typed["reason"] = None
    elif alert.status != CLOSED and status == CLOSED:
        put_back(work.connection, alert, step.changes, str(values["verdict"]))
        typed["reason"] = step.reason
    detail = {"verb": step.verb, "group": group}
    work.set(alert, values, unit=step.changes.unit, typed=typed, undoes=group, detail=detail)
    return queues


def _refusals(
    connection: Connection, steps: Sequence[Step], rows: Mapping[int, Row[Any]], group: int
) -> list[Refused]:
    """Where somebody changed the same since."""
    found = []
    for step in steps:
        alert = rows.get(step.alert)
        if alert is None:
            found.append(Refused(step.alert, Why.UNKNOWN))
            continue
        history = history_of(connection, step.alert)
        if any(each.undoes == group for each in history):
            found.append(Refused(step.alert, Why.UNDONE))
            continue
        mine = step.changes.columns
        later = next(
            (each for each in standing(history) if each.id > step.id and mine.keys() & each.changes.columns),
            None,
        )
        if later is not None:
            by: dict[str, str | int] = {"by": user_of(later.actor), "verb": later.verb}
            found.append(Refused(step.alert, Why.CHANGED, by))
        elif any(alert._mapping[name] != after for name, (_, after) in mine.items()):
            found.append(Refused(step.alert, Why.CHANGED, {"by": "", "verb": ""}))
        elif not _judged_as_left(connection, alert, step):
            found.append(Refused(step.alert, Why.JUDGED_SINCE))
    return found


def _judged_as_left(connection: Connection, alert: Row[Any], step: Step) -> bool:
    """What retention or an erasure dropped since does not count."""
    if not step.changes.judged_days:
        return True
    now = judged_in(connection, alert.subject, alert.family)
    return all(now.get((each.rule_id, each.day)) in (each.after, None) for each in step.changes.judged_days)


def _misfits(
    connection: Connection,
    steps: Sequence[Step],
    rows: Mapping[int, Row[Any]],
    wanted: Mapping[int, Mapping[str, Value]],
) -> list[Refused]:
    """Where what they would be again does not go with what the others are now (server/alerts/parts.py)."""
    found = []
    parts = parts_of(connection, rows)
    for step in steps:
        alert, values = rows[step.alert], wanted[step.alert]
        status = values.get("status", alert.status)
        main = values.get("merged_into", alert.merged_into)
        if alert.status == CLOSED and status != CLOSED:
            since = opened_since(connection, alert)
            if since is not None:
                found.append(since)
                continue
        if main is not None and not _fits_main(connection, int(main), status, rows, wanted):
            found.append(Refused(alert.id, Why.GONE, {"alert": int(main)}))
            continue
        others = [each for each in parts.get(alert.id, ()) if each not in wanted]
        if others and (main is not None or status != alert.status):
            found.append(Refused(alert.id, Why.HAS_PARTS))
    return found


def _fits_main(
    connection: Connection,
    number: int,
    status: Value,
    rows: Mapping[int, Row[Any]],
    wanted: Mapping[int, Mapping[str, Value]],
) -> bool:
    main = rows.get(number) or rows_of(connection, [number]).get(number)
    if main is None:
        return False
    values = wanted.get(number, {})
    is_part = values.get("merged_into", main.merged_into) is not None
    return not is_part and values.get("status", main.status) == status
