"""From signed records through the real pipeline to what an analyst sees."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import msgspec
import pytest

from event_schema.control_records import CollectorState, Heartbeat
from event_schema.leaver_fields import PersonStatus
from event_schema.ocsf_objects import User
from server.alerts.views import alert_detail, alert_views
from server.people.unmaskings import grant
from tests.server.pipeline.conftest import DAY, NOW, Server
from tests.server.pipeline.endpoint import Endpoint, copied_file

TODAY = NOW // DAY


@pytest.fixture
def server(tmp_path: Path, database_url: str) -> Iterator[Server]:
    opened = Server(tmp_path, database_url)
    yield opened
    opened.close()


def _copy(server: Server, endpoint: Endpoint, files: int, *, account: str = "alice") -> None:
    events = [
        copied_file(NOW + n, name=f"customers-{n}.xlsx", size=1000 * (n + 1), account=account)
        for n in range(files)
    ]
    server.take(*(endpoint.record(events[start : start + 7]) for start in range(0, files, 7)))


def test_alert_of_the_pipeline_is_shown_masked_with_all_its_events_proven(server: Server) -> None:
    endpoint = Endpoint("alice-pc")
    endpoint.enrol(server.database)
    server.employ(notice_date=TODAY - 20, last_working_day=TODAY + 6)
    _copy(server, endpoint, 30)
    [queued] = alert_views(server.database)
    detail = alert_detail(server.database, queued.id)
    assert detail.alert == queued
    assert (detail.proof.good, detail.proof.events, detail.proof.blocks) == (True, 30, 5)
    assert (detail.evidence.total, detail.evidence.files, detail.evidence.missing) == (30, 30, 0)
    assert detail.evidence.bytes == sum(1000 * (n + 1) for n in range(30))
    assert [e.event["file"]["name"] for e in detail.evidence.largest[:2]] == [
        "customers-29.xlsx",
        "customers-28.xlsx",
    ]
    assert sum(share.points for share in detail.shares) == queued.score > 0
    assert all(share.title != share.source for share in detail.shares)
    assert (queued.who.status, queued.who.days_to_last_day) == (PersonStatus.NOTICE, 6)
    text = msgspec.json.encode(detail).decode().casefold()
    assert [word for word in ("alice", '"p1"', "person:p1", "laptop-1") if word in text] == []


def test_evidence_holds_the_subjects_own_events_only(server: Server) -> None:
    endpoint = Endpoint()
    endpoint.enrol(server.database)
    server.employ(notice_date=TODAY - 20, last_working_day=TODAY + 6)
    mixed = [copied_file(NOW + n, account="alice" if n % 2 else "bob", name=f"{n}.xlsx") for n in range(20)]
    server.take(endpoint.record(mixed))
    [alert] = [a for a in alert_views(server.database) if a.who.status is PersonStatus.NOTICE]
    detail = alert_detail(server.database, alert.id)
    names = {event.event["file"]["name"] for event in detail.evidence.largest}
    assert names == {f"{n}.xlsx" for n in range(1, 20, 2)}
    assert (detail.proof.good, detail.proof.events, detail.evidence.total) == (True, 10, 10)


def test_unmasked_view_names_the_person_and_the_queue_forgets_it_again(server: Server) -> None:
    endpoint = Endpoint()
    endpoint.enrol(server.database)
    server.employ(notice_date=TODAY - 20, last_working_day=TODAY + 6)
    _copy(server, endpoint, 3)
    [shown] = alert_views(server.database)
    with server.database.begin() as connection:
        granted = grant(connection, shown.who.pseudonym, actor="cli:omar", at=NOW, reason="case 42")
    [named] = alert_views(server.database, grants={granted.subject: granted})
    assert (named.who.name, named.who.accounts) == ("Alice Example", ("alice",))
    [masked] = alert_views(server.database)
    assert (masked.who.name, masked.who.accounts, masked.who.id) == (None, (), None)
    assert masked.who.pseudonym == named.who.pseudonym


def test_what_the_agent_had_to_drop_or_never_sent_is_said(server: Server) -> None:
    endpoint = Endpoint("alice-pc")
    endpoint.enrol(server.database)
    server.employ(notice_date=TODAY - 20, last_working_day=TODAY + 6)
    server.take(endpoint.loss(12))
    endpoint.next_seq += 3
    _copy(server, endpoint, 3)
    [queued] = alert_views(server.database)
    not_seen = alert_detail(server.database, queued.id).evidence.not_seen
    assert any("events 0 to 11 were dropped: spool_full" in said for said in not_seen)
    assert any(", gap: " in said for said in not_seen)
    assert "alice" not in str(not_seen)


def _beat(at: int, *days: int, state: str = "running", dropped: int = 0) -> Heartbeat:
    collector = CollectorState(
        name="removable_storage",
        state=state,  # type: ignore[arg-type]
        observed=0,
        restarts=0,
        dropped={"queue_full": dropped} if dropped else {},
        detail="the kernel of alice-pc is too old" if state != "running" else None,
        days_watched=days,
    )
    return Heartbeat(
        sent_at=at,
        version="0.1.0",
        next_seq=0,
        backlog_events=0,
        backlog_bytes=0,
        lost_events=0,
        collectors=(collector,),
    )


def test_a_collector_that_did_not_run_and_an_agent_not_heard_of_are_said(server: Server) -> None:
    """The person was seen at a second machine, which did not watch on the day of the alert."""
    here, there = Endpoint("alice-pc"), Endpoint("alice-laptop", epoch="ffeeddccbbaa9988")
    for each in (here, there):
        each.enrol(server.database)
    server.employ(notice_date=TODAY - 20, last_working_day=TODAY + 6)
    server.now = NOW - 3 * DAY
    server.take(
        there.heartbeat(_beat(server.now, TODAY - 4, TODAY - 3)),
        there.record([copied_file(NOW - 3 * DAY, size=10, host="alice-laptop")]),
    )
    server.now = NOW + 60_000
    server.take(here.heartbeat(_beat(server.now, *range(TODAY - 9, TODAY + 1))))
    _copy(server, here, 3)
    shown = [alert_detail(server.database, each.id) for each in alert_views(server.database)]
    [detail] = [each for each in shown if each.alert.last_time >= NOW]
    said = [each.split(", ", 1)[1] for each in detail.evidence.not_seen]
    today = date(1970, 1, 1) + timedelta(days=TODAY)
    assert f"not watching: removable_storage did not run on {today}" in said
    assert any(each.startswith("not heard of: nothing since ") for each in said)
    assert len(said) == 2
    assert "alice" not in str(detail.evidence.not_seen)


@pytest.mark.parametrize(
    ("heartbeat", "said"),
    [
        (_beat(NOW + 9, TODAY), None),
        (
            _beat(NOW + 9, TODAY, dropped=7),
            "degraded: removable_storage counts what it could not do since it started: queue_full 7",
        ),
        (
            _beat(NOW + 9, TODAY, state="unsupported"),
            "degraded: removable_storage is unsupported by its last heartbeat: the kernel of",
        ),
    ],
)
def test_a_collector_that_loses_or_does_not_run_is_said(
    server: Server, heartbeat: Heartbeat, said: str | None
) -> None:
    endpoint = Endpoint("alice-pc")
    endpoint.enrol(server.database)
    server.employ(notice_date=TODAY - 20, last_working_day=TODAY + 6)
    _copy(server, endpoint, 3)
    server.take(endpoint.heartbeat(heartbeat))
    [queued] = alert_views(server.database)
    not_seen = alert_detail(server.database, queued.id).evidence.not_seen
    assert [said in each for each in not_seen if said] == ([True] if said else [])
    assert len(not_seen) == bool(said)
    assert "alice" not in str(not_seen)


@pytest.mark.parametrize("user", [User(name="Mallory", uid="1501"), User(uid="1501")])
def test_evidence_names_an_account_of_nobody_as_the_alert_does(server: Server, user: User) -> None:
    endpoint = Endpoint()
    endpoint.enrol(server.database)
    events = [copied_file(NOW + n, name=f"customers-{n}.xlsx", size=900_000_000) for n in range(9)]
    actors = [msgspec.structs.replace(event.actor, user=user) for event in events]
    server.take(
        endpoint.record([msgspec.structs.replace(e, actor=a) for e, a in zip(events, actors, strict=True)])
    )
    [queued] = alert_views(server.database)
    shown = alert_detail(server.database, queued.id).evidence.largest[0].event["actor"]["user"]
    assert queued.who.pseudonym.startswith("A-")
    assert shown.get("name", shown["uid"]) == queued.who.pseudonym
