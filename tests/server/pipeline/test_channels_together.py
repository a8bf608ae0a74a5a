"""Channels that meet: the same places, the same machines, in any order, and again."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest

from agent.collector_registry import COLLECTORS
from event_schema.channels import CHANNELS
from event_schema.control_records import CollectorState
from event_schema.ocsf_events import Event, FileSystemActivity, account_of
from event_schema.ocsf_network import DestinationEndpoint
from event_schema.ocsf_objects import Actor, Fingerprint, HashAlgorithm, User
from event_schema.ocsf_transfer_events import EmailActivity, FileHostingActivity
from event_schema.wire import WireRecord
from policies.engine import PolicySet
from server.agents.health import list_agents
from server.pipeline.state_versions import StaleState, raise_versions
from server.pipeline.worker import PipelineWorker
from server.store.tables import (
    activity_days,
    alert_days,
    alerts,
    channel_days,
    known_exports,
    rule_days,
    subject_agents,
    subject_places,
)
from tests.event_schema.sample_events import sample_events
from tests.server.pipeline.company import TODAY, beat
from tests.server.pipeline.conftest import DAY, NOW, NewServer, Server
from tests.server.pipeline.endpoint import Endpoint, copied_file
from tests.server.pipeline.test_channels import parsed_policy
from tests.server.pipeline.test_worker import rows

SHA256 = "c2" * 32
UPLOAD = next(e for e in sample_events() if isinstance(e, FileHostingActivity))
MAIL = next(e for e in sample_events() if isinstance(e, EmailActivity))


def _seen_by(channel: str, event: Event, **changes: Any) -> Any:
    metadata = msgspec.structs.replace(event.metadata, log_name=channel)
    actor = Actor(user=User(name="alice"))
    return msgspec.structs.replace(event, metadata=metadata, actor=actor, **changes)


def _work(server: Server, policies: PolicySet, records: list[WireRecord], cut: int = 100) -> None:
    server.log.append(records)
    worker = PipelineWorker(
        server.database, server.log, clock=server.clock, policies=policies, records_per_batch=cut
    )
    while worker.step(0).records:
        pass


def _outcome(server: Server) -> dict[str, Any]:
    found: dict[str, Any] = {
        table.name: rows(server, table, *table.primary_key.columns)
        for table in (channel_days, activity_days, rule_days, subject_agents, subject_places)
    }
    own_clock = ("id", "opened_at", "updated_at")
    found["alerts"] = [
        {name: value for name, value in alert.items() if name not in own_clock}
        for alert in rows(server, alerts, alerts.c.subject, alerts.c.family)
    ]
    found["alert_days"] = sorted((row["channel"], row["day"]) for row in rows(server, alert_days))
    return found


def test_acts_of_all_channels_add_up_alike_in_any_order_however_cut_and_sent_twice(
    new_server: NewServer,
) -> None:
    dice = random.Random(5)
    desks = [
        Endpoint("laptop-1", epoch="1" * 16),
        Endpoint("mx", epoch="2" * 16),
        Endpoint("db", epoch="3" * 16),
    ]
    samples = [
        e for e in sample_events() if not isinstance(e, FileSystemActivity) and account_of(e) is not None
    ]
    by_desk: dict[Endpoint, list[WireRecord]] = {desk: [] for desk in desks}
    for _ in range(60):
        desk = dice.choice(desks)
        events = []
        for event in dice.choices(samples, k=dice.randint(1, 4)):
            changes: dict[str, Any] = {"time": NOW - dice.randrange(5) * DAY}
            if isinstance(event, FileHostingActivity):
                # Sometimes the very place that a mail goes to.
                name = dice.choice(["mail.example", "Netdisk", "WeChat"])
                changes["dst_endpoint"] = DestinationEndpoint(svc_name=name)
            events.append(_seen_by(dice.choice(["uploads", "sync_folders", "mail"]), event, **changes))
        by_desk[desk].append(desk.record(events))
    policies = PolicySet(
        [parsed_policy(1, {"class_uid": [6006, 4009]}), parsed_policy(2, {"class_uid": 6005})]
    )
    found = []
    for turn in range(4):
        server = new_server()
        server.employ("p1", "alice", notice_date=TODAY - 10, last_working_day=TODAY + 6)
        for desk in desks:
            desk.enrol(server.database)
        records = [record for desk in desks for record in by_desk[desk]]
        if turn:
            dice.shuffle(records)
            records += dice.sample(records, 10)
        _work(server, policies, records, cut=[100, 1, 7, 20][turn])
        found.append(_outcome(server))
    assert found[0]["alerts"]
    assert len({day["activity"] for day in found[0]["activity_days"]}) > 6
    assert min(day["new_places"] for day in found[0]["channel_days"]) >= 0
    for other in found[1:]:
        assert other == found[0]


def test_a_place_is_new_to_a_person_once_and_to_each_channel_once(server: Server) -> None:
    server.employ("p1", "alice")
    place = DestinationEndpoint(svc_name="mail.example")
    new = parsed_policy(1, {"leaver.remote.first_seen_for_person": True})
    endpoint = Endpoint()
    endpoint.enrol(server.database)
    flow = [
        _seen_by("uploads", UPLOAD, time=NOW - DAY, dst_endpoint=place),
        _seen_by("mail", MAIL, time=NOW),
        # Late: then neither was the first.
        _seen_by("mail", MAIL, time=NOW - 2 * DAY),
    ]
    _work(server, PolicySet([new]), [endpoint.record([event]) for event in flow], cut=1)
    days = [(row["channel"], TODAY - row["day"], row["new_places"]) for row in rows(server, channel_days)]
    assert sorted(days) == [("mail", 0, 0), ("mail", 2, 1), ("uploads", 1, 1)]
    hits = {(row["channel"], TODAY - row["day"]) for row in rows(server, rule_days)}
    assert hits == {("uploads", 1), ("mail", 2)}


def test_an_alert_about_mail_counts_attachments_however_many_domains_they_went_to(server: Server) -> None:
    server.employ("p1", "alice", notice_date=TODAY - 10, last_working_day=TODAY + 6)
    endpoint = Endpoint("mx")
    endpoint.enrol(server.database)
    attached = (MAIL.email.files or ())[0]
    email = msgspec.structs.replace(MAIL.email, files=(attached,) * 3, to=("*@a.example", "*@b.example"))
    _work(
        server,
        PolicySet([parsed_policy(1, {"class_uid": 4009})]),
        [endpoint.record([_seen_by("mail", MAIL, time=NOW, email=email)])],
    )
    (alert,) = rows(server, alerts)
    assert alert["sentence"]["en"].startswith("3 attachments (")


def test_a_server_that_sees_her_mail_says_nothing_of_when_her_sticks_were_watched(server: Server) -> None:
    server.employ("p1", "alice")
    laptop, relay = Endpoint("laptop-1", epoch="1" * 16), Endpoint("mx", epoch="2" * 16)
    for endpoint in (laptop, relay):
        endpoint.enrol(server.database)
    _work(
        server,
        PolicySet([]),
        [relay.record([_seen_by("mail", MAIL, time=NOW)]), laptop.record([copied_file(NOW)])],
    )
    assert [row["agent"] for row in rows(server, subject_agents)] == ["laptop-1"]


def _made(time: int) -> Event:
    dump = copied_file(time, name="dump.sql")
    assert isinstance(dump, FileSystemActivity)
    hashes = (Fingerprint(algorithm_id=HashAlgorithm.SHA_256, value=SHA256),)
    unmapped = msgspec.structs.replace(dump.unmapped, origin="database_export", peripheral_device=None)
    return msgspec.structs.replace(
        dump, file=msgspec.structs.replace(dump.file, hashes=hashes), unmapped=unmapped
    )


def test_an_export_is_stored_once_though_its_batch_had_to_be_worked_out_again(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.employ("p1", "alice")
    endpoint = Endpoint()
    endpoint.enrol(server.database)
    tries: list[int] = []

    def late(*arguments: Any) -> dict[str, int]:
        tries.append(1)
        if len(tries) <= 2:
            raise StaleState("another worker was faster")
        return raise_versions(*arguments)

    monkeypatch.setattr("server.pipeline.worker.raise_versions", late)
    _work(server, PolicySet([]), [endpoint.record([_made(NOW), _made(NOW)])])
    assert len(tries) == 3
    assert [row["sha256"] for row in rows(server, known_exports)] == [SHA256]


def test_an_export_that_is_made_every_day_is_known_for_as_long_as_it_is_made(server: Server) -> None:
    server.employ("p1", "alice")
    endpoint = Endpoint()
    endpoint.enrol(server.database)
    for age in (8, 7, 7, 1):
        _work(server, PolicySet([]), [endpoint.record([_made(NOW - age * DAY)])])
    made = [(NOW - row["seen_at"]) // DAY for row in rows(server, known_exports, known_exports.c.id)]
    assert made == [8, 7, 1]


def test_an_export_is_forgotten_at_its_end_by_a_worker_that_never_stopped(server: Server) -> None:
    server.employ("p1", "alice")
    endpoint = Endpoint()
    endpoint.enrol(server.database)
    known = parsed_policy(1, {"leaver.file.known_export": True, "file.drive_type_id": 1})
    worker = PipelineWorker(
        server.database, server.log, clock=server.clock, policies=PolicySet([known]), events_days=10
    )
    dump = _made(NOW)
    assert isinstance(dump, FileSystemActivity)
    for days in (0, 5, 12):
        server.now = NOW + days * DAY
        stick = copied_file(server.now)
        assert isinstance(stick, FileSystemActivity)
        stick = msgspec.structs.replace(stick, file=dump.file)
        server.log.append([endpoint.record([dump, stick] if not days else [stick])])
        worker.step(0)
    hits = {row["day"] - TODAY: row["hits"] for row in rows(server, rule_days)}
    assert hits == {0: 2, 5: 1}


def test_the_state_of_every_collector_shows_and_of_no_other_name(server: Server) -> None:
    assert {kind.name for kind in COLLECTORS} == CHANNELS
    endpoint = Endpoint()
    endpoint.enrol(server.database)
    states = tuple(
        CollectorState(name=name, state="running", observed=0, restarts=0, dropped={}, detail=None)
        for name in (*sorted(CHANNELS), "alice")
    )
    server.take(endpoint.heartbeat(msgspec.structs.replace(beat(range(TODAY, TODAY + 1)), collectors=states)))
    with server.database.read() as connection:
        (agent,) = list_agents(connection, now=server.now)
    assert agent.collectors == dict.fromkeys((*CHANNELS, "other"), "running")
