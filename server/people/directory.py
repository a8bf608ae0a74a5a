"""Who is who, in memory: account to person, status at a time, local day and hour. Read on every event.

A Directory is one version of what is declared; `people_version` tells cheaply whether a newer one exists.
Names of people are not in it: only unmasking reads those. Every answer is about a time, the event's own:
whose account it was then, and where that person stood then.

Account names compare without regard to case (`account_key`), in the form in which they are listed:
`alice`, `CORP\\alice` and `alice@corp.example` are three accounts until HR lists all three. An account
listed with a host (`alice@laptop-7`, `laptop-7\\alice`) wins over the bare name on that host, so that
local accounts of the same name on two machines can belong to two people; one listed for a system (an
application that an access log names) wins there over one that is valid everywhere.

A shared or a service account has an owner, who answers for it, but whoever used it is not known by that:
`person_by_account` says nobody, `owner` says who answers for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from typing import Final

from sqlalchemy import Connection, func, select

from event_schema.leaver_fields import PersonStatus
from server.people.account_names import account_key
from server.people.calendar import MONDAY_TO_FRIDAY, Calendar
from server.people.company import DEFAULT_TIME_ZONE, load_company
from server.people.company_places import CompanyPlaces
from server.people.directory_rows import (
    AccountRecord,
    KnownBindings,
    PersonRecord,
    load_accounts,
    load_records,
    load_traits,
)
from server.people.erased import ErasedNames, account_forms, load_erased
from server.people.held_traits import HeldTraits
from server.people.holders import Binding, Changing, changing, holders, moments_of
from server.people.local_time import first_moment, local_day_and_hour, local_day_and_minute
from server.people.standing import Timeline, timeline
from server.people.working_hours import WorkingHours
from server.store.tables import installation, people_changes
from server.store.upsert import upsert

__all__ = ["AccountRecord", "Directory", "PersonRecord", "load_directory", "people_version"]

_SLOT_MS = 15 * 60 * 1000  # no zone's offset since 1973 is finer than a quarter of an hour
_SLOTS_KEPT = 200_000
_ACCOUNTS_KEPT = 65_536
_PEOPLE_VERSION, _WHOLE_VERSION = "people_version", "people_version_whole"
"""The second one: the last version that cannot be told from `people_changes` alone."""
_USED_BY_ITS_OWNER: Final = frozenset({"personal", "partner"})


Owner = PersonRecord | Changing[PersonRecord] | None
"""Of an account on a host: for ever, or by time."""


class Directory:
    """One version of the people. Its answers depend on nothing but what it was built from."""

    def __init__(
        self,
        version: int,
        records: Iterable[PersonRecord],
        accounts: Iterable[AccountRecord] = (),
        traits: Mapping[str, tuple[Binding, ...]] | None = None,
        *,
        time_zone: str = DEFAULT_TIME_ZONE,
        calendar: Calendar = MONDAY_TO_FRIDAY,
        erased: ErasedNames | None = None,
        places: CompanyPlaces | None = None,
        working_hours: str = "",
        last_change: int = 0,
    ) -> None:
        """`traits`: who holds what besides accounts ('host:laptop-7'). `time_zone`: for accounts that nobody
        owns. `last_change`: number of the last row of `people_changes` that is in it."""
        self.version = version
        self.last_change = last_change
        self.erased = erased or ErasedNames()
        self.places = places or CompanyPlaces()
        self._by_id = {record.id: record for record in records}
        self._everywhere: dict[str, AccountRecord] = {}
        self._of_systems: dict[tuple[str, str], AccountRecord] = {}
        for account in accounts:
            if account.system:
                self._of_systems[account.system, account.name] = account
            else:
                self._everywhere[account.name] = account
        self._held = HeldTraits(traits or {})
        self._accounts_of: dict[str, list[AccountRecord]] | None = None
        self._time_zone = time_zone
        self._calendar = calendar
        self.day_type = calendar.day_type
        """Of a local day."""
        self._working_hours = WorkingHours(working_hours, self.day_type) if working_hours else None
        self._timelines: dict[str, Timeline] = {}
        self._resolved: dict[tuple[str, str | None, str], Owner] = {}
        self._erased_forms: dict[str, str | None] = {}
        self._local: dict[tuple[str, int], tuple[int, int]] = {}

    def with_changes(
        self,
        version: int,
        last_change: int,
        records: Iterable[PersonRecord],
        accounts: Iterable[AccountRecord],
        traits: Mapping[str, tuple[Binding, ...]],
    ) -> Directory:
        """A newer version: these people, accounts and holders are new, or stand in place of what is known."""
        newer = copy(self)
        newer.version, newer.last_change = version, last_change
        changed = {record.id: record for record in records}
        newer._by_id = self._by_id | changed
        if len(newer._by_id) > len(self._by_id):
            newer._by_id = dict(sorted(newer._by_id.items()))
        newer._everywhere, newer._of_systems = self._everywhere.copy(), self._of_systems.copy()
        for account in accounts:
            if account.system:
                newer._of_systems[account.system, account.name] = account
            else:
                newer._everywhere[account.name] = account
        newer._held = self._held.with_changes(traits)
        newer._accounts_of, newer._resolved = None, {}
        newer._timelines = {key: known for key, known in self._timelines.items() if key not in changed}
        return newer

    @property
    def calendar(self) -> Calendar:
        return self._calendar

    def person(self, person_id: str) -> PersonRecord | None:
        return self._by_id.get(person_id)

    def people(self) -> Iterable[PersonRecord]:
        return self._by_id.values()

    # ---- whose account, whose machine -----------------------------------------------------------------

    def accounts(self) -> Iterable[AccountRecord]:
        yield from self._everywhere.values()
        yield from self._of_systems.values()

    def account(self, account: str, host: str | None, system: str = "") -> AccountRecord | None:
        """The account as it is listed in the narrowest form."""
        forms = account_forms(account_key(account), account_key(host or ""))
        own = (self._of_systems.get((system, form)) for form in forms)
        general = (self._everywhere.get(form) for form in forms)
        return next((record for record in (*own, *general) if record is not None), None)

    def records_of(self, person_id: str) -> Sequence[AccountRecord]:
        """All accounts that the person ever owned."""
        if self._accounts_of is None:
            found: dict[str, list[AccountRecord]] = {}
            for record in self.accounts():
                for owner in {binding.person_id for binding in record.owners}:
                    found.setdefault(owner, []).append(record)
            self._accounts_of = found
        return self._accounts_of.get(person_id, ())

    def names_of(self, person_id: str) -> tuple[str, ...]:
        """Their names, as account_key, sorted."""
        return tuple(sorted({record.name for record in self.records_of(person_id)}))

    def person_by_account(
        self, account: str, host: str | None, time_ms: int, system: str = ""
    ) -> PersonRecord | None:
        """Who acts by it on that host at that time, or None."""
        owner = self.users(account, host, system)
        return owner.at(time_ms) if isinstance(owner, Changing) else owner

    def users(self, account: str, host: str | None, system: str = "") -> Owner:
        """Who acts by it on that host, over time."""
        asked = (account, host, system)
        try:
            return self._resolved[asked]
        except KeyError:
            if len(self._resolved) >= _ACCOUNTS_KEPT:
                self._resolved.clear()
            found = self._resolved[asked] = self._look_up(account, host, system)
            return found

    def owner(self, account: AccountRecord, time_ms: int) -> PersonRecord | None:
        """Who answers for it."""
        return self._owner_at(account)(time_ms)

    def holder(self, trait: str, time_ms: int) -> PersonRecord | None:
        """Who holds a machine, a device or an address."""
        found = self._held.of(trait)[1]
        return self._named(found.at(time_ms) if isinstance(found, Changing) else found)

    def holdings(self, trait: str) -> tuple[Binding, ...]:
        """All who ever held it."""
        return self._held.of(trait)[0]

    def handed_to(self, person_id: str) -> frozenset[str]:
        """Who was given a machine, a device or an address after this person had had it."""
        return self._held.handed_to(person_id)

    def _look_up(self, account: str, host: str | None, system: str) -> Owner:
        forms = account_forms(account_key(account), account_key(host or ""))
        listed = [self._of_systems[system, f] for f in forms if (system, f) in self._of_systems]
        for form in forms:
            if form in self._everywhere:
                listed.append(self._everywhere[form])
            if self._erased_form(form):
                # The wider form is somebody else's.
                break
        ways = [(record.kind in _USED_BY_ITS_OWNER, self._owner_at(record)) for record in listed]

        def user_at(time: int) -> PersonRecord | None:
            for is_users_own, owner_at in ways:
                owner = owner_at(time) if is_users_own else None
                if owner is not None or not is_users_own:
                    return owner
            return None

        return changing((m for record in listed for m in moments_of(record.owners)), user_at)

    def _owner_at(self, account: AccountRecord) -> Callable[[int], PersonRecord | None]:
        found = holders(account.owners)
        if isinstance(found, Changing):
            return lambda time: self._named(found.at(time))
        person = self._named(found)
        return lambda _time: person

    def _named(self, person_id: str | None) -> PersonRecord | None:
        return None if person_id is None else self._by_id.get(person_id)

    def erased_account(self, account: str, host: str, time_ms: int, system: str = "") -> str | None:
        """The digest under which the account was erased, where it belongs to nobody at that time."""
        if self.person_by_account(account, host, time_ms, system) is not None:
            return None
        for form in account_forms(account_key(account), account_key(host)):
            record = self._everywhere.get(form)
            if record is not None and self._owner_at(record)(time_ms) is not None:
                return None
            if digest := self._erased_form(form):
                return digest
        return None

    def _erased_form(self, form: str) -> str | None:
        """A digest takes longer than all the rest."""
        if form not in self._erased_forms:
            if len(self._erased_forms) >= _ACCOUNTS_KEPT:
                self._erased_forms.clear()
            self._erased_forms[form] = self.erased.account(form)
        return self._erased_forms[form]

    # ---- where somebody stands, and what the clock shows there ----------------------------------------

    def standing(self, person: PersonRecord) -> Timeline:
        """All of the person's standings over time."""
        try:
            return self._timelines[person.id]
        except KeyError:
            found = self._timelines[person.id] = timeline(person.employments, person.flag, person.time_zone)
            return found

    def status_at(self, person: PersonRecord | None, time_ms: int) -> tuple[PersonStatus, int | None]:
        """Status, and days until the last working day where the person is leaving (negative after it; 0 still
        on that day, once its last hour is over). While somebody is active the last day is None even where HR
        entered it ahead of time."""
        if person is None:
            return PersonStatus.UNKNOWN, None
        status, last_day = self.standing(person).at(time_ms)
        if last_day is None:
            return status, None
        return status, last_day - self.local_day_and_hour(person, time_ms)[0]

    def status_on(self, person: PersonRecord | None, day: int) -> tuple[PersonStatus, int | None]:
        """The same at the beginning of a local day of the person's."""
        if person is None:
            return PersonStatus.UNKNOWN, None
        whole = self.standing(person)
        if len(whole.starts) == 1:
            return whole.standings[0]
        status, last_day = whole.at(first_moment(person.time_zone, day))
        return status, None if last_day is None else last_day - day

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

    def local_day_and_minute(self, person: PersonRecord | None, time_ms: int) -> tuple[int, int]:
        """(day since 1970-01-01, minute of the day), where local_day_and_hour has the hour."""
        return local_day_and_minute(self._time_zone if person is None else person.time_zone, time_ms)

    def off_shift(self, person: PersonRecord | None, time_ms: int) -> bool | None:
        """Whether it is outside the company's working hours where the person is; None: nobody named any."""
        if self._working_hours is None:
            return None
        return self._working_hours.is_off(self._time_zone if person is None else person.time_zone, time_ms)


def people_version(connection: Connection) -> int:
    """Rises with every change of what is declared; 0 before the first. One row read by its key."""
    return _version(connection, _PEOPLE_VERSION)


def whole_version(connection: Connection) -> int:
    """Whoever keeps an older directory than this loads all of it anew (directory_changes.py)."""
    return _version(connection, _WHOLE_VERSION)


def _version(connection: Connection, key: str) -> int:
    value = connection.execute(select(installation.c.value).where(installation.c.key == key)).scalar()
    return 0 if value is None else int(value)


def load_directory(connection: Connection) -> Directory:
    """What is declared, as the connection's snapshot has it."""
    company = load_company(connection)
    known_as = KnownBindings()
    return Directory(
        people_version(connection),
        load_records(connection),
        list(load_accounts(connection, known_as)),
        load_traits(connection, known_as),
        time_zone=company.time_zone,
        calendar=company.calendar,
        erased=load_erased(connection),
        places=CompanyPlaces(company.places),
        working_hours=company.working_hours,
        last_change=connection.execute(select(func.max(people_changes.c.id))).scalar() or 0,
    )


def raise_people_version(connection: Connection, *, whole: bool = True) -> None:
    """In a write transaction that is alone: whoever keeps a directory takes over the people anew. `whole`:
    something changed that `people_changes` does not name, or that is gone."""
    value = str(people_version(connection) + 1)
    keys = (_PEOPLE_VERSION, _WHOLE_VERSION) if whole else (_PEOPLE_VERSION,)
    upsert(connection, installation, [{"key": key, "value": value} for key in keys])
