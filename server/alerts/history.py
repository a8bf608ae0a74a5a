"""What people changed of an alert: one row a change, append-only, with what it takes to undo exactly that.

`alert_history.changes` holds `Changes`. Columns are those that people change; what the pipeline writes
(score, events, sentence …) is no history of people. An alert that goes takes its history along.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, insert, select, update

from event_schema.struct_base import Milliseconds
from server.store.tables import alert_history, alerts

COLUMNS: Final = (
    *("status", "owner", "verdict", "closed_at", "closed_by", "merged_into"),
    *("snoozed_until", "snoozed_score", "snoozed_events", "snoozed_last"),
)
"""Of `alerts`, without the typed reason: that is `alert_history.reason`, where erasure looks for names."""
PART: Final = "part"
"""Among the columns of a main alert's history: which alert was merged into it, or taken out."""
NOTE: Final = "note"
"""Among the columns of an undoing: which note was withdrawn."""
HISTORY_MAX: Final = 500

Value = str | int | None


class Verb(StrEnum):
    ASSIGN = "assign"
    SNOOZE = "snooze"
    WAKE = "wake"
    CLOSE = "close"
    REOPEN = "reopen"
    MERGE = "merge"
    UNMERGE = "unmerge"
    UNDO = "undo"
    ESCALATE = "escalate"
    """Changes nothing of the alert: `columns` has the case that it went to."""
    NOTE = "note"
    """Stands in `alert_notes`, and in no history."""
    FOLLOW = "follow"
    """As `unfollow`: each one's own, and in no history (triage/following.py)."""
    UNFOLLOW = "unfollow"


class JudgedChange(msgspec.Struct, frozen=True, array_like=True):
    """A row of judged_days, of the alert's subject and family. None: there was none, or is none now."""

    rule_id: str
    day: int
    before: int | None
    after: int | None


class JudgedRange(msgspec.Struct, frozen=True, array_like=True):
    agent: str
    epoch: str
    first_seq: int
    last_seq: int


class Changes(msgspec.Struct, frozen=True, omit_defaults=True):
    """`unit`: the alert that the change was about, where its parts changed with it. `columns`: before and
    after. `judged_ranges`, `accepted`: what reopening took away."""

    unit: int
    columns: dict[str, tuple[Value, Value]] = {}
    judged_days: tuple[JudgedChange, ...] = ()
    judged_ranges: tuple[JudgedRange, ...] = ()
    accepted: list[Any] | None = None


class Step(msgspec.Struct, frozen=True):
    """A row of alert_history."""

    id: int
    alert: int
    at: Milliseconds
    actor: str
    verb: str
    reason: str | None
    changes: Changes
    undo_group: int | None
    undoes: int | None


def change_alert(
    connection: Connection,
    alert_id: int,
    values: Mapping[str, Value],
    *,
    verb: Verb,
    actor: str,
    at: int,
    unit: int | None = None,
    reason: str | None = None,
    typed: Mapping[str, Any] | None = None,
    rest: Changes | None = None,
    undo_group: int | None = None,
    undoes: int | None = None,
) -> bool:
    """Writes what differs, and the history of it; false where nothing does. In a write transaction. `typed`:
    further values that are no history. `rest`: what changed beside the row. at: ms UTC."""
    query = select(*(alerts.c[name] for name in values)).where(alerts.c.id == alert_id)
    before = connection.execute(query).one()._mapping
    columns = {name: (before[name], value) for name, value in values.items() if before[name] != value}
    if not columns:
        return False
    new = {name: value for name, (_, value) in columns.items()} | dict(typed or {})
    new |= {"updated_at": at, "triage_version": alerts.c.triage_version + 1}
    connection.execute(update(alerts).where(alerts.c.id == alert_id).values(new))
    if "merged_into" in columns:
        _note_parts(connection, alert_id, *columns["merged_into"], actor=actor, at=at)
    changes = msgspec.structs.replace(rest or Changes(0), unit=unit or alert_id, columns=columns)
    row = {"alert": alert_id, "at": at, "actor": actor, "verb": verb.value, "reason": reason}
    row |= {"changes": msgspec.to_builtins(changes), "undo_group": undo_group, "undoes": undoes}
    connection.execute(insert(alert_history).values(row))
    return True


def _note_parts(
    connection: Connection, part: int, before: Value, after: Value, *, actor: str, at: int
) -> None:
    """Whoever judges a main alert judges its parts: with others it is another one, and its history
    says so."""
    mains = [main for main in (before, after) if main is not None]
    there = connection.execute(select(alerts.c.id).where(alerts.c.id.in_(mains))).scalars().all()
    for main in there:
        touched = {"updated_at": at, "triage_version": alerts.c.triage_version + 1}
        connection.execute(update(alerts).where(alerts.c.id == main).values(touched))
        joins = main == after
        changes = Changes(main, columns={PART: (None, part) if joins else (part, None)})
        verb = Verb.MERGE if joins else Verb.UNMERGE
        row = {"alert": main, "at": at, "actor": actor, "verb": verb.value}
        connection.execute(insert(alert_history).values(row | {"changes": msgspec.to_builtins(changes)}))


def note_escalated(connection: Connection, numbers: Sequence[int], case: int, *, actor: str, at: int) -> None:
    """In the transaction that puts them into the case."""
    row = {"at": at, "actor": actor, "verb": Verb.ESCALATE.value}
    rows = []
    for number in numbers:
        changes = Changes(number, columns={"case": (None, case)})
        rows.append(row | {"alert": number, "changes": msgspec.to_builtins(changes)})
    if rows:
        connection.execute(insert(alert_history), rows)


def note_undone(
    connection: Connection, alert_id: int, changes: Changes, undoes: int, *, actor: str, at: int
) -> None:
    """Of what changed nothing of the alert's row. In the transaction that undoes it."""
    row = {"alert": alert_id, "at": at, "actor": actor, "verb": Verb.UNDO.value, "undoes": undoes}
    connection.execute(insert(alert_history).values(row | {"changes": msgspec.to_builtins(changes)}))


def history_of(connection: Connection, alert_id: int, limit: int = HISTORY_MAX) -> list[Step]:
    """The latest first. Reasons are as they were typed: masked before an analyst sees them."""
    at = alert_history.c
    query = select(alert_history).where(at.alert == alert_id).order_by(at.id.desc()).limit(limit)
    return [step_of(row._mapping) for row in connection.execute(query)]


def steps_of_group(connection: Connection, group: int) -> list[Step]:
    """What is left of them: alerts may be gone. In the order in which they were done."""
    at = alert_history.c
    query = select(alert_history).where(at.undo_group == group).order_by(at.id)
    return [step_of(row._mapping) for row in connection.execute(query)]


def standing(steps: list[Step]) -> list[Step]:
    """Of one alert's history those that were not undone, without the undoing."""
    undone = {step.undoes for step in steps if step.undoes is not None}
    return [step for step in steps if step.verb != Verb.UNDO and step.undo_group not in undone - {None}]


def step_of(row: Mapping[Any, Any]) -> Step:
    # SQLAlchemy's column names are a subclass of str, which msgspec does not take as a field's name.
    return msgspec.convert({str(name): value for name, value in row.items()}, Step)
