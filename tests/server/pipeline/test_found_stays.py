"""What was found stays found: neither further events, nor erasure, nor looking back lets an alert go."""

from __future__ import annotations

import random
from typing import Any

import pytest
from sqlalchemy import insert

from analytics.measures import ACTIVITIES
from server.detection.assessment import assess
from server.pipeline.memory import Memory
from server.store.tables import activity_days, alerts, anomaly_days, look_backs
from tests.server.look_back.outcomes import looking_back
from tests.server.pipeline.conftest import DAY, NOW, Server
from tests.server.pipeline.endpoint import Endpoint
from tests.server.pipeline.scored_company import (
    TODAY,
    activate,
    acts_of,
    alert_rows,
    learnt_company,
    learnt_models,
    records,
    stored_anomalies,
)
from tests.server.training.measured_company import subject

SEEDS = range(2)
ONE = 3
"""A person of the company."""
ON_BOTH = pytest.mark.databases("sqlite", "postgresql")
pytestmark = pytest.mark.databases("sqlite")


@pytest.fixture(scope="module")
def model() -> bytes:
    return learnt_models()[0]


def _endpoint(server: Server) -> Endpoint:
    endpoint = Endpoint("laptop-1")
    endpoint.enrol(server.database)
    return endpoint


def _look_back(server: Server, days: int = 0) -> None:
    """The days before have no events behind them here."""
    row = {"person_id": f"p{ONE:04d}", "accounts": [], "way": "flag", "queued_at": NOW}
    with server.database.begin() as connection:
        connection.execute(insert(look_backs).values(**row, events=0, changed=0, opened=0, joined=0))
    assert looking_back(server, days=days).step() == 1


def _anomalies(server: Server) -> list[dict[str, Any]]:
    with server.database.read() as connection:
        return stored_anomalies(connection)


@pytest.mark.parametrize("seed", SEEDS)
def test_what_was_found_of_a_day_is_never_lost_by_what_comes_after_it(
    server: Server, model: bytes, seed: int
) -> None:
    learnt_company(server.database, model)
    dice = random.Random(200 + seed)
    events = acts_of(dice.randrange(40), dice, 60)
    found: dict[tuple[str, str], int] = {}
    for record in records(_endpoint(server), events, range(1, len(events))):
        server.take(record)
        scores = {(row["subject"], row["family"]): row["score"] for row in alert_rows(server)}
        assert all(scores[place] >= score for place, score in found.items())
        with server.database.read() as connection:
            known = Memory(connection, lambda: NOW)
            known.load_subjects(connection, sorted({subject for subject, _ in scores}))
        for (who, family), score in scores.items():
            now = assess(known.subjects[who], family, {}, known.rules.policies.correlated.reaches)
            assert now is not None and now.risk.score == score
        found = scores
    assert found


@ON_BOTH
def test_looking_back_finds_the_same(server: Server, model: bytes) -> None:
    learnt_company(server.database, model)
    events = acts_of(ONE, random.Random(11), 60)
    server.take(*records(_endpoint(server), events, range(5, 60, 5)), records_per_batch=4)
    live = _anomalies(server)
    assert live[0]["points"] > 0
    _look_back(server)
    assert _anomalies(server) == live


@ON_BOTH
def test_looking_back_over_days_finds_each_as_it_was_and_nothing_where_nothing_was_done(
    server: Server, model: bytes
) -> None:
    learnt_company(server.database, model)
    first, quiet = TODAY - 6, TODAY - 2
    with server.database.begin() as connection:
        row = activity_days.c
        connection.execute(activity_days.delete().where(row.subject == subject(ONE), row.day >= first))
    dice, endpoint = random.Random(12), _endpoint(server)
    for day in range(first, TODAY + 1):
        # Each day is part of what the days after it are measured against.
        if day != quiet:
            events = acts_of(ONE, dice, 25, time=NOW - 3_600_000 - (TODAY - day) * DAY)
            server.take(*records(endpoint, events, (9,)))
    live = _anomalies(server)
    assert [each["day"] for each in live] == [day for day in range(first, TODAY + 1) if day != quiet]
    assert max(each["points"] for each in live[:-1]) > 0
    made_up = {"day": quiet, "evidence": '{"mail": 9.0}', "uncalmed_evidence": "{}"}
    with server.database.begin() as connection:
        # As if somebody else's events of the quiet day had been thought to be this person's.
        connection.execute(insert(anomaly_days).values(**live[0] | made_up))
    _look_back(server, days=6)
    assert _anomalies(server) == live


@pytest.mark.parametrize("active", ["a cold start", "another model", "none that is usable"])
def test_looking_back_keeps_what_another_model_found(server: Server, model: bytes, active: str) -> None:
    learnt_company(server.database, model)
    events = acts_of(ONE, random.Random(11), 60)
    server.take(*records(_endpoint(server), events, ()))
    with server.database.begin() as connection:
        # As a model found it that had not learnt the day.
        connection.execute(anomaly_days.update().values(points=100.0, uncalmed=100.0, slow_points=98.0))
    live = _anomalies(server)
    activate(server.database, {"a cold start": learnt_models()[1], "another model": model}.get(active, b"?"))
    _look_back(server)
    assert _anomalies(server) == live


def test_a_verdict_given_later_does_not_calm_what_ran_before_it(server: Server, model: bytes) -> None:
    learnt_company(server.database, model)
    server.take(*records(_endpoint(server), acts_of(ONE, random.Random(11), 60), ()))
    live = _anomalies(server)
    assert live[0]["points"] > 0
    row = measured_alert(closed_at=NOW + 3_600_000)
    with server.database.begin() as connection:
        connection.execute(insert(alerts).values(**row))
    server.now = NOW + 7_200_000
    _look_back(server)
    assert _anomalies(server) == live
    with server.database.begin() as connection:
        connection.execute(alerts.update().where(alerts.c.reason == "again").values(closed_at=NOW - DAY))
    _look_back(server)
    assert _anomalies(server) != live


def measured_alert(*, closed_at: int) -> dict[str, Any]:
    """Closed as expected, about as much of everything as there can be, two days ago."""
    at = (TODAY - 2) * DAY
    accepted = [
        [name, each.name, 10**12, TODAY - 2] for name, measures in ACTIVITIES.items() for each in measures
    ]
    times = {"opened_at": at, "updated_at": at, "first_time": at, "last_time": at, "closed_at": closed_at}
    rest = {"score": 60, "events": 1, "policy_version": "1", "reason": "again", "verdict": "expected"}
    words = {"sentence": {"en": "x", "zh": "x"}, "shares": [], "traits": [], "facts": {"accepted": accepted}}
    return times | rest | words | {"subject": subject(ONE), "family": "nothing", "status": "closed"}
