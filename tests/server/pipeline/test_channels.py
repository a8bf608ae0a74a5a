"""Every channel goes the whole way: counted, indexed, matched, an alert whose evidence says what it was."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from sigma.rule import SigmaRule

from event_schema.ocsf_account_events import UNKNOWN_ACCOUNT, Authentication, DatastoreActivity
from event_schema.ocsf_endpoint_events import FileSystemActivity, PeripheralActivity
from event_schema.ocsf_events import Event, account_of
from event_schema.ocsf_objects import User
from event_schema.ocsf_transfer_events import EmailActivity, FileHostingActivity
from policies.engine import ParsedPolicy, Policy, PolicySet
from server.alerts.views import alert_detail, alert_views
from server.enrich.amounts import amounts_of, places_of
from server.pipeline.worker import PipelineWorker
from server.store.tables import alert_days, channel_days, event_blocks, rule_days, subject_places
from tests.event_schema.sample_events import sample_events
from tests.server.pipeline.conftest import DAY, NOW, Server
from tests.server.pipeline.endpoint import Endpoint, copied_file
from tests.server.pipeline.test_worker import rows

TODAY = NOW // DAY
SAMPLES = [
    event
    for event in sample_events()
    if account_of(event) is not None and not isinstance(event, (FileSystemActivity, PeripheralActivity))
]
"""One of each activity of every channel but removable storage."""


def parsed_policy(number: int, detection: dict[str, Any]) -> ParsedPolicy:
    rule_id = f"00000000-0000-4000-8000-{number:012d}"
    sigma = SigmaRule.from_dict(
        {
            "title": f"rule {number}",
            "id": rule_id,
            "logsource": {"product": "leaver"},
            "detection": {"act": detection, "condition": "act"},
        }
    )
    policy = Policy(rule_id, f"rule {number}", "critical", "sent_out", "", "", (), "")
    return ParsedPolicy(policy, tuple(c.parsed for c in sigma.detection.parsed_condition), rule_id.encode())


def take(server: Server, policies: PolicySet, *events: Event) -> None:
    endpoint = Endpoint()
    endpoint.enrol(server.database)
    server.log.append([endpoint.record(list(events))])
    worker = PipelineWorker(server.database, server.log, clock=server.clock, policies=policies)
    while worker.step(0).records:
        pass


def _now(event: Event, **changes: Any) -> Event:
    return msgspec.structs.replace(event, time=NOW, **changes)


@pytest.mark.parametrize("event", SAMPLES, ids=lambda e: str(e.type_uid))
def test_an_act_of_any_channel_becomes_an_alert_with_its_evidence(server: Server, event: Event) -> None:
    server.employ("p1", "alice", notice_date=TODAY - 10, last_working_day=TODAY + 6)
    server.employ("p2", "alice@company.example")
    take(server, PolicySet([parsed_policy(1, {"type_uid": event.type_uid})]), _now(event))
    (day,) = rows(server, channel_days)
    taken = amounts_of(event)
    assert (day["channel"], day["events"], day["items"]) == ("sample", 1, taken.items)
    assert (day["files"], day["bytes"]) == (taken.files, taken.bytes)
    assert {row["place"] for row in rows(server, subject_places)} == set(places_of(event))
    assert [row["channel"] for row in rows(server, rule_days)] == ["sample"]
    assert [(row["channel"], row["day"]) for row in rows(server, alert_days)] == [("sample", TODAY)]
    (shown,) = alert_views(server.database)
    assert "6 days before the last day" in shown.sentence["en"]
    detail = alert_detail(server.database, shown.id)
    assert detail.proof.good
    assert (detail.evidence.total, detail.evidence.files) == (1, taken.files)
    assert "alice" not in msgspec.json.encode(detail).decode().replace("alice's", "")


def test_where_an_upload_went_shows_and_is_new_only_on_its_first_day(server: Server) -> None:
    server.employ("p1", "alice", notice_date=TODAY - 10, last_working_day=TODAY + 6)
    upload = next(e for e in SAMPLES if isinstance(e, FileHostingActivity))
    detection = {"leaver.remote.first_seen_for_person": True, "leaver.remote.category": "cloud_drive"}
    new = parsed_policy(1, {"class_uid": 6006} | detection)
    yesterday = msgspec.structs.replace(upload, time=NOW - DAY)
    take(server, PolicySet([new]), yesterday, yesterday, _now(upload))
    assert [(row["day"], row["hits"]) for row in rows(server, rule_days)] == [(TODAY - 1, 2)]
    (shown,) = alert_views(server.database)
    (place,) = alert_detail(server.database, shown.id).evidence.destinations
    assert (place.remote, place.device, place.files) == ("Netdisk", None, 2)


def test_one_family_holds_acts_of_several_channels_in_one_alert(server: Server) -> None:
    server.employ("p1", "alice", notice_date=TODAY - 10, last_working_day=TODAY + 6)
    acts = (("class_uid", 6006), ("class_uid", 6005), ("leaver.person.id", "p1"))
    policies = PolicySet([parsed_policy(n, {key: value}) for n, (key, value) in enumerate(acts)])
    upload = next(e for e in SAMPLES if isinstance(e, FileHostingActivity))
    statement = next(e for e in SAMPLES if isinstance(e, DatastoreActivity))
    export = _now(statement, metadata=msgspec.structs.replace(statement.metadata, log_name="postgresql"))
    take(server, policies, _now(upload), export, copied_file(NOW, name="holiday.jpg"))
    (shown,) = [alert for alert in alert_views(server.database) if alert.family == "sent_out"]
    detail = alert_detail(server.database, shown.id)
    assert detail.facts["channels"] == ["postgresql", "removable_storage", "sample"]
    assert detail.evidence.acts == {"create": 1, "export": 1, "upload": 1}
    assert shown.events == detail.evidence.total == 3


def test_the_sentence_counts_what_the_rows_count_on_every_channel_and_day(server: Server) -> None:
    server.employ("p1", "alice", notice_date=TODAY - 10, last_working_day=TODAY + 6)
    upload = next(e for e in SAMPLES if isinstance(e, FileHostingActivity))
    sent, synced = (
        _now(upload, metadata=msgspec.structs.replace(upload.metadata, log_name=name))
        for name in ("uploads", "sync_folders")
    )
    before = msgspec.structs.replace(sent, time=NOW - DAY)
    take(server, PolicySet([parsed_policy(1, {"class_uid": 6006})]), before, sent, sent, synced)
    (shown,) = alert_views(server.database)
    assert shown.sentence["en"].startswith("2 files (")
    assert ", and 1 file (" in shown.sentence["en"]
    assert "put into a synchronised folder" in shown.sentence["en"]
    assert "; 494 kB (4 files) on 2 days in all;" in shown.sentence["en"]
    assert alert_detail(server.database, shown.id).evidence.acts == {"sync": 1, "upload": 3}


def test_a_mail_is_told_by_its_attachments_whoever_gets_it(server: Server) -> None:
    server.employ("p1", "alice@company.example")
    mail = next(e for e in SAMPLES if isinstance(e, EmailActivity))
    metadata = msgspec.structs.replace(mail.metadata, log_name="mail")
    email = msgspec.structs.replace(
        mail.email, to=("*@a.example", "*@b.example"), files=(mail.email.files or ())[:1]
    )
    take(
        server, PolicySet([parsed_policy(1, {"class_uid": 4009})]), _now(mail, metadata=metadata, email=email)
    )
    (day,) = rows(server, channel_days)
    assert (day["items"], day["files"]) == (2, 1)
    (shown,) = alert_views(server.database)
    assert shown.sentence["en"].startswith("1 attachment (")


def test_logins_tried_with_names_that_no_account_has_are_kept_and_are_nobodys(server: Server) -> None:
    server.employ("p1", "alice")
    known = next(e for e in SAMPLES if isinstance(e, Authentication))
    unknown = msgspec.structs.replace(known, user=User(name=UNKNOWN_ACCOUNT), count=5_000)
    every = parsed_policy(1, {"class_uid": 3002})
    take(server, PolicySet([every]), _now(unknown), _now(unknown), _now(known), _now(unknown))
    (day,) = rows(server, channel_days)
    assert (day["subject"], day["events"]) == ("person:p1", 1)
    assert [row["hits"] for row in rows(server, rule_days)] == [1]
    (block,) = rows(server, event_blocks)
    assert block["count"] == 4
