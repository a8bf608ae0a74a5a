"""After the last working day rules say what is wrong, outside of the budget; the anomaly takes no part."""

from __future__ import annotations

import random
from typing import Any

import pytest
from sqlalchemy import select

from event_schema.ocsf_events import Event
from server.people.facts import LeaverFlag
from server.people.flags import flag_person
from server.store.tables import alert_candidates, alerts, rule_days
from tests.server.pipeline.conftest import DAY, NOW, NewServer, Server
from tests.server.pipeline.endpoint import Endpoint, copied_file
from tests.server.pipeline.scored_company import (
    TODAY,
    account_of,
    acts_of,
    learnt_company,
    learnt_models,
    records,
    stored_anomalies,
)
from tests.server.training.measured_company import subject

ONE, OTHER = 3, 4
"""People of the company; the first one leaves."""
pytestmark = pytest.mark.databases("sqlite")


@pytest.fixture(scope="module")
def model() -> bytes:
    return learnt_models()[0]


def leaving(server: Server, last_day: int, model: bytes) -> Endpoint:
    learnt_company(server.database, model)
    with server.database.begin() as connection:
        flag = LeaverFlag(last_day=last_day, notice_day=last_day - 30)
        flag_person(connection, f"p{ONE:04d}", flag, actor="test", at=NOW - 40 * DAY, reason=None)
    endpoint = Endpoint()
    endpoint.enrol(server.database)
    return endpoint


def copies(person: int, number: int = 30, *, time: int = NOW - 60_000) -> list[Event]:
    return [
        copied_file(time + n, size=3 * 10**9, account=account_of(person), name=f"{n}.xlsx")
        for n in range(number)
    ]


def alerts_of(server: Server, person: int) -> list[dict[str, Any]]:
    with server.database.read() as connection:
        query = select(alerts).where(alerts.c.subject == subject(person)).order_by(alerts.c.family)
        return [dict(row._mapping) for row in connection.execute(query)]


@pytest.mark.databases("sqlite", "postgresql")
def test_who_has_left_takes_no_place_and_is_alerted_about_by_rules(server: Server, model: bytes) -> None:
    endpoint = leaving(server, TODAY - 1, model)
    server.take(endpoint.record([*copies(ONE), *copies(OTHER, time=NOW - 30_000)]))
    with server.database.read() as connection:
        scored = {row["subject"] for row in stored_anomalies(connection)}
        hits = connection.execute(select(rule_days.c.subject, rule_days.c.family, rule_days.c.outside_budget))
        outside = {(row.subject, row.outside_budget) for row in hits if row.family}
        queued = select(alerts.c.subject).join(alert_candidates, alert_candidates.c.alert == alerts.c.id)
        queue = set(connection.execute(queued).scalars())
    assert scored == {subject(OTHER)}
    assert outside == {(subject(ONE), True), (subject(OTHER), False)}
    assert queue == {subject(OTHER)}
    (alert,) = alerts_of(server, ONE)
    assert (alert["status"], alert["by_rules"]) == ("open", True)
    assert not any("anomaly" in share["source"] for share in alert["shares"])


def test_the_last_working_day_itself_still_counts_for_the_anomaly(server: Server, model: bytes) -> None:
    endpoint = leaving(server, TODAY, model)
    server.take(endpoint.record(copies(ONE)))
    with server.database.read() as connection:
        (row,) = stored_anomalies(connection)
        outside = set(
            connection.execute(select(rule_days.c.outside_budget).where(rule_days.c.family != "")).scalars()
        )
    assert row["points"] > 50
    assert outside == {False}


def test_days_before_and_after_leaving_come_out_the_same_however_they_are_cut(
    new_server: NewServer, model: bytes
) -> None:
    dice = random.Random(3)
    events = sorted(
        [*acts_of(ONE, dice, 20, time=NOW - DAY), *acts_of(ONE, dice, 20), *copies(ONE, 5)],
        key=lambda event: event.time,
    )
    outcomes = []
    for cuts in ((), range(1, len(events))):
        server = new_server()
        endpoint = leaving(server, TODAY - 1, model)
        server.take(*records(endpoint, events, cuts), records_per_batch=5)
        with server.database.read() as connection:
            hits = connection.execute(select(rule_days).order_by(*rule_days.primary_key.columns))
            told = [
                (row["family"], row["status"], row["score"], row["sentence"], row["facts"])
                for row in alerts_of(server, ONE)
            ]
            outcomes.append((stored_anomalies(connection), [tuple(row) for row in hits], told))
    assert outcomes[0] == outcomes[1]
    assert {row["day"] for row in outcomes[0][0]} == {TODAY - 1}
    assert outcomes[0][2]
