"""From events through the real pipeline, with a model that learnt a company, to what an alert tells."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np
import pytest
from sqlalchemy import delete, select

from analytics.alert_explanation import AlertExplanation, explain_alert
from analytics.anomaly_explanation import Subject
from analytics.anomaly_model import AnomalyModel, Today
from analytics.measures import ACTIVITIES
from event_schema.control_records import CollectorState, Heartbeat
from event_schema.ocsf_events import Event
from server.alerts.queries import Verdict, close_alert
from server.alerts.views import alert_detail
from server.evaluation.departures.observed_acts import laptop
from server.evaluation.simulator.desks import Desk
from server.evaluation.simulator.single_events import uploaded
from server.pipeline.memory import Memory
from server.store.tables import alerts, anomaly_days, collector_days
from tests.server.pipeline.conftest import DAY, NOW, NewServer, Server
from tests.server.pipeline.endpoint import Endpoint, copied_file
from tests.server.pipeline.scored_company import (
    DIGEST,
    TODAY,
    account_of,
    learnt_company,
    learnt_models,
    records,
)
from tests.server.training.measured_company import subject

ONE = 3
GB = 10**9
ORDINAL = TODAY + 719_163
pytestmark = pytest.mark.databases("sqlite")


@pytest.fixture(scope="module")
def model() -> bytes:
    return learnt_models()[0]


@pytest.fixture
def endpoint(server: Server, model: bytes) -> Endpoint:
    learnt_company(server.database, model)
    found = Endpoint()
    found.enrol(server.database)
    return found


def copies(number: int = 30, *, size: int = 2 * GB, time: int = NOW) -> list[Event]:
    return [
        copied_file(time + n, size=size, account=account_of(ONE), name=f"{n}.xlsx") for n in range(number)
    ]


def uploads(number: int, *, size: int = GB, time: int = NOW) -> list[Event]:
    desk = Desk(account_of(ONE), laptop("laptop-1"), "10.1.0.2")
    return [
        uploaded(desk, "wechat", "messenger", f"{n}.zip", size, DIGEST, "chat.example.org", time + 500 + n)
        for n in range(number)
    ]


def told(server: Server, family: str = "removable_storage_copy") -> dict[str, Any]:
    with server.database.read() as connection:
        query = select(alerts).where(alerts.c.subject == subject(ONE), alerts.c.status == "open")
        [row] = [row for row in connection.execute(query) if row.family == family]
    return dict(row._mapping)


def explanation_of(alert: dict[str, Any]) -> AlertExplanation:
    return msgspec.convert(alert["facts"]["explanation"], AlertExplanation, strict=False)


def known(server: Server) -> tuple[Subject, dict[str, float]]:
    """The subject's day as it is stored, and what it reached."""
    with server.database.read() as connection:
        memory = Memory(connection, server.clock)
        memory.load_subjects(connection, [subject(ONE)])
        state = memory.subjects[subject(ONE)]
        person = memory.enricher.person_of(subject(ONE))
        found = memory.scorer.explained(connection, state, TODAY, person=person)
        at = anomaly_days.c
        row = connection.execute(
            select(anomaly_days).where(at.subject == subject(ONE), at.day == TODAY)
        ).one()
    return found, {name: row._mapping[name] for name in ("points", "uncalmed", "slow_points")}


def test_an_alert_by_the_anomaly_alone_is_explained_as_the_model_finds_it(
    server: Server, endpoint: Endpoint, model: bytes
) -> None:
    server.take(endpoint.record(copies()))
    alert = told(server)
    assert "60 GB (30 files) to a device first seen that day" in alert["sentence"]["en"]
    assert "more than any peer" in alert["sentence"]["en"]
    assert "多于所有同组人员" in alert["sentence"]["zh"]
    found = explanation_of(alert)
    one, reached = known(server)
    if not any(share["source"] == "slow_anomaly" for share in alert["shares"]):
        reached["slow_points"] = 0.0
    assert found == explain_alert(
        AnomalyModel.from_bytes(model),
        one,
        ORDINAL,
        points=reached["points"],
        uncalmed=reached["uncalmed"],
        slow_points=reached["slow_points"],
    )
    assert {reason.activity for reason in found.reasons} >= {"removable_storage"}
    assert sum(share["points"] for share in alert["shares"]) == alert["score"]
    assert math.fsum(share["share"] for share in alert["shares"]) == pytest.approx(1)
    assert {share["source"] for share in alert["shares"]} & {"anomaly"}


def test_with_the_change_that_is_told_the_day_would_have_been_below_the_line(
    server: Server, endpoint: Endpoint, model: bytes
) -> None:
    server.take(endpoint.record(copies()))
    found = explanation_of(told(server))
    assert found.changes
    one, _ = known(server)
    today = {name: Today(each.values.copy(), each.seen) for name, each in one.today.items()}
    for change in found.changes:
        at = [measure.name for measure in ACTIVITIES[change.activity]].index(change.measure)
        assert today[change.activity].values[0, at] == change.value > change.normal
        today[change.activity].values[0, at] = change.normal
    loaded = AnomalyModel.from_bytes(model)
    background = loaded.known(one.history, one.off, one.off_today, [one.peer_group])
    points = float(loaded.score(today, background, np.array([one.weight])).a_day[0])
    assert points == pytest.approx(found.changed_points, abs=1e-3)
    assert points < 50


def test_neither_batches_nor_restarts_show_in_what_is_told(new_server: NewServer, model: bytes) -> None:
    outcomes = []
    events = sorted([*copies(12), *uploads(12)], key=lambda event: event.time)
    for cuts in ((), range(1, 24), (5, 20)):
        server = new_server()
        learnt_company(server.database, model)
        endpoint = Endpoint()
        endpoint.enrol(server.database)
        for record in records(endpoint, events, cuts):
            server.take(record)
        with server.database.read() as connection:
            query = select(
                alerts.c.family, alerts.c.score, alerts.c.sentence, alerts.c.shares, alerts.c.facts
            )
            outcomes.append(sorted((tuple(row) for row in connection.execute(query)), key=lambda row: row[0]))
    assert outcomes[0]
    assert outcomes[1] == outcomes[0]
    assert outcomes[2] == outcomes[0]


def test_of_other_families_the_act_is_told_and_what_stands_out(server: Server, endpoint: Endpoint) -> None:
    server.take(endpoint.record(uploads(40)))
    alert = told(server, "upload")
    english, chinese = alert["sentence"]["en"], alert["sentence"]["zh"]
    assert english.startswith("40 files (40 GB) sent out")
    assert "sent by messenger" in english
    assert "above all peers' days" in english
    assert chinese.startswith("向外发送 40 个文件（40 GB）")
    assert "即时通讯" in chinese
    detail = alert_detail(server.database, alert["id"])
    words = detail.explanation["en"]
    assert words.points.startswith("the day ")
    assert words.check
    assert (
        " would have been a normal day, all else as it was: scored again " in words.normal
        or "no smaller amount" in words.normal
    )


def test_what_was_judged_harmless_is_told_with_what_the_day_would_be_without(
    server: Server, endpoint: Endpoint
) -> None:
    """The same copies the day after they were closed as expected, and something else that makes the alert."""
    before = NOW - DAY
    server.now = before
    server.take(endpoint.record(copies(time=before)))
    with server.database.begin() as connection:
        close_alert(connection, told(server)["id"], Verdict.EXPECTED, "a handover", "cli:omar", before + 1)
    server.now = NOW
    server.take(endpoint.record([*copies(), *uploads(60, size=3 * GB)]))
    alert = told(server)
    found = explanation_of(alert)
    assert {(each.activity, each.measure) for each in found.calmed} >= {
        ("removable_storage", "bytes"),
        ("removable_storage", "files"),
    }
    assert found.uncalmed >= found.points >= 50
    calmed = alert_detail(server.database, alert["id"]).explanation["en"].calmed
    assert "60 GB copied to removable storage" in calmed[0]
    assert calmed[-1].startswith("counting all of it the day would be at ")


def test_a_day_that_turns_out_to_be_watched_is_not_called_unwatched_any_longer(
    server: Server, endpoint: Endpoint
) -> None:
    with server.database.begin() as connection:
        connection.execute(delete(collector_days).where(collector_days.c.day >= TODAY))
    server.take(endpoint.record(copies()))
    assert {"messaging", "cloud", "code", "screenshots"} <= set(explanation_of(told(server)).unseen)
    server.take(endpoint.heartbeat(_watching("uploads", "sync_folders", "removable_storage")))
    found = explanation_of(told(server))
    assert not {"messaging", "cloud", "removable_storage"} & {*found.unseen, *found.never_seen}
    said = str(alert_detail(server.database, told(server)["id"]).explanation["en"].not_watched)
    assert "nobody watched that day: " in said
    assert "screenshots" in said
    assert "messengers" not in said


def _watching(*collectors: str) -> Heartbeat:
    return Heartbeat(
        sent_at=NOW,
        version="0.1.0",
        next_seq=0,
        backlog_events=0,
        backlog_bytes=0,
        lost_events=0,
        collectors=tuple(
            CollectorState(
                name=name, state="running", observed=0, restarts=0, dropped={}, days_watched=(TODAY,)
            )
            for name in collectors
        ),
    )
