"""From an event to the `leaver.*` fields and the subject it is about. In memory, at full speed.

Everything is judged at the event's own (corrected) time. What repeats from event to event (a person on a
day, an hour of the day) is made once: these words are frozen and may be shared.
"""

from __future__ import annotations

from typing import Any

import msgspec
import orjson

from analytics.activity_peers import group_name
from event_schema.leaver_fields import (
    EvidenceFields,
    FileFields,
    LeaverFields,
    PersonFields,
    SuspectFields,
    TimeFields,
)
from event_schema.ocsf_endpoint_events import FileSystemActivity, PeripheralActivity, ProcessActivity
from event_schema.ocsf_events import Event
from event_schema.ocsf_transfer_events import FileHostingActivity
from event_schema.ocsf_unmapped import Evidence, TransferUnmapped
from server.enrich.around import (
    NOTHING_AROUND,
    Around,
    account_fields,
    device_fields,
    remote_fields,
)
from server.enrich.suspicion import Suspicion
from server.enrich.who import Who, WhoIsWho
from server.people.calendar import DayType
from server.people.directory import Directory, PersonRecord
from server.store.column_types import key_text

CHANNEL_CHARACTERS = 64
_WORDS_KEPT = 50_000


_Whom = tuple[str, int, int, int]
_Words = tuple[
    _Whom, str, str | None, bool | None, str | None, FileFields | None, Around, SuspectFields | None
]
"""What LeaverFields are made from: whom (and which of their standings, day, hour), fidelity, gap, new place,
category, file, what the uses of account, device and address say, and the suspect."""


class Known(msgspec.Struct, frozen=True):
    """LeaverFields in the three forms that the pipeline needs, made once for many events."""

    fields: LeaverFields
    plain: dict[str, Any]
    """As policies read it. Shared: do not change it."""
    encoded: bytes
    """JSON."""


class Enriched(msgspec.Struct, frozen=True):
    """`day` is local. `subject` is 'person:ID', or 'account:NAME@HOST' where the account has no person."""

    time: int
    subject: str
    day: int
    day_type: DayType
    known: Known
    suspicion: Suspicion | None = None


class Enricher(WhoIsWho):
    """Over one version of the directory."""

    def __init__(self, directory: Directory) -> None:
        super().__init__(directory)
        self._known: dict[_Words, Known] = {}

    def day_of(self, person: PersonRecord | None, time: int) -> int:
        return self.directory.local_day_and_hour(person, time)[0]

    def enrich(
        self,
        event: Event,
        *,
        time: int,
        day: int,
        hour: int,
        who: Who,
        new_place: bool | None,
        file: FileFields | None = None,
        around: Around = NOTHING_AROUND,
        suspicion: Suspicion | None = None,
    ) -> Enriched:
        """`time`: corrected; `day`, `hour`: the same where the person is.

        `new_place`: the subject first used the device, or sent to the destination, on this local day; None:
        there is no such side. `file`: what is known of the content. `around`: what uses say.
        `suspicion`: who else it may be by."""
        evidence = event.unmapped.evidence
        kind = self.directory.day_type(day)
        unmapped = event.unmapped
        category = unmapped.transfer.category if isinstance(unmapped, TransferUnmapped) else None
        # Most people have one standing for ever.
        number = 0 if len(who.standing.starts) == 1 else who.standing.number(time)
        place: _Words = (
            (who.key, number, day, hour),
            evidence.fidelity,
            evidence.gap,
            new_place,
            category,
            file,
            around,
            None if suspicion is None else suspicion.fields,
        )
        known = self._known.get(place)
        if known is None:
            known = self._make(who, time, hour, kind, evidence, new_place, category, file, around, place[-1])
            if len(self._known) >= _WORDS_KEPT:
                self._known.clear()
            self._known[place] = known
        return Enriched(time, who.subject, day, kind, known, suspicion)

    def _make(
        self,
        who: Who,
        time: int,
        hour: int,
        kind: DayType,
        evidence: Evidence,
        new_place: bool | None,
        category: str | None,
        file: FileFields | None,
        around: Around,
        suspect: SuspectFields | None,
    ) -> Known:
        person = who.person
        status, days_left = self.directory.status_at(person, time)
        fields = LeaverFields(
            person=PersonFields(
                status=status,
                id=person.id if person is not None else None,
                days_to_last_day=days_left,
                department=person.department if person is not None else None,
                manager=person.manager_id if person is not None else None,
                peer_group=peer_group_of(person) or None,
                priority=person.priority if person is not None else None,
            ),
            account=account_fields(who.account, around),
            time=TimeFields(local_hour=hour, day_type=kind, off_shift=around.off_shift),
            evidence=EvidenceFields(fidelity=evidence.fidelity, gap=evidence.gap),
            device=device_fields(around, new_place if category is None else None),
            remote=remote_fields(around, category, new_place if category is not None else None),
            file=file,
            suspect=suspect,
        )
        plain: dict[str, Any] = msgspec.to_builtins(fields, str_keys=True)
        return Known(fields, plain, orjson.dumps(plain))


def is_at_endpoint(event: Event) -> bool:
    """Whether whoever did it worked at the machine whose agent tells of it; else a server wrote it down, and
    its agent sees nothing of what they do elsewhere."""
    match event:
        case FileSystemActivity():
            return event.unmapped.origin is None
        case PeripheralActivity():
            return event.unmapped.print_job is None
        case ProcessActivity() | FileHostingActivity():
            return True
        case _:
            return False


def channel_of(event: Event) -> str:
    """The collector that saw it."""
    return key_text(event.metadata.log_name, CHANNEL_CHARACTERS)


def peer_group_of(person: PersonRecord | None) -> str:
    """Those of the department with the same role; of whoever is no person none's."""
    return "" if person is None else group_name(person.department, person.job_role)
