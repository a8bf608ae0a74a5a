"""Whose task an alert is, until when it sleeps, and what people note about it.

Each in one write transaction, which the caller opens: alone, so that nothing changes between looking and
writing. What cannot be changed is refused by itself; the rest goes through.
"""

from __future__ import annotations

import re
from typing import Any, Final

from sqlalchemy import Connection, Row, func, insert, select

from server.alerts.history import Value, Verb
from server.alerts.parts import parts_of
from server.alerts.queries import checked_words
from server.alerts.ranking import OPEN
from server.store.column_types import WHOLE_MAX
from server.store.tables import alert_notes
from server.triage.outcome import Change, Outcome, Refused, Why
from server.triage.reading import NOTES_MAX
from server.triage.work import Work, not_closed, rows_of

NOTE_CHARACTERS: Final = 10_000
SNOOZE_MS_MAX: Final = 92 * 86_400_000
_OWNER: Final = re.compile(r"[a-z0-9][a-z0-9._@-]{0,63}")
_AWAKE: Final[dict[str, Value]] = dict.fromkeys(
    ("snoozed_until", "snoozed_score", "snoozed_events", "snoozed_last")
)


def assign(connection: Connection, change: Change, owner: str | None) -> Outcome:
    """None: nobody's. Whether the owner may judge alerts is for the caller to ask. Raises ValueError where no
    account can be called so."""
    if owner is not None and not _OWNER.fullmatch(owner):
        raise ValueError("no account of the console can be called so")
    work = Work(connection, change, Verb.ASSIGN)
    for alert in work.targets(not_closed, with_main=True):
        work.set(alert, {"owner": owner}, detail={"before": alert.owner, "after": owner})
        work.note_done(alert.id)
    return work.outcome()


def snooze(connection: Connection, change: Change, until: int) -> Outcome:
    """Until then (ms UTC), and no longer than nothing new comes: sleep.py. Parts sleep with their main alert.
    Raises ValueError for a time that is not ahead, or too far."""
    if not change.at < until <= change.at + SNOOZE_MS_MAX:
        raise ValueError("alerts sleep until a time that is ahead, and at most 92 days")
    work = Work(connection, change, Verb.SNOOZE)
    targets = work.targets(_is_open, with_main=True)
    of_main = parts_of(connection, [alert.id for alert in targets])
    parts = rows_of(connection, [part for each in of_main.values() for part in each])
    for alert in targets:
        for each in (alert, *(parts[part] for part in of_main.get(alert.id, ()))):
            values = {"snoozed_until": until, "snoozed_score": each.score}
            values |= {"snoozed_events": each.events, "snoozed_last": each.last_time}
            work.set(each, values, unit=alert.id, detail={"until": until})
        work.note_done(alert.id)
    return work.outcome()


def wake(connection: Connection, change: Change) -> Outcome:
    """Before its time."""
    work = Work(connection, change, Verb.WAKE)
    targets = work.targets(_was_snoozed, with_main=True)
    of_main = parts_of(connection, [alert.id for alert in targets])
    parts = rows_of(connection, [part for each in of_main.values() for part in each])
    for alert in targets:
        for each in (alert, *(parts[part] for part in of_main.get(alert.id, ()))):
            work.set(each, dict(_AWAKE), unit=alert.id)
        work.note_done(alert.id)
    return work.outcome()


def note(connection: Connection, change: Change, text: str) -> Outcome:
    """Also to parts, and to closed alerts. Undoing withdraws it. Raises ValueError where the text is empty,
    too long, or cannot be stored."""
    text = checked_words("a note", text, NOTE_CHARACTERS)
    work = Work(connection, change, Verb.NOTE)
    numbers = func.count().label("numbers")
    counted = select(alert_notes.c.alert, numbers).where(alert_notes.c.alert.in_(_stored(change)))
    there = {row.alert: row.numbers for row in connection.execute(counted.group_by(alert_notes.c.alert))}

    def has_room(row: Row[Any]) -> Refused | None:
        full = there.get(row.id, 0) >= NOTES_MAX
        return Refused(row.id, Why.FULL, {"most": NOTES_MAX}) if full else None

    for alert in work.targets(has_room):
        row = {"alert": alert.id, "at": change.at, "actor": change.actor, "text": text}
        made = insert(alert_notes).values(row | {"undo_group": work.group}).returning(alert_notes.c.id)
        number = int(connection.execute(made).scalar_one())
        # Not the words: they may name somebody, and nothing is ever taken from the trail.
        work.audit(alert.id, {"note": number, "characters": len(text)})
        work.note_done(alert.id)
        work.note_changed(alert.id)
    return work.outcome()


def _stored(change: Change) -> list[int]:
    return [number for number in change.alerts if 0 < number <= WHOLE_MAX]


def _is_open(row: Row[Any]) -> Refused | None:
    refused = not_closed(row)
    if refused is None and row.status != OPEN:
        return Refused(row.id, Why.NOT_OPEN)
    return refused


def _was_snoozed(row: Row[Any]) -> Refused | None:
    refused = not_closed(row)
    if refused is None and row.snoozed_until is None:
        return Refused(row.id, Why.NOT_ASLEEP)
    return refused
