"""Which `leaver.*` fields enrichment fills is what the field registry says."""

from __future__ import annotations

from typing import Any

import msgspec

from event_schema.field_registry import field_registry
from event_schema.leaver_fields import FileFields, SuspectFields
from event_schema.ocsf_events import Event
from event_schema.ocsf_transfer_events import FileHostingActivity
from event_schema.ocsf_unmapped import Evidence, Unmapped
from server.enrich.around import Around
from server.enrich.enrichment import Enricher
from server.enrich.suspicion import Suspicion
from server.people.directory import Directory, PersonRecord
from server.people.facts import Employment
from tests.event_schema.sample_events import sample_events
from tests.server.people.directories import owned
from tests.server.pipeline.endpoint import copied_file

NOW = 1_795_305_600_000
TODAY = NOW // 86_400_000


AROUND = Around(
    known_to_left=True,
    rotated_since_left=False,
    dormant_days=0,
    first_seen_ip=True,
    first_seen_device=True,
    session_elsewhere="company",
    has_device=True,
    device_of_left=True,
    has_address=True,
    address_of_left=False,
    historical_users=3,
    corporate_network=False,
    credential_outlived=True,
    assigned_to="p1",
    reissued=True,
    trusted=False,
    company_owned=False,
    off_shift=True,
)


def test_enrichment_fills_exactly_the_fields_that_are_not_marked_not_yet() -> None:
    alice = PersonRecord(
        "p1",
        "Sales",
        "p2",
        employments=(Employment(notice_day=TODAY - 5, last_day=TODAY + 5),),
        priority=2,
    )
    enricher = Enricher(Directory(1, [alice], owned({"alice": "p1"})))
    event = copied_file(NOW)
    gap = Unmapped(evidence=Evidence(fidelity="likely", observed_by="rescan", gap="10 s unseen"))
    event = msgspec.structs.replace(event, unmapped=gap)
    who = enricher.who(event, NOW)
    export = FileFields(known_export=True, origin="database_export", exported_at=NOW)

    def filled(seen: Event) -> set[str]:
        found = enricher.enrich(
            seen,
            time=NOW,
            day=TODAY,
            hour=9,
            who=who,
            new_place=True,
            file=export,
            around=AROUND,
            suspicion=Suspicion(None, SuspectFields(id="p9", days_since_left=3, link="team"), "p1", ()),
        )
        return _filled(found.known.plain, "leaver")

    declared = {
        path for path, spec in field_registry().items() if path.startswith("leaver.") and not spec.not_yet
    }
    upload = next(e for e in sample_events() if isinstance(e, FileHostingActivity))
    assert filled(event) | filled(upload) == declared


def test_an_event_has_the_sides_that_it_shows_and_no_others() -> None:
    enricher = Enricher(Directory(1, []))
    event = copied_file(NOW)
    upload = next(e for e in sample_events() if isinstance(e, FileHostingActivity))

    def sides(seen: Event, around: Around) -> tuple[bool, bool]:
        who = enricher.who(seen, NOW)
        found = enricher.enrich(
            seen, time=NOW, day=TODAY, hour=9, who=who, new_place=True, around=around
        ).known.fields
        return found.device is not None, found.remote is not None

    assert sides(event, Around()) == (True, False)
    assert sides(upload, Around()) == (False, True)
    assert sides(upload, Around(has_device=True)) == (True, True)
    assert sides(event, Around(has_address=True)) == (True, True)


def _filled(value: Any, path: str) -> set[str]:
    if isinstance(value, dict):
        return {leaf for key, item in value.items() for leaf in _filled(item, f"{path}.{key}")}
    return set() if value is None else {path}
