"""Who is who, in memory: account to person, status at a time, local day and hour. Read on every event.

A Directory is one version of what HR said; `people_version` tells cheaply whether a newer one exists.
Names of people are not in it: only unmasking reads those.

Account names compare without regard to case (`account_key`), in the form in which they are listed:
`alice`, `CORP\\alice` and `alice@corp.example` are three accounts until HR lists all three. An account
listed with a host (`alice@laptop-7`, `laptop-7\\alice`) wins over the bare name on that host, so that
local accounts of the same name on two machines can belong to two people.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import Connection, select

from event_schema.leaver_fields import PersonStatus
from server.people.calendar import DayType, day_type
from server.people.erased import ErasedNames, account_forms, load_erased
from server.store.tables import accounts, installation, people
from server.store.upsert import upsert

NOTICE_LOOK_BACK_DAYS = 90
"""Where only the last working day is known, notice counts from this many days before it: the window in
which published cases of taking data along lie (shared facts: look-back 0-90 days)."""
DEFAULT_TIME_ZONE = "UTC"

_SLOT_MS = 15 * 60 * 1000  # no zone's offset since 1973 is finer than a quarter of an hour
_SLOTS_KEPT = 200_000
_ACCOUNTS_KEPT = 65_536
_PEOPLE_VERSION = "people_version"


class PersonRecord(msgspec.Struct, frozen=True):
    """One person as HR says. Days are days since 1970-01-01 in the person's time zone."""

    id: str
    department: str | None
    manager_id: str | None
    time_zone: str
    notice_day: int | None
    last_working_day: int | None
    """Inclusive: on this day the person still works here."""


class Directory:
    """One version of the people. Its answers depend on nothing but what it was built from."""

    def __init__(
        self,
        version: int,
        records: Iterable[PersonRecord],
        person_of_account: Mapping[str, str],
        *,
        time_zone: str = DEFAULT_TIME_ZONE,
        erased: ErasedNames | None = None,
    ) -> None:
        """`person_of_account`: account_key to person id. `time_zone`: for accounts that nobody owns."""
        self.version = version
        self.erased = erased or ErasedNames()
        self._by_id = {record.id: record for record in records}
        self._by_account = {key: self._by_id[owner] for key, owner in person_of_account.items()}
        self._time_zone = time_zone
        self._resolved: dict[tuple[str, str | None], PersonRecord | None] = {}
        self._local: dict[tuple[str, int], tuple[int, int]] = {}

    def person(self, person_id: str) -> PersonRecord | None:
        return self._by_id.get(person_id)

    def people(self) -> Iterable[PersonRecord]:
        return self._by_id.values()

    def accounts(self) -> Mapping[str, PersonRecord]:
        """By account_key."""
        return self._by_account

    def person_by_account(self, account: str, host: str | None) -> PersonRecord | None:
        """Whose account it is on that host, or None."""
        asked = (account, host)
        try:
            return self._resolved[asked]
        except KeyError:
            if len(self._resolved) >= _ACCOUNTS_KEPT:
                self._resolved.clear()
            found = self._resolved[asked] = self._look_up(account, host)
            return found

    def _look_up(self, account: str, host: str | None) -> PersonRecord | None:
        for form in account_forms(account_key(account), account_key(host or "")):
            if form in self._by_account:
                return self._by_account[form]
            if self.erased.account(form):
                return None
        return None

    def erased_account(self, account: str, host: str) -> str | None:
        """The digest under which the account was erased, where it belongs to nobody since."""
        for form in account_forms(account_key(account), account_key(host)):
            if form in self._by_account:
                return None
            if digest := self.erased.account(form):
                return digest
        return None

    def status_at(self, person: PersonRecord | None, time_ms: int) -> tuple[PersonStatus, int | None]:
        """Status, and days until the last working day where the person is leaving (negative after it).

        Left: the day after the last working day and later. On notice: from the notice date; without one
        from NOTICE_LOOK_BACK_DAYS before the last working day. Before that the person is active, and the
        last day is None even where HR entered it ahead of time.
        """
        return self.status_on(person, self.local_day_and_hour(person, time_ms)[0])

    def status_on(self, person: PersonRecord | None, today: int) -> tuple[PersonStatus, int | None]:
        """The same on a local day of the person's."""
        if person is None:
            return PersonStatus.UNKNOWN, None
        if person.notice_day is None and person.last_working_day is None:
            return PersonStatus.ACTIVE, None
        last = person.last_working_day
        days_left = None if last is None else last - today
        if days_left is not None and days_left < 0:
            return PersonStatus.LEFT, days_left
        on_notice = (
            today >= person.notice_day
            if person.notice_day is not None
            else days_left is not None and days_left <= NOTICE_LOOK_BACK_DAYS
        )
        return (PersonStatus.NOTICE, days_left) if on_notice else (PersonStatus.ACTIVE, None)

    def local_day_and_hour(self, person: PersonRecord | None, time_ms: int) -> tuple[int, int]:
        """(day since 1970-01-01, hour) where the person is; in the company's zone for None."""
        zone = self._time_zone if person is None else person.time_zone
        slot = time_ms // _SLOT_MS
        try:
            return self._local[zone, slot]
        except KeyError:
            if len(self._local) >= _SLOTS_KEPT:
                self._local.clear()
            found = self._local[zone, slot] = local_day_and_hour(zone, time_ms)
            return found

    def day_type(self, local_day: int) -> DayType:
        return day_type(local_day)


def account_key(account: str) -> str:
    """The form in which accounts compare and are stored."""
    trimmed = account.strip()
    if not trimmed.isascii():
        trimmed = unicodedata.normalize("NFC", trimmed)
    return trimmed.casefold()


def local_day_and_hour(zone: str, time_ms: int) -> tuple[int, int]:
    """(day since 1970-01-01, hour) in a time zone. Raises ZoneInfoNotFoundError for an unknown zone."""
    seconds = time_ms // 1000
    local = seconds + _utc_offset_seconds(zone, seconds)
    return local // 86_400, local % 86_400 // 3600


def _utc_offset_seconds(zone: str, seconds: int) -> int:
    offset = datetime.fromtimestamp(seconds, _zone(zone)).utcoffset()
    assert offset is not None
    return int(offset.total_seconds())


@lru_cache(maxsize=1024)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def people_version(connection: Connection) -> int:
    """Rises with every change of the people; 0 before the first. One row read by its key."""
    value = connection.execute(
        select(installation.c.value).where(installation.c.key == _PEOPLE_VERSION)
    ).scalar()
    return 0 if value is None else int(value)


def load_directory(connection: Connection, *, time_zone: str = DEFAULT_TIME_ZONE) -> Directory:
    """The people as the connection's snapshot has them."""
    records = [
        PersonRecord(
            row.id, row.department, row.manager_id, row.time_zone, row.notice_date, row.last_working_day
        )
        for row in connection.execute(select(people).order_by(people.c.id))
    ]
    owners = {row.account: row.person_id for row in connection.execute(select(accounts))}
    erased = load_erased(connection)
    return Directory(people_version(connection), records, owners, time_zone=time_zone, erased=erased)


def raise_people_version(connection: Connection) -> None:
    """In a write transaction that is alone: whoever keeps a directory takes over the people anew."""
    value = str(people_version(connection) + 1)
    upsert(connection, installation, [{"key": _PEOPLE_VERSION, "value": value}])
