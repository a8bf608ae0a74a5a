"""The queue of alerts, and closing one: once, with a reason, on the record."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from server import audit
from server.alerts.queries import (
    REASON_CHARACTERS,
    AlreadyClosed,
    UnknownAlert,
    Verdict,
    close_alert,
    get_alert,
    list_alerts,
)
from server.store.database import Database
from server.store.tables import audit as audit_table
from tests.server.alerts.recorded_leak import open_alert


def test_queue_is_ordered_by_score_and_filtered_by_status(database: Database) -> None:
    for alert_id, score in ((1, 50), (2, 90), (3, 70)):
        open_alert(database, events=1, subject=f"person:{alert_id}", alert_id=alert_id, score=score)
    with database.begin() as connection:
        close_alert(connection, 2, Verdict.FALSE, "a test", "cli:omar", 5)
    with database.read() as connection:
        assert [alert.id for alert in list_alerts(connection)] == [3, 1]
        assert [alert.id for alert in list_alerts(connection, "closed")] == [2]
        assert [alert.id for alert in list_alerts(connection, "all", 2)] == [2, 3]
        with pytest.raises(ValueError, match="limit 0"):
            list_alerts(connection, "all", 0)


def test_points_of_the_shares_read_back_and_add_up(database: Database) -> None:
    open_alert(database, events=1)
    with database.read() as connection:
        alert = get_alert(connection, 1)
    assert sum(share.points for share in alert.shares) == alert.score == 87


def test_closing_keeps_verdict_reason_and_an_audit_row(database: Database) -> None:
    open_alert(database, events=1)
    with database.begin() as connection:
        closed = close_alert(connection, 1, Verdict.EXPECTED, " agreed with the manager ", "cli:omar", 77)
    assert (closed.status, closed.verdict, closed.reason, closed.closed_at, closed.closed_by) == (
        "closed", "expected", "agreed with the manager", 77, "cli:omar",
    )  # fmt: skip
    with database.read() as connection:
        row = connection.execute(select(audit_table)).one()
        assert audit.verify(connection) is None
    assert (row.actor, row.action, row.object, row.reason, row.at) == (
        "cli:omar", "alert.close", "alert:1", "agreed with the manager", 77,
    )  # fmt: skip


def test_closed_alert_cannot_be_closed_again_and_keeps_its_first_verdict(database: Database) -> None:
    open_alert(database, events=1)
    with database.begin() as connection:
        close_alert(connection, 1, Verdict.CONFIRMED, "real", "cli:omar", 1)
    with pytest.raises(AlreadyClosed, match="closed before as confirmed"), database.begin() as connection:
        close_alert(connection, 1, Verdict.FALSE, "not real", "cli:eve", 2)
    with database.read() as connection:
        assert get_alert(connection, 1).verdict == "confirmed"
        assert len(connection.execute(select(audit_table)).all()) == 1


@pytest.mark.parametrize("reason", ["", "   ", "x" * (REASON_CHARACTERS + 1)])
def test_closing_without_a_proper_reason_is_refused(database: Database, reason: str) -> None:
    open_alert(database, events=1)
    with pytest.raises(ValueError, match="reason"), database.begin() as connection:
        close_alert(connection, 1, Verdict.FALSE, reason, "cli:omar", 1)
    with database.read() as connection:
        assert get_alert(connection, 1).status == "open"


def test_unknown_alert_is_said(database: Database) -> None:
    with pytest.raises(UnknownAlert, match="no alert 9"), database.begin() as connection:
        close_alert(connection, 9, Verdict.FALSE, "r", "cli:omar", 1)
