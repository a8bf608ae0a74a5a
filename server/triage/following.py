"""What an analyst follows: alerts, and people, whose alerts are then followed, those to come too.

It is each one's own: nobody else's queue shows it, it changes nothing of the alert and of what is collected,
and it tells nobody anything by itself. That somebody follows is on record, as every sight of an alert is.
Alerts that go are followed no longer (a foreign key), nor is who is erased.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec
from sqlalchemy import ColumnElement, Connection, FromClause, delete, or_, select

from server import audit
from server.alerts.history import Verb
from server.store.tables import alerts, followed_alerts, followed_subjects
from server.store.upsert import insert_missing
from server.triage.outcome import Change, Outcome
from server.triage.work import Work

Followed = Literal["", "alert", "about"]
"""Not, the alert itself, or whom it is about; also a part of it, or whom that is about."""


def follow(connection: Connection, change: Change, *, on: bool) -> Outcome:
    """There is nothing to undo, and whatever others did to the alerts does not matter."""
    change = msgspec.structs.replace(change, versions={}, shown={})
    work = Work(connection, change, Verb.FOLLOW if on else Verb.UNFOLLOW)
    targets = [alert.id for alert in work.targets(lambda _row: None)]
    at = followed_alerts.c
    mine = (at.actor == change.actor) & at.alert.in_(targets)
    known = set(connection.execute(select(at.alert).where(mine)).scalars())
    if on:
        rows = [{"actor": change.actor, "alert": each, "since": change.at} for each in targets]
        insert_missing(connection, followed_alerts, [row for row in rows if row["alert"] not in known])
    else:
        connection.execute(delete(followed_alerts).where(mine))
    for number in targets:
        if (number in known) != on:
            work.audit(number, None)
            work.note_changed(number)
        work.note_done(number)
    return work.outcome()


def follow_subject(
    connection: Connection, subject: str, pseudonym: str, *, actor: str, at: int, on: bool
) -> bool:
    """Whether that changed anything. In a write transaction; at: ms UTC."""
    if on == follows_subject(connection, subject, actor):
        return False
    if on:
        row = {"actor": actor, "subject": subject, "since": at}
        insert_missing(connection, followed_subjects, [row])
    else:
        its = followed_subjects.c
        connection.execute(delete(followed_subjects).where(its.actor == actor, its.subject == subject))
    verb = Verb.FOLLOW if on else Verb.UNFOLLOW
    audit.append(connection, at=at, actor=actor, action=f"person.{verb.value}", object=f"person:{pseudonym}")
    return True


def follows_subject(connection: Connection, subject: str, actor: str) -> bool:
    its = followed_subjects.c
    query = select(its.since).where(its.actor == actor, its.subject == subject)
    return connection.execute(query).first() is not None


def is_followed(actor: str, table: FromClause = alerts) -> ColumnElement[bool]:
    """The alert itself, or whom it is about."""
    own = select(followed_alerts.c.alert).where(followed_alerts.c.actor == actor)
    people = select(followed_subjects.c.subject).where(followed_subjects.c.actor == actor)
    return or_(table.c.id.in_(own), table.c.subject.in_(people))


def read_followed(connection: Connection, numbers: Sequence[int], actor: str) -> dict[int, Followed]:
    """Of these alerts those that are followed."""
    at = alerts.c
    found: dict[int, Followed] = {}
    parts = select(at.merged_into).where(at.merged_into.in_(numbers), is_followed(actor))
    about = select(at.id).where(at.id.in_(numbers), is_followed(actor))
    for query in (parts, about):
        found |= dict.fromkeys(connection.execute(query).scalars(), "about")
    own = followed_alerts.c
    itself = select(own.alert).where(own.actor == actor, own.alert.in_(numbers))
    return found | dict.fromkeys(connection.execute(itself).scalars(), "alert")
