"""What an alert's events come to, without a database."""

from __future__ import annotations

import msgspec

from event_schema.leaver_fields import LeaverFields
from event_schema.ocsf_events import Event
from policies.examples import RecordName, base_record
from server.alerts.evidence_tally import EvidenceEvent, EvidenceTally, System


def _found(name: RecordName, seq: int, count: int | None = None) -> EvidenceEvent:
    record = base_record(name)
    leaver = msgspec.convert(record.pop("leaver"), LeaverFields)
    if count is not None:
        record["count"] = count
    event: Event = msgspec.convert(record, Event)
    return EvidenceEvent("agent-1", "e", seq, event.time, event, leaver)


def test_it_says_in_which_applications_and_databases_how_many_records_were() -> None:
    tally = EvidenceTally(3)
    for seq in range(3):
        tally.add(_found("application_act", seq, count=6000))
    tally.add(_found("database_exported", 3))
    tally.add(_found("file_copied", 4))
    found = tally.result(missing=0, read_all=True, damaged=())
    database = base_record("database_exported")
    rows = database["unmapped"]["result"]["rows"]
    assert found.systems == tuple(
        sorted(
            (System("shop", 3, 18_000), System(database["database"]["name"], 1, rows)),
            key=lambda each: -each.items,
        )
    )
