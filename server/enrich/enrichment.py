"""From an event to the `leaver.*` fields and the subject it is about. In memory, at full speed.

Everything is judged at the event's own (corrected) time. What repeats from event to event (a person on a
day, an hour of the day) is made once: these words are frozen and may be shared.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Any

import msgspec
import orjson

from event_schema.leaver_fields import (
    AccountFields,
    DeviceFields,
    EvidenceFields,
    FileFields,
    LeaverFields,
    PersonFields,
    RemoteFields,
    TimeFields,
)
from event_schema.ocsf_account_events import ApiActivity, Authentication, DatastoreActivity
from event_schema.ocsf_endpoint_events import FileSystemActivity, PeripheralActivity, ProcessActivity
from event_schema.ocsf_events import Event, account_of
from event_schema.ocsf_transfer_events import FileHostingActivity
from event_schema.ocsf_unmapped import Evidence, TransferUnmapped
from server.people.calendar import DayType
from server.people.directory import AccountRecord, Directory, PersonRecord
from server.people.erased import NO_ACCOUNT, SUBJECT_CHARACTERS
from server.people.holders import Changing, moments_of
from server.people.pseudonyms import account_subject, person_subject
from server.people.standing import ALWAYS_ACTIVE, Timeline
from server.store.column_types import key_text

CHANNEL_CHARACTERS = 64
_WORDS_KEPT = 50_000
_MAY_BE_NOBODYS = (PeripheralActivity, ProcessActivity, Authentication, ApiActivity, DatastoreActivity)


_Words = tuple[str, int, int, int, str, str | None, bool | None, str | None, FileFields | None]
"""What LeaverFields are made from: whom, which of their standings, day, hour, fidelity, gap, new place,
category, file."""


class Who(msgspec.Struct, frozen=True):
    """Whom an event is about. `subject`: 'person:ID', or 'account:NAME@HOST' where that says nobody."""

    person: PersonRecord | None
    subject: str
    account: AccountFields
    standing: Timeline
    key: str
    """Tells this apart from others: quicker to compare than all of it."""


class WhoByTime(msgspec.Struct, frozen=True):
    """Where an account went from one person to another: each of them, and from when (ms UTC)."""

    starts: tuple[int, ...]
    each: tuple[Who, ...]

    def at(self, time: int) -> Who:
        return self.each[bisect_right(self.starts, time)]


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


class Enricher:
    """Over one version of the directory."""

    def __init__(self, directory: Directory) -> None:
        self.directory = directory
        self._whose: dict[tuple[str | None, str, str], Who | WhoByTime] = {}
        self._forgot = False
        self._person_of: dict[str, PersonRecord] | None = None
        self._known: dict[_Words, Known] = {}

    def whose(self, event: Event) -> Who | WhoByTime:
        """Whom the event is about, whenever it was."""
        user = account_of(event)
        account = (user.name or user.uid) if user is not None else None
        system = system_of(event) if isinstance(event, ApiActivity) else ""
        place = (account, event.device.hostname, system)
        found = self._whose.get(place)
        if found is None:
            found = self._look_up(account or NO_ACCOUNT, *place[1:])
            if len(self._whose) >= _WORDS_KEPT:
                self._whose.clear()
                self._forgot = True
            self._whose[place] = found
        return found

    def who(self, event: Event, time: int) -> Who:
        """`time`: corrected."""
        found = self.whose(event)
        return found.at(time) if isinstance(found, WhoByTime) else found

    def erased(self, event: Event, time: int) -> str | None:
        """The digest of the erased account that did it (people/erased.py); None for all others. An event
        that is nobody's is nobody's erased. `time`: corrected."""
        if not self.directory.erased.accounts or is_nobodys(event):
            return None
        user = account_of(event)
        account = (user.name or user.uid) if user is not None else None
        host = event.device.hostname
        return self.directory.erased_account(account or NO_ACCOUNT, host, time, system_of(event))

    def _look_up(self, account: str, host: str, system: str) -> Who | WhoByTime:
        record = self.directory.account(account, host, system)
        users = self.directory.users(account, host, system)
        moments = set(users.starts) if isinstance(users, Changing) else set()
        if record is not None:
            moments.update(moments_of(record.owners))
        starts = tuple(sorted(moments))
        each = tuple(
            self._who(account, host, system, record, time) for time in ((starts or (0,))[0] - 1, *starts)
        )
        return WhoByTime(starts, each) if starts else each[0]

    def _who(self, account: str, host: str, system: str, record: AccountRecord | None, time: int) -> Who:
        person = self.directory.person_by_account(account, host, time, system)
        owner = person
        if person is None and record is not None:
            owner = self.directory.owner(record, time)
        fields = AccountFields(
            kind=record.kind if record is not None else None,
            owner_id=owner.id if owner is not None else None,
        )
        subject = _subject(person) if person is not None else account_subject(account, host)
        standing = self.directory.standing(person) if person is not None else ALWAYS_ACTIVE
        key = "\0".join((person.id if person is not None else "", fields.kind or "", fields.owner_id or ""))
        return Who(person, subject, fields, standing, key)

    def person_of(self, subject: str) -> PersonRecord | None:
        """The person whom `who` called by this subject; None for an account."""
        if self._person_of is None:
            self._person_of = {_subject(person): person for person in self.directory.people()}
        return self._person_of.get(subject)

    def agrees_with(self, other: Enricher) -> bool:
        """Whether another one says the same of all that this one was asked for."""
        if self._forgot or self.directory.calendar.name != other.directory.calendar.name:
            return False
        return all(
            other._look_up(account or NO_ACCOUNT, host, system) == found
            for (account, host, system), found in self._whose.items()
        )

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
    ) -> Enriched:
        """`time`: corrected; `day`, `hour`: the same where the person is.

        `new_place`: the subject first used the device, or sent to the destination, on this local day; None:
        there is no such side. `file`: what is known of the content."""
        evidence = event.unmapped.evidence
        kind = self.directory.day_type(day)
        unmapped = event.unmapped
        category = unmapped.transfer.category if isinstance(unmapped, TransferUnmapped) else None
        place = (
            who.key,
            # Most people have one standing for ever.
            0 if len(who.standing.starts) == 1 else who.standing.number(time),
            day,
            hour,
            evidence.fidelity,
            evidence.gap,
            new_place,
            category,
            file,
        )
        known = self._known.get(place)
        if known is None:
            known = self._make(who, time, hour, kind, evidence, new_place, category, file)
            if len(self._known) >= _WORDS_KEPT:
                self._known.clear()
            self._known[place] = known
        return Enriched(time, who.subject, day, kind, known)

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
                peer_group=person.department if person is not None else None,
                priority=person.priority if person is not None else None,
            ),
            account=who.account,
            time=TimeFields(local_hour=hour, day_type=kind),
            evidence=EvidenceFields(fidelity=evidence.fidelity, gap=evidence.gap),
            device=None
            if new_place is None or category is not None
            else DeviceFields(first_seen_for_person=new_place),
            remote=None
            if category is None
            else RemoteFields(category=category, first_seen_for_person=new_place),
            file=file,
        )
        plain: dict[str, Any] = msgspec.to_builtins(fields, str_keys=True)
        return Known(fields, plain, orjson.dumps(plain))


def system_of(event: Event) -> str:
    """The application that an act happened in, where accounts of its own may be listed; empty: none."""
    if isinstance(event, ApiActivity) and event.api.service is not None:
        return event.api.service.name.casefold()
    return ""


def is_nobodys(event: Event) -> bool:
    """No account did it, as far as anybody can say: kept and known, but about no subject. A file that was
    taken is always about somebody, an unknown account at worst."""
    return account_of(event) is None and isinstance(event, _MAY_BE_NOBODYS)


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


def _subject(person: PersonRecord) -> str:
    return key_text(person_subject(person.id), SUBJECT_CHARACTERS)


def channel_of(event: Event) -> str:
    """The collector that saw it."""
    return key_text(event.metadata.log_name, CHANNEL_CHARACTERS)


def peer_group_of(person: PersonRecord | None) -> str:
    return (person.department or "") if person is not None else ""
