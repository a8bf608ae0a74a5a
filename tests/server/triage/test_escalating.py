"""Alerts go into a case with their parts, and their history says so."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from server.alerts.history import history_of
from server.cases.records import CaseRefused, UnknownCase
from server.store.database import Database
from server.store.tables import case_alerts
from server.triage.escalating import escalate
from server.triage.outcome import Why
from tests.server.triage.queue import everything, of, queue, write


def test_parts_come_along_and_what_cannot_is_refused(database: Database) -> None:
    queue(database)
    write(database, 2, merged_into=1)
    before = everything(database)
    with database.begin() as connection:
        found = escalate(connection, of(1, 99), case=None, title="Customer lists", owner="omar")
        again = escalate(connection, of(3), case=found.case, title=None)
        held = set(connection.execute(select(case_alerts.c.alert)).scalars())
        newest, *_ = history_of(connection, 2)
    assert (found.opened, again.opened, again.case == found.case) == (True, False, True)
    assert (found.outcome.done, found.outcome.changed, found.outcome.group) == ((1,), (1, 2), None)
    assert [(each.id, each.why) for each in found.outcome.refused] == [(99, Why.NO_CASE)]
    assert "99" in found.outcome.refused[0].message
    assert held == {1, 2, 3}
    assert (newest.verb, newest.changes.columns) == ("escalate", {"case": (None, found.case)})
    assert everything(database) == before


def test_where_none_can_go_the_reason_is_told(database: Database) -> None:
    queue(database, 1)
    with database.begin() as connection:
        with pytest.raises(UnknownCase):
            escalate(connection, of(1), case=99, title=None)
        with pytest.raises(CaseRefused):
            escalate(connection, of(99), case=None, title="a title")
