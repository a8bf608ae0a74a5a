"""From records on the log to stored events and alerts: each event counts once, whatever comes."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest
from sqlalchemy import func, select

from event_schema.control_records import CollectorState, Heartbeat
from event_schema.wire import WireRecord
from server.alerts.queries import Verdict, close_alert
from server.pipeline.commit import FencedOut
from server.store.tables import (
    agent_epochs,
    agent_findings,
    agents,
    alerts,
    channel_days,
    dead_letters,
    event_blocks,
    subject_events,
)
from tests.server.pipeline.conftest import DAY, NOW, NewServer, Server, known_since
from tests.server.pipeline.endpoint import Endpoint, copied_file

TODAY = NOW // DAY


def rows(server: Server, table: Any, *order: Any) -> list[dict[str, Any]]:
    with server.database.read() as connection:
        return [dict(row._mapping) for row in connection.execute(select(table).order_by(*order))]


def outcome(server: Server) -> dict[str, Any]:
    """Everything that must not depend on batches, crashes or order; without the server's own clock."""
    own_clock = {"id", "opened_at", "updated_at"}
    kept = [
        {k: v for k, v in alert.items() if k not in own_clock}
        for alert in rows(server, alerts, alerts.c.subject, alerts.c.family)
    ]
    return {"alerts": kept, "days": rows(server, channel_days, channel_days.c.subject, channel_days.c.day)}


@pytest.fixture
def endpoint(server: Server) -> Endpoint:
    made = Endpoint()
    made.enrol(server.database)
    return made


@pytest.fixture
def leaver(server: Server) -> None:
    server.employ("p1", "alice", notice_date=TODAY - 10, last_working_day=TODAY + 6)


def test_a_copy_in_the_notice_period_becomes_one_alert(
    server: Server, endpoint: Endpoint, leaver: None
) -> None:
    files = [copied_file(NOW - 1000 + i, name=f"customers-{i}.csv", size=1_000_000) for i in range(3)]
    server.take(endpoint.record(files[:2]), endpoint.record(files[2:]))
    (alert,) = rows(server, alerts)
    assert alert["subject"] == "person:p1"
    assert alert["score"] >= 50
    assert sum(share["points"] for share in alert["shares"]) == alert["score"]
    assert "3 MB (3 files)" in alert["sentence"]["en"]
    assert "6 days before the last day" in alert["sentence"]["en"]
    assert alert["events"] == 3
    assert alert["first_time"] == NOW - 1000
    assert alert["last_time"] == NOW - 998


def test_other_files_sizes_and_people_give_another_alert(server: Server, endpoint: Endpoint) -> None:
    server.employ("p1", "alice", notice_date=TODAY - 10, last_working_day=TODAY + 6)
    server.employ("p2", "bob")
    server.take(endpoint.record([copied_file(NOW, name="holiday.jpg", size=1, account="bob")]))
    assert rows(server, alerts) == []


def test_records_signed_with_a_key_that_was_renewed_a_moment_ago_are_taken(
    server: Server, endpoint: Endpoint
) -> None:
    worker = server.worker()
    server.log.append([endpoint.record([copied_file(NOW)])])
    worker.step(0)
    # What the worker knows of the agent's keys is not a second old.
    endpoint.renew(server.database)
    stranger = Endpoint(endpoint.name)
    stranger.next_seq = 100
    forged = [stranger.record([copied_file(NOW)]) for _ in range(3)]
    server.log.append([*forged, *(endpoint.record([copied_file(NOW + n)]) for n in range(3))])
    worker.step(0)
    assert sum(block["count"] for block in rows(server, event_blocks)) == 4
    assert [letter["reason"] for letter in rows(server, dead_letters)] == ["bad_signature"] * 3


def test_what_comes_later_joins_the_open_alert(server: Server, endpoint: Endpoint, leaver: None) -> None:
    server.take(endpoint.record([copied_file(NOW)]))
    (first,) = rows(server, alerts)
    server.now += 60_000
    server.take(endpoint.record([copied_file(NOW + 60_000)]))
    (second,) = rows(server, alerts)
    assert (second["id"], second["events"]) == (first["id"], 2)
    assert second["opened_at"] == NOW
    assert second["updated_at"] == NOW + 60_000


def test_after_a_verdict_only_new_activity_opens_another_alert(
    server: Server, endpoint: Endpoint, leaver: None
) -> None:
    server.take(endpoint.record([copied_file(NOW)]))
    (alert,) = rows(server, alerts)
    with server.database.begin() as connection:
        close_alert(connection, alert["id"], Verdict.EXPECTED, "agreed with the manager", "omar", NOW)
    server.take(endpoint.heartbeat(_heartbeat(NOW)))
    assert [a["status"] for a in rows(server, alerts)] == ["closed"]
    server.now += 1000
    server.take(endpoint.record([copied_file(NOW + 1000)]))
    assert [a["status"] for a in rows(server, alerts, alerts.c.id)] == ["closed", "open"]


def test_a_record_that_comes_twice_counts_once(server: Server, endpoint: Endpoint, leaver: None) -> None:
    record = endpoint.record([copied_file(NOW + i) for i in range(5)])
    server.take(record, record)
    (day,) = rows(server, channel_days)
    assert (day["files"], day["events"]) == (5, 5)
    (epoch,) = rows(server, agent_epochs)
    assert (epoch["seen"], epoch["duplicates"]) == ("0-4", 5)
    assert len(rows(server, event_blocks)) == 1


def test_events_cut_into_other_records_after_a_restart_count_once(
    server: Server, endpoint: Endpoint, leaver: None
) -> None:
    files = [copied_file(NOW + i, name=f"f{i}") for i in range(6)]
    first = endpoint.record(files[:4])
    endpoint.next_seq = 2
    again = endpoint.record(files[2:])
    server.take(first, again)
    (day,) = rows(server, channel_days)
    assert day["files"] == 6
    (place,) = rows(server, subject_events)
    assert (place["first_seq"], place["last_seq"]) == (0, 5)


def test_a_gap_is_found_and_resolved_when_the_missing_record_comes(
    server: Server, endpoint: Endpoint, leaver: None
) -> None:
    early, late = endpoint.record([copied_file(NOW)]), endpoint.record([copied_file(NOW + 1)])
    server.take(late)
    (gap,) = rows(server, agent_findings)
    assert (gap["kind"], gap["count"], gap["resolved_at"]) == ("gap", 1, None)
    server.take(early)
    (gap,) = rows(server, agent_findings)
    assert gap["resolved_at"] is not None
    (day,) = rows(server, channel_days)
    assert day["files"] == 2


def test_a_loss_record_leaves_no_gap_but_says_how_many_are_gone(
    server: Server, endpoint: Endpoint, leaver: None
) -> None:
    server.take(endpoint.record([copied_file(NOW)]), endpoint.loss(40), endpoint.record([copied_file(NOW)]))
    (epoch,) = rows(server, agent_epochs)
    assert (epoch["seen"], epoch["lost"]) == ("0-41", 40)
    (finding,) = rows(server, agent_findings)
    assert (finding["kind"], finding["count"]) == ("events_lost", 40)


def test_a_further_epoch_of_an_agent_is_a_finding(server: Server, endpoint: Endpoint, leaver: None) -> None:
    server.take(endpoint.record([copied_file(NOW)]))
    endpoint.epoch, endpoint.next_seq = "f" * 16, 0
    server.take(endpoint.record([copied_file(NOW)]))
    (finding,) = rows(server, agent_findings)
    assert finding["kind"] == "new_epoch"
    (day,) = rows(server, channel_days)
    assert day["files"] == 2


def _heartbeat(sent_at: int, *days_watched: int) -> Heartbeat:
    state = CollectorState(
        name="removable_storage",
        state="running",
        observed=0,
        restarts=0,
        dropped={},
        days_watched=days_watched,
    )
    return Heartbeat(
        sent_at=sent_at,
        version="0.1.0",
        next_seq=0,
        backlog_events=0,
        backlog_bytes=0,
        lost_events=0,
        collectors=(state,),
    )


def test_a_wrong_clock_is_corrected_by_the_heartbeat(
    server: Server, endpoint: Endpoint, leaver: None
) -> None:
    behind = NOW - 400 * DAY
    server.take(endpoint.heartbeat(_heartbeat(behind)), endpoint.record([copied_file(behind + 5)]))
    (alert,) = rows(server, alerts)
    assert alert["last_time"] == NOW + 5
    (finding,) = rows(server, agent_findings)
    assert finding["kind"] == "clock_wrong"
    (agent,) = rows(server, agents)
    assert agent["clock_offset"] == 400 * DAY


def test_silence_counts_as_zero_only_on_days_when_the_collector_ran(
    server: Server, endpoint: Endpoint, leaver: None
) -> None:
    known_since(server, "person:p1", TODAY - 61)
    watched = range(TODAY - 60, TODAY + 1)
    server.take(endpoint.heartbeat(_heartbeat(NOW, *watched)), endpoint.record([copied_file(NOW)]))
    (alert,) = rows(server, alerts)
    assert "first copy to removable storage in 60 days" in alert["sentence"]["en"]


def test_without_watched_days_nothing_is_said_about_what_is_usual(
    server: Server, endpoint: Endpoint, leaver: None
) -> None:
    server.take(endpoint.record([copied_file(NOW)]))
    (alert,) = rows(server, alerts)
    assert "too little history" in alert["sentence"]["en"]


def test_days_that_are_known_as_watched_only_later_change_what_an_open_alert_says(
    server: Server, endpoint: Endpoint, leaver: None
) -> None:
    known_since(server, "person:p1", TODAY - 61)
    server.take(endpoint.record([copied_file(NOW)]))
    (before,) = rows(server, alerts)
    server.take(endpoint.heartbeat(_heartbeat(NOW, *range(TODAY - 60, TODAY + 1))))
    (after,) = rows(server, alerts)
    assert "too little history" in before["sentence"]["en"]
    assert "first copy to removable storage in 60 days" in after["sentence"]["en"]
    assert (after["id"], after["score"]) == (before["id"], before["score"])


def test_a_heartbeat_without_news_or_of_another_agent_writes_no_alert_anew(
    server: Server, endpoint: Endpoint, leaver: None
) -> None:
    watched = range(TODAY - 60, TODAY + 1)
    server.take(endpoint.heartbeat(_heartbeat(NOW, *watched)), endpoint.record([copied_file(NOW)]))
    other = Endpoint("laptop-2", epoch="e" * 16)
    other.enrol(server.database)
    with server.database.begin() as connection:
        connection.execute(alerts.update().values(updated_at=0))
    server.take(
        endpoint.heartbeat(_heartbeat(NOW, *watched)),
        other.heartbeat(_heartbeat(NOW, *watched)),
    )
    (alert,) = rows(server, alerts)
    assert alert["updated_at"] == 0


def test_a_closed_alert_is_not_opened_again_by_a_heartbeat(
    server: Server, endpoint: Endpoint, leaver: None
) -> None:
    server.take(endpoint.record([copied_file(NOW)]))
    with server.database.begin() as connection:
        connection.execute(alerts.update().values(status="closed"))
    server.take(endpoint.heartbeat(_heartbeat(NOW, *range(TODAY - 60, TODAY + 1))))
    (alert,) = rows(server, alerts)
    assert alert["status"] == "closed"
    assert "too little history" in alert["sentence"]["en"]


def test_an_account_of_nobody_known_is_its_own_subject(server: Server, endpoint: Endpoint) -> None:
    server.take(endpoint.record([copied_file(NOW, account="svc", size=5_000_000_000)]))
    (day,) = rows(server, channel_days)
    assert day["subject"] == "account:svc@laptop-1"


def test_an_event_without_a_user_is_kept(server: Server, endpoint: Endpoint) -> None:
    server.take(endpoint.record([copied_file(NOW, account=None)]))
    (day,) = rows(server, channel_days)
    assert day["subject"] == "account:unknown@laptop-1"


def _shuffled_stream(endpoint: Endpoint) -> list[WireRecord]:
    """Three weeks of copies, a day's records together, some days late, some records twice."""
    random_days = random.Random(7)
    stream: list[WireRecord] = []
    for back in range(20, -1, -1):
        for _ in range(random_days.randint(0, 4)):
            time = NOW - back * DAY + random_days.randint(0, 3_600_000)
            files = [
                copied_file(
                    time + i,
                    name=f"{random_days.choice(['customers', 'photo'])}-{i}.csv",
                    size=random_days.randint(1, 10**8),
                    device=random_days.choice(["a:b:1", "a:b:2"]),
                    account=random_days.choice(["alice", "bob"]),
                )
                for i in range(random_days.randint(1, 9))
            ]
            record = endpoint.record(files)
            stream += [record] * random_days.choice([1, 1, 2])
    return stream


def test_the_same_events_give_the_same_alerts_however_they_are_cut_and_whenever_they_are_read(
    new_server: NewServer,
) -> None:
    endpoint = Endpoint()
    stream = _shuffled_stream(endpoint)
    outcomes = []
    for per_batch, restart_every in ((1000, None), (1, None), (7, 3)):
        server = new_server()
        server.employ("p1", "alice", notice_date=TODAY - 10, last_working_day=TODAY + 6)
        server.employ("p2", "bob")
        endpoint.enrol(server.database)
        server.log.append(stream)
        worker, steps = server.worker(per_batch), 0
        while worker.step(0).records:
            steps += 1
            if restart_every and steps % restart_every == 0:
                worker = server.worker(per_batch)
        outcomes.append(outcome(server))
        server.close()
    assert outcomes[0]["alerts"]
    assert outcomes[0] == outcomes[1] == outcomes[2]


@pytest.mark.databases("sqlite")
def test_records_in_another_order_give_the_same_alerts(new_server: NewServer) -> None:
    endpoint = Endpoint()
    stream = _shuffled_stream(endpoint)
    outcomes = []
    for seed in (None, 1, 2):
        server = new_server()
        server.employ("p1", "alice", notice_date=TODAY - 10, last_working_day=TODAY + 6)
        server.employ("p2", "bob")
        endpoint.enrol(server.database)
        order = list(stream)
        if seed is not None:
            random.Random(seed).shuffle(order)
        server.take(*order, records_per_batch=5)
        outcomes.append(outcome(server))
        server.close()
    assert outcomes[0]["alerts"]
    assert outcomes[0] == outcomes[1] == outcomes[2]


def test_a_worker_that_was_replaced_writes_nothing(server: Server, endpoint: Endpoint, leaver: None) -> None:
    server.log.append([endpoint.record([copied_file(NOW)])])
    zombie = server.worker()
    zombie.step(0)
    server.log.append([endpoint.record([copied_file(NOW)])])
    server.worker().step(0)
    server.log.append([endpoint.record([copied_file(NOW)])])
    with pytest.raises(FencedOut):
        zombie.step(0)
    (day,) = rows(server, channel_days)
    assert day["files"] == 2


def test_everything_dead_is_kept_with_its_place(server: Server, endpoint: Endpoint, leaver: None) -> None:
    good = endpoint.record([copied_file(NOW)])
    forged = msgspec.structs.replace(endpoint.record([copied_file(NOW)]), signature=b"\0" * 64)
    stranger = Endpoint("stranger").record([copied_file(NOW)])
    future = endpoint.record([copied_file(NOW + 3_600_000), copied_file(NOW)])
    endpoint.next_seq = 4
    odd = endpoint.raw_record([b'{"class_uid":1001}', b'{"x":1}'])
    server.take(good, forged, stranger, future, odd)
    found = [(d["event_index"], d["reason"]) for d in rows(server, dead_letters, dead_letters.c.id)]
    assert sorted(found) == [
        (-1, "bad_signature"),
        (-1, "unknown_agent"),
        (0, "bad_event"),
        (0, "future_dated"),
        (1, "bad_event"),
    ]
    (day,) = rows(server, channel_days)
    assert day["files"] == 2
    with server.database.read() as connection:
        kinds = set(connection.execute(select(agent_findings.c.kind)).scalars())
        assert connection.execute(select(func.count()).select_from(event_blocks)).scalar_one() == 2
    assert {"bad_signature", "unknown_agent", "unreadable", "gap"} <= kinds
