"""Whom an event is about: which account did it, and whose that was at the event's own time."""

from __future__ import annotations

from bisect import bisect_right

import msgspec

from event_schema.leaver_fields import AccountFields
from event_schema.ocsf_account_events import ApiActivity, Authentication, DatastoreActivity
from event_schema.ocsf_endpoint_events import PeripheralActivity, ProcessActivity
from event_schema.ocsf_events import Event, account_of
from server.enrich.account_uses import AccountName, account_name
from server.people.directory import AccountRecord, Directory, PersonRecord
from server.people.erased import NO_ACCOUNT, SUBJECT_CHARACTERS
from server.people.holders import Changing, moments_of
from server.people.pseudonyms import account_subject, person_subject
from server.people.standing import ALWAYS_ACTIVE, Timeline
from server.store.column_types import key_text

_KEPT = 50_000
_PERSON = person_subject("")
_MAY_BE_NOBODYS = (PeripheralActivity, ProcessActivity, Authentication, ApiActivity, DatastoreActivity)


class Who(msgspec.Struct, frozen=True):
    """Whom an event is about. `subject`: 'person:ID', or 'account:NAME@HOST' where that says nobody. `name`:
    the account's own, whoever has it."""

    person: PersonRecord | None
    subject: str
    account: AccountFields
    standing: Timeline
    key: str
    """Tells this apart from others: quicker to compare than all of it."""
    name: AccountName
    record: AccountRecord | None
    """The account as it is listed."""


class WhoByTime(msgspec.Struct, frozen=True):
    """Where an account went from one person to another: each of them, and from when (ms UTC)."""

    starts: tuple[int, ...]
    each: tuple[Who, ...]

    def at(self, time: int) -> Who:
        return self.each[bisect_right(self.starts, time)]


class WhoIsWho:
    """Over one version of the directory."""

    def __init__(self, directory: Directory) -> None:
        self.directory = directory
        self._whose: dict[tuple[str | None, str, str], Who | WhoByTime] = {}
        self._forgot = False
        self._cut: dict[str, PersonRecord] | None = None

    def whose(self, event: Event) -> Who | WhoByTime:
        """Whom the event is about, whenever it was."""
        user = account_of(event)
        account = (user.name or user.uid) if user is not None else None
        system = system_of(event) if isinstance(event, ApiActivity) else ""
        place = (account, event.device.hostname, system)
        found = self._whose.get(place)
        if found is None:
            found = self._look_up(account or NO_ACCOUNT, *place[1:])
            if len(self._whose) >= _KEPT:
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
        subject = subject_of(person) if person is not None else account_subject(account, host)
        standing = self.directory.standing(person) if person is not None else ALWAYS_ACTIVE
        key = "\0".join((person.id if person is not None else "", fields.kind or "", fields.owner_id or ""))
        return Who(person, subject, fields, standing, key, account_name(account, host, record), record)

    def person_of(self, subject: str) -> PersonRecord | None:
        """The person whom `who` called by this subject; None for an account."""
        person = self.directory.person(subject.removeprefix(_PERSON))
        if person is not None and subject_of(person) == subject:
            return person
        if len(subject) < SUBJECT_CHARACTERS:
            return None
        if self._cut is None:
            # Of ids too long for a key: nobody's, as a rule.
            people = ((subject_of(each), each) for each in self.directory.people())
            self._cut = {cut: each for cut, each in people if cut != person_subject(each.id)}
        return self._cut.get(subject)

    def agrees_with(self, other: WhoIsWho) -> bool:
        """Whether another one says the same of all that this one was asked for."""
        if self._forgot or self.directory.calendar.name != other.directory.calendar.name:
            return False
        return all(
            other._look_up(account or NO_ACCOUNT, host, system) == found
            for (account, host, system), found in self._whose.items()
        )


def system_of(event: Event) -> str:
    """The application that an act happened in, where accounts of its own may be listed; empty: none."""
    if isinstance(event, ApiActivity) and event.api.service is not None:
        return event.api.service.name.casefold()
    return ""


def is_nobodys(event: Event) -> bool:
    """No account did it, as far as anybody can say: kept and known, but about no subject. A file that was
    taken is always about somebody, an unknown account at worst."""
    return account_of(event) is None and isinstance(event, _MAY_BE_NOBODYS)


def subject_of(person: PersonRecord) -> str:
    """As all tables name the person."""
    return key_text(person_subject(person.id), SUBJECT_CHARACTERS)
