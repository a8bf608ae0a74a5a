"""Alerts into a case, with the parts that were merged into them."""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection

from server.alerts.history import Verb, note_escalated
from server.alerts.parts import parts_of
from server.cases.changing import open_or_join_case
from server.triage.outcome import Change, Outcome, Refused, Why
from server.triage.work import rows_of


class Escalated(msgspec.Struct, frozen=True):
    outcome: Outcome
    case: int
    opened: bool


def escalate(
    connection: Connection, change: Change, *, case: int | None, title: str | None, owner: str | None = None
) -> Escalated:
    """Into a case that is there, or a new one with this title, whose owner is `owner`. Raises UnknownCase,
    CaseRefused, also where no alert can go there."""
    wanted = dict.fromkeys(change.alerts)
    for parts in parts_of(connection, rows_of(connection, wanted)).values():
        wanted |= dict.fromkeys(parts)
    joined = open_or_join_case(
        connection, wanted, actor=change.actor, at=change.at, case_id=case, title=title, owner=owner
    )
    note_escalated(connection, joined.added, joined.case, actor=change.actor, at=change.at)
    added = set(joined.added)
    refused = tuple(
        Refused(number, Why.NO_CASE, {"message": message}) for number, message in joined.refused.items()
    )
    done = tuple(number for number in dict.fromkeys(change.alerts) if number in added)
    return Escalated(Outcome(Verb.ESCALATE.value, done, refused, joined.added), joined.case, joined.opened)
