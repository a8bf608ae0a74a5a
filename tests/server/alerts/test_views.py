"""From signed records through the real pipeline to what an analyst sees."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from event_schema.leaver_fields import PersonStatus
from event_schema.ocsf_objects import User
from server.alerts.view_types import Unmasking
from server.alerts.views import alert_detail, alert_views
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
    unmasking = Unmasking("cli:omar", NOW, "case 42")
    [named] = alert_views(server.database, unmasking=unmasking)
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
