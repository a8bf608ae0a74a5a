"""Which `leaver.*` fields enrichment fills is what the field registry says."""

from __future__ import annotations

from typing import Any

import msgspec

from event_schema.field_registry import field_registry
from event_schema.leaver_fields import FileFields
from event_schema.ocsf_events import Event
from event_schema.ocsf_transfer_events import FileHostingActivity
from event_schema.ocsf_unmapped import Evidence, Unmapped
from server.enrich.enrichment import Enricher
from server.people.directory import Directory, PersonRecord
from tests.event_schema.sample_events import sample_events
from tests.server.pipeline.endpoint import copied_file

NOW = 1_795_305_600_000
TODAY = NOW // 86_400_000


def test_enrichment_fills_exactly_the_fields_that_are_not_marked_not_yet() -> None:
    alice = PersonRecord("p1", "Sales", "p2", "UTC", TODAY - 5, TODAY + 5)
    enricher = Enricher(Directory(1, [alice], {"alice": "p1"}))
    event = copied_file(NOW)
    gap = Unmapped(evidence=Evidence(fidelity="likely", observed_by="rescan", gap="10 s unseen"))
    event = msgspec.structs.replace(event, unmapped=gap)
    person, subject = enricher.who(event)
    export = FileFields(known_export=True, origin="database_export", exported_at=NOW)

    def filled(seen: Event) -> set[str]:
        found = enricher.enrich(
            seen,
            time=NOW,
            day=TODAY,
            hour=9,
            person=person,
            subject=subject,
            new_place=True,
            file=export,
        )
        return _filled(found.known.plain, "leaver")

    declared = {
        path for path, spec in field_registry().items() if path.startswith("leaver.") and not spec.not_yet
    }
    upload = next(e for e in sample_events() if isinstance(e, FileHostingActivity))
    assert filled(event) | filled(upload) == declared
    assert {path for path in filled(event) if path.startswith("leaver.remote.")} == set()
    assert {path for path in filled(upload) if path.startswith("leaver.device.")} == set()


def _filled(value: Any, path: str) -> set[str]:
    if isinstance(value, dict):
        return {leaf for key, item in value.items() for leaf in _filled(item, f"{path}.{key}")}
    return set() if value is None else {path}
