"""An installation whose rules were all outside of the budget is upgraded, and goes on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, select, text

from server.store.database import open_database, upgrade
from server.store.tables import alert_candidates, alerts, queue_days, rule_days
from server.training.stored_models import active_risk_line
from tests.server.pipeline.conftest import DAY, NOW, Server
from tests.server.pipeline.endpoint import Endpoint, copied_file
from tests.server.store.older_versions import database_of

BEFORE = "0018"
FAMILY = "removable_storage_copy"
TODAY = NOW // DAY
BY_RULES, STRANGE, HELD = "person:p1", "person:p2", "person:p3"


@pytest.fixture
def old(request: pytest.FixtureRequest, dialect: str, tmp_path: Path) -> Iterator[str]:
    """Its URL, with the tables and rows of that version."""
    with database_of(BEFORE, _fill, request, dialect, tmp_path) as url:
        yield url


def _fill(connection: Connection) -> None:
    connection.execute(
        text(
            "INSERT INTO models (kind, created_at, active, summary, state)"
            " VALUES ('activities', 1, true, '{}', :state)"
        ),
        {"state": b"model"},
    )
    for rule, family, level in (
        ("grave", FAMILY, "critical"),
        ("gone", "former_employee_access", "high"),
        ("usual", FAMILY, "medium"),
    ):
        connection.execute(
            text(
                "INSERT INTO rule_days (subject, rule_id, channel, day, family, level, title, hits,"
                " first_time, last_time, first_version, last_version)"
                " VALUES (:s, :r, 'removable_storage', :d, :f, :l, 'x', 1, :t, :t, 1, 1)"
            ),
            {"s": BY_RULES, "r": rule, "d": TODAY - 9, "f": family, "l": level, "t": (TODAY - 9) * DAY},
        )
    days = ((STRANGE, 61.5), (HELD, 60.5))
    for subject, points in days:
        connection.execute(
            text(
                "INSERT INTO channel_days (subject, channel, day, day_type, bytes, files, items, new_places,"
                " first_time, last_time, events)"
                " VALUES (:s, 'removable_storage', :d, 'work', 5000000000, 7, 7, 1, :t, :t, 9)"
            ),
            {"s": subject, "d": TODAY - 1, "t": (TODAY - 1) * DAY},
        )
        connection.execute(
            text(
                "INSERT INTO anomaly_days (subject, day, points, uncalmed, slow_points, family, slow_family,"
                " evidence, uncalmed_evidence, model_id) VALUES (:s, :d, :p, :p, 0, :f, '', '{}', '{}', 1)"
            ),
            {"s": subject, "d": TODAY - 1, "p": points, "f": FAMILY},
        )
    made = ((BY_RULES, "open", True, 50), (STRANGE, "open", False, 62), (HELD, "held", False, 61))
    for number, (subject, status, by_rules, score) in enumerate(made, start=1):
        connection.execute(
            text(
                "INSERT INTO alerts (id, subject, family, status, by_rules, score, traits, sentence, shares,"
                " facts, policy_version, model_id, first_time, last_time, events, opened_at, updated_at)"
                ' VALUES (:n, :s, :f, :status, :by, :score, \'[]\', \'{"en": "x", "zh": "x"}\', \'[]\','
                " '{\"rules\": []}', 'v', 1, :t, :t, 9, :t, :t)"
            ),
            {
                "n": number,
                "s": subject,
                "f": FAMILY,
                "status": status,
                "by": by_rules,
                "score": score,
                "t": (TODAY - 1) * DAY,
            },
        )
    for number, (_, points) in enumerate(days, start=2):
        connection.execute(
            text(
                "INSERT INTO alert_candidates (alert, day, queue, points, strength, cooling, admitted)"
                " VALUES (:n, :d, 'day', :p, 1.5, NULL, :in)"
            ),
            {"n": number, "d": TODAY - 1, "p": points, "in": number == 2},
        )
    connection.execute(
        text("INSERT INTO queue_days (queue, day, cap) VALUES ('day', :d, 1)"), {"d": TODAY - 1}
    )


def test_days_keep_their_line_and_rank_and_rules_that_always_alert_are_known(old: str) -> None:
    upgrade(database := open_database(old, clock=lambda: NOW))
    with database.read() as connection:
        at = alert_candidates.c
        ranked = connection.execute(
            select(at.alert, at.risk, at.points, at.admitted).order_by(at.alert)
        ).all()
        line = connection.execute(select(queue_days.c.cap, queue_days.c.line)).one()
        hits = select(rule_days.c.rule_id, rule_days.c.outside_budget).order_by(rule_days.c.rule_id)
        outside = connection.execute(hits).all()
        # A summary from before has none.
        assert active_risk_line(connection) == 50
    database.close()
    assert [tuple(row) for row in ranked] == [(2, 61.5, 61.5, True), (3, 60.5, 60.5, False)]
    assert tuple(line) == (1, 50)
    assert [tuple(row) for row in outside] == [("gone", True), ("grave", True), ("usual", False)]


def test_what_was_open_stays_open_and_what_was_held_stays_held(old: str, tmp_path: Path) -> None:
    upgrade(database := open_database(old, clock=lambda: NOW))
    database.close()
    server, endpoint = Server(tmp_path, old), Endpoint("desk")
    endpoint.enrol(server.database)
    for number, account in enumerate(("alice", "bob", "carol"), start=1):
        server.employ(f"p{number}", account)
        copied = copied_file(NOW - DAY + number, size=1000, account=account, name="plan.txt")
        server.take(endpoint.record([copied]))
    with server.database.read() as connection:
        query = select(alerts.c.subject, alerts.c.status, alerts.c.by_rules).order_by(alerts.c.id)
        rows = connection.execute(query).all()
    server.close()
    assert [tuple(row) for row in rows] == [
        (BY_RULES, "open", True),
        (STRANGE, "open", False),
        (HELD, "held", False),
        # Days with a rule about people who left are looked at again, and alert.
        (BY_RULES, "open", True),
    ]
