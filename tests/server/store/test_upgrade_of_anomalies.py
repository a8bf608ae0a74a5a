"""An installation whose anomalies were those of removable storage alone is upgraded, and goes on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, select, text

from server.store.database import open_database, upgrade
from server.store.tables import alerts, anomaly_days, judged_days, models
from tests.server.pipeline.conftest import DAY, NOW, Server
from tests.server.pipeline.endpoint import Endpoint, copied_file
from tests.server.store.older_versions import database_of

BEFORE = "0016"
"""The last version whose anomaly was of removable storage alone."""
FAMILY = "removable_storage_copy"
TODAY = NOW // DAY
OPEN, CLOSED, QUIET = "person:p1", "person:p2", "person:p3"


@pytest.fixture
def old(request: pytest.FixtureRequest, dialect: str, tmp_path: Path) -> Iterator[str]:
    """Its URL, with the tables and rows of that version."""
    with database_of(BEFORE, _fill, request, dialect, tmp_path) as url:
        yield url


def _fill(connection: Connection) -> None:
    for kind in ("removable_storage", "removable_storage", "activities"):
        connection.execute(
            text(
                "INSERT INTO models (kind, created_at, active, summary, state)"
                " VALUES (:kind, 1, false, '{}', :state)"
            ),
            {"kind": kind, "state": b"model"},
        )
    days = (
        (OPEN, "removable_storage", TODAY - 1, 61.5, 2),
        (CLOSED, "removable_storage", TODAY - 1, 70.25, 2),
        (CLOSED, "removable_storage", TODAY - 2, 0.0, None),
        (QUIET, "uploads", TODAY - 1, 0.0, None),
    )
    for subject, channel, day, anomaly, model in days:
        connection.execute(
            text(
                "INSERT INTO channel_days (subject, channel, day, day_type, bytes, files, items, new_places,"
                " first_time, last_time, events, anomaly, model_id)"
                " VALUES (:s, :c, :d, 'work', 5000000000, 7, 7, 1, :t, :t, 9, :a, :m)"
            ),
            {"s": subject, "c": channel, "d": day, "t": day * DAY, "a": anomaly, "m": model},
        )
    for number, (subject, status) in enumerate(((OPEN, "open"), (CLOSED, "closed")), start=1):
        connection.execute(
            text(
                "INSERT INTO alerts (id, subject, family, status, score, traits, sentence, shares, facts,"
                " policy_version, model_id, first_time, last_time, events, opened_at, updated_at, verdict,"
                ' reason, closed_at) VALUES (:n, :s, :f, :status, 61, \'[]\', \'{"en": "x", "zh": "x"}\','
                ' \'[{"source": "anomaly", "points": 61, "share": 1.0}]\', \'{"rules": []}\','
                " 'v', 2, :t, :t, 9, :t, :t, :v, 'no leak', :closed)"
            ),
            {
                "n": number,
                "s": subject,
                "f": FAMILY,
                "status": status,
                "t": (TODAY - 1) * DAY,
                "v": "false" if status == "closed" else None,
                "closed": TODAY * DAY if status == "closed" else None,
            },
        )
        connection.execute(
            text("INSERT INTO alert_days (alert, channel, day) VALUES (:n, 'removable_storage', :d)"),
            {"n": number, "d": TODAY - 1},
        )
    for day in (TODAY - 1, TODAY - 2):
        connection.execute(
            text("INSERT INTO judged_days (subject, family, rule_id, day, count) VALUES (:s, :f, '', :d, 9)"),
            {"s": CLOSED, "f": FAMILY, "d": day},
        )


def test_what_was_found_on_removable_storage_is_the_anomaly_of_its_day(old: str) -> None:
    database = open_database(old, clock=lambda: NOW)
    upgrade(database)
    at = anomaly_days.c
    with database.read() as connection:
        found = connection.execute(
            select(
                at.subject, at.day, at.points, at.uncalmed, at.slow_points, at.family, at.model_id
            ).order_by(at.subject)
        ).all()
        kinds = connection.execute(select(models.c.id, models.c.kind)).all()
        judged = connection.execute(select(judged_days.c.day, judged_days.c.count)).all()
    database.close()
    assert [tuple(row) for row in found] == [
        (OPEN, TODAY - 1, 61.5, 61.5, 0.0, FAMILY, 2),
        (CLOSED, TODAY - 1, 70.25, 70.25, 0.0, FAMILY, 2),
    ]
    assert [tuple(row) for row in kinds] == [(3, "activities")]
    assert [tuple(row) for row in judged] == [(TODAY - 1, 70_251)]


def test_open_alerts_stay_open_and_closed_ones_are_not_raised_again(old: str, tmp_path: Path) -> None:
    """Without a model, which the upgrade has none of yet, the anomaly opens nothing."""
    upgrade(database := open_database(old, clock=lambda: NOW))
    database.close()
    server, endpoint = Server(tmp_path, old), Endpoint("desk")
    endpoint.enrol(server.database)
    for number, account in ((1, "alice"), (2, "bob")):
        server.employ(f"p{number}", account)
        server.take(
            endpoint.record([copied_file(NOW - DAY + number, size=1000, account=account, name="plan.txt")])
        )
    with server.database.read() as connection:
        rows = connection.execute(
            select(alerts.c.subject, alerts.c.status, alerts.c.by_rules, alerts.c.events).order_by(
                alerts.c.id
            )
        ).all()
    server.close()
    assert [tuple(row) for row in rows] == [(OPEN, "open", True, 10), (CLOSED, "closed", True, 9)]
