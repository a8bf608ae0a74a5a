"""Several alerts about one matter: merged into a main alert, and taken out again.

A part stays an alert of its own, to which the pipeline adds; it is judged with the main alert, which shows
the highest score of all (server/alerts/parts.py).
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row

from server.alerts.history import Verb
from server.alerts.parts import parts_of
from server.alerts.ranking import CLOSED, OPEN
from server.triage.outcome import Change, Outcome, Refused, Why
from server.triage.work import Work, not_closed, rows_of


class NoMain(Exception):
    """Nothing can be merged into the alert; `refused` says why."""

    def __init__(self, refused: Refused) -> None:
        super().__init__(refused.message)
        self.refused = refused


def merge(connection: Connection, change: Change, into: int) -> Outcome:
    """Into an open alert; one that is a part itself stands for its main alert. Parts of what is merged come
    along. The main alert itself, where it is named too, stays. Raises NoMain."""
    main = _main(connection, into)
    work = Work(connection, change, Verb.MERGE)

    def check(row: Row[Any]) -> Refused | None:
        if row.id == main.id:
            return None
        if row.merged_into == main.id and row.status != CLOSED:
            return None
        refused = not_closed(row)
        return refused or (None if row.status == OPEN else Refused(row.id, Why.NOT_OPEN))

    targets = [alert for alert in work.targets(check, with_main=True) if alert.id != main.id]
    of_part = parts_of(connection, [alert.id for alert in targets])
    moved = rows_of(connection, [part for each in of_part.values() for part in each])
    for alert in targets:
        for each in (alert, *(moved[part] for part in of_part.get(alert.id, ()))):
            detail = {"into": main.id, "before": each.merged_into}
            work.set(each, {"merged_into": main.id}, unit=alert.id, detail=detail)
        work.note_done(alert.id)
    return work.outcome()


def unmerge(connection: Connection, change: Change) -> Outcome:
    """Each stands by itself again."""
    work = Work(connection, change, Verb.UNMERGE)
    for alert in work.targets(_is_part):
        work.set(alert, {"merged_into": None}, detail={"before": alert.merged_into})
        work.note_done(alert.id)
    return work.outcome()


def _main(connection: Connection, number: int) -> Row[Any]:
    row = rows_of(connection, [number]).get(number)
    if row is not None and row.merged_into is not None:
        row = rows_of(connection, [row.merged_into]).get(row.merged_into)
    if row is None:
        raise NoMain(Refused(number, Why.UNKNOWN))
    refused = not_closed(row)
    if refused is None and row.status != OPEN:
        refused = Refused(row.id, Why.NOT_OPEN)
    if refused is not None:
        raise NoMain(refused)
    return row


def _is_part(row: Row[Any]) -> Refused | None:
    return Refused(row.id, Why.NOT_MERGED) if row.merged_into is None else None
