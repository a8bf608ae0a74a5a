"""What a database or a file server gave out is recognised by its hash, whoever takes it and when."""

from __future__ import annotations

from typing import Literal

import msgspec
import pytest

from event_schema.ocsf_endpoint_events import FileSystemActivity
from event_schema.ocsf_events import Event
from event_schema.ocsf_objects import Fingerprint, HashAlgorithm
from event_schema.ocsf_transfer_events import EmailActivity, FileHostingActivity
from policies.engine import PolicySet
from policies.rule_file import load_policies
from server.alerts.views import alert_detail, alert_views
from server.commands.evidence_rows import evidence_row
from server.pipeline.worker import PipelineWorker
from server.store.tables import known_exports, rule_days
from tests.server.pipeline.conftest import DAY, NOW, Server
from tests.server.pipeline.endpoint import Endpoint, copied_file
from tests.server.pipeline.test_channels import SAMPLES, parsed_policy
from tests.server.pipeline.test_worker import rows

SHA = "c0" * 32
HASHES = (Fingerprint(algorithm_id=HashAlgorithm.SHA_256, value=SHA),)
KNOWN = PolicySet(
    [parsed_policy(1, {"leaver.file.known_export": True, "leaver.file.origin": "database_export"})]
)


def copied(
    time: int = NOW, *, name: str = "x.jpg", sha: str = SHA, account: str = "alice"
) -> FileSystemActivity:
    """Something on a stick, with a hash."""
    event = copied_file(time, name=name, account=account)
    assert isinstance(event, FileSystemActivity)
    hashes = (Fingerprint(algorithm_id=HashAlgorithm.SHA_256, value=sha),)
    return msgspec.structs.replace(event, file=msgspec.structs.replace(event.file, hashes=hashes))


def exported(
    time: int = NOW,
    *,
    sha: str = SHA,
    size: int | None = 1_000,
    origin: Literal["database_export", "file_server"] = "database_export",
) -> FileSystemActivity:
    """A client or a server wrote it somewhere."""
    event = copied(time, name="dump.sql", sha=sha)
    return msgspec.structs.replace(
        event,
        metadata=msgspec.structs.replace(event.metadata, log_name="uploads"),
        file=msgspec.structs.replace(event.file, size=size, drive_type_id=None),
        unmapped=msgspec.structs.replace(event.unmapped, origin=origin, peripheral_device=None),
    )


class Pipeline:
    """One endpoint, and a worker that lives as long as the test."""

    def __init__(self, server: Server, policies: PolicySet = KNOWN) -> None:
        self.server, self.endpoint = server, Endpoint()
        self.endpoint.enrol(server.database)
        self.policies = policies
        self.worker = self.new_worker()

    def new_worker(self) -> PipelineWorker:
        return PipelineWorker(
            self.server.database, self.server.log, clock=self.server.clock, policies=self.policies
        )

    def take(self, *events: Event) -> None:
        self.server.log.append([self.endpoint.record(list(events))])
        while self.worker.step(0).records:
            pass

    def hits(self) -> int:
        return sum(row["hits"] for row in rows(self.server, rule_days))


def stored(server: Server) -> list[tuple[str, str, int]]:
    kept = rows(server, known_exports, known_exports.c.id)
    return [(row["sha256"], row["origin"], row["seen_at"]) for row in kept]


def test_an_export_is_recognised_on_the_stick_in_the_upload_and_in_the_mail_renamed_or_not(
    server: Server,
) -> None:
    server.employ("p1", "alice")
    upload = next(e for e in SAMPLES if isinstance(e, FileHostingActivity))
    file = msgspec.structs.replace(upload.file, name="holiday.zip", hashes=HASHES)
    mail = next(e for e in SAMPLES if isinstance(e, EmailActivity))
    email = msgspec.structs.replace(
        mail.email, sender_address="alice@laptop-1.example", files=(upload.file, file)
    )
    other = copied(name="other.jpg", sha="c9" * 32)
    before = copied(name="before.jpg")
    Pipeline(server).take(
        other,
        before,
        exported(),
        other,
        copied(),
        msgspec.structs.replace(upload, time=NOW, file=file),
        msgspec.structs.replace(mail, time=NOW, email=email),
    )
    assert stored(server) == [(SHA, "database_export", NOW)]
    assert sum(row["hits"] for row in rows(server, rule_days)) == 4


def test_an_export_on_a_stick_is_an_alert_that_names_it(server: Server) -> None:
    server.employ("p1", "alice")
    Pipeline(server, load_policies()).take(exported(NOW - 5_000), copied(NOW, name="holiday.jpg"))
    (shown,) = alert_views(server.database)
    detail = alert_detail(server.database, shown.id)
    (found,) = detail.evidence.largest
    assert found.event["leaver"]["file"] == {
        "known_export": True,
        "origin": "database_export",
        "exported_at": NOW - 5_000,
    }
    assert evidence_row(found)[1] == "holiday.jpg (content of a database export)"
    assert "A known export is copied to removable storage" in {
        rule["title"] for rule in detail.facts["rules"]
    }


@pytest.mark.parametrize("size", [None, 0, 255])
def test_an_export_that_is_hardly_anything_recognises_nothing(server: Server, size: int | None) -> None:
    server.employ("p1", "alice")
    pipeline = Pipeline(server)
    pipeline.take(exported(size=size), copied())
    assert (stored(server), pipeline.hits()) == ([], 0)
    pipeline.take(exported(size=256), copied())
    assert (len(stored(server)), pipeline.hits()) == (1, 2)


def test_an_export_that_is_made_again_is_stored_once_a_day_and_one_that_comes_late_not_at_all(
    server: Server,
) -> None:
    server.employ("p1", "alice")
    pipeline = Pipeline(server)
    pipeline.take(exported(NOW - 10 * DAY))
    pipeline.take(exported(NOW - 10 * DAY + 1_000), exported(NOW - 12 * DAY))
    assert stored(server) == [(SHA, "database_export", NOW - 10 * DAY)]
    pipeline.take(exported(NOW - 3 * DAY), exported(NOW - 3 * DAY + 1_000))
    assert [at for _, _, at in stored(server)] == [NOW - 10 * DAY, NOW - 3 * DAY]


def test_an_export_that_was_erased_is_not_known_any_more_and_known_again_when_seen(
    server: Server,
) -> None:
    server.employ("p1", "alice")
    pipeline = Pipeline(server)
    pipeline.take(exported())
    with server.database.begin() as connection:
        connection.execute(known_exports.delete())
    pipeline.take(copied())
    assert pipeline.hits() == 1
    pipeline.take(exported())
    pipeline.take(copied())
    assert (len(stored(server)), pipeline.hits()) == (1, 3)


def test_another_worker_knows_the_export_with_its_next_batch(server: Server) -> None:
    server.employ("p1", "alice")
    policies = PolicySet([parsed_policy(1, {"leaver.file.origin": "file_server", "file.drive_type_id": 1})])
    pipeline = Pipeline(server, policies)
    others = pipeline.worker
    pipeline.worker = pipeline.new_worker()
    pipeline.take(exported(origin="file_server"))
    assert others.step(0).records == 0
    pipeline.worker = pipeline.new_worker()
    pipeline.take(copied())
    assert pipeline.hits() == 1
