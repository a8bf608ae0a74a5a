"""What is known around an act at its own time, from all uses of its device, its address, its account.

`look_at` is for enrichment, `left_traits` for whoever asks to whom an act points. Over one batch's uses
(trait_uses.py); an act is looked at before it is noted, so that it is judged by what was there already.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sqlalchemy import Connection

from event_schema.ocsf_account_events import Authentication
from event_schema.ocsf_events import Event
from server.enrich.account_uses import (
    KNOWN_TO_NOBODY,
    MANY_KNOW,
    NOT_KNOWN,
    KnownToLeft,
    dormant_days,
    is_new,
    known_to_left,
    used_since,
)
from server.enrich.around import Around
from server.enrich.declared import assigned_to, company_owned, reissued, trusted
from server.enrich.left_traits import LeftTrait, LeftTraits, Users
from server.enrich.password_users import PasswordUsers
from server.enrich.sessions import OpenSessions, ended, opened
from server.enrich.settings import Setting, Settings, Shown
from server.enrich.steady import Steady, steady
from server.enrich.suspicion import Suspicion, pointers, suspicion
from server.enrich.trait_uses import TraitUses
from server.enrich.traits import address_trait, traits_of
from server.enrich.who import Who, WhoByTime, WhoIsWho


def surroundings_of(who_is_who: WhoIsWho, uses: TraitUses) -> Surroundings:
    """`uses`: the running batch's."""
    return Surroundings(who_is_who, LeftTraits(who_is_who.directory, who_is_who.person_of), uses)


_SHOWN_KEPT: Final = 20_000
_OF_ONE_PERSON: Final = frozenset({"personal", "partner"})


class Surroundings:
    """Over one version of the directory; `uses` are the running batch's."""

    def __init__(self, who_is_who: WhoIsWho, left: LeftTraits, uses: TraitUses) -> None:
        self.who_is_who = who_is_who
        self._directory = directory = who_is_who.directory
        self._left = left
        self._uses = uses
        self._places = directory.places
        self._passwords = PasswordUsers(directory, left, uses, self._users_of)
        self._sessions = OpenSessions()
        self._users: dict[str, tuple[int, Users]] = {}
        self._leads_to_nobody: dict[str, tuple[int, bool]] = {}
        self.settings = Settings(who_is_who, self._show)

    def load(
        self,
        connection: Connection,
        acts: Iterable[tuple[Setting, Who | WhoByTime]],
        first_day: int,
    ) -> None:
        """Before a batch's acts are looked at: their settings, and whose they are. `first_day`: the oldest
        UTC day that counts."""
        self._forget_batch()
        traits: set[str] = set()
        shared: set[str] = set()
        came_in: dict[str, set[str]] = {}
        for setting, whose in acts:
            # An account's name is the same, whoever has it.
            who = whose if isinstance(whose, Who) else whose.each[0]
            traits.update(who.name.names)
            traits.update(setting.shown.pointing)
            if who.record is not None and who.record.kind in MANY_KNOW:
                shared.update(who.name.names)
            if session := self._session(setting.shown, who):
                traits.add(session)
                if (began := setting.shown.began) is not None and setting.shown.address is not None:
                    for name in who.name.names:
                        came_in.setdefault(name, set()).add(began.place)
        self._sessions.load(connection, came_in)
        self._uses.load(connection, traits, shared, first_day)

    @property
    def sessions_dropped(self) -> int:
        """Of this batch, that nobody looked at."""
        return self._sessions.dropped

    def load_as_needed(self, connection: Connection, first_day: int) -> None:
        """The same where nobody knows what acts will come, and none will be noted."""
        self._forget_batch()
        self._uses.load_as_needed(connection, first_day)

    def _forget_batch(self) -> None:
        self._users.clear()
        self._leads_to_nobody.clear()
        self._passwords.clear()
        self._sessions.clear()

    def look_at(self, event: Event, who: Who, time: int, known: Shown | None = None) -> Around:
        """`time`: corrected. `known`: what the event shows, where that is known already."""
        known = known or self._shown(event)
        shown, address = known.traits, known.address
        own = [of_name for name in who.name.names if (of_name := self._uses.of(name)).uses]
        password = self._known_to_left(who, time)
        since = used_since(own)
        machine = shown.machine
        directory = self._directory
        declared = [
            each for each in (shown.storage, machine) if each is not None and directory.holdings(each)
        ]
        return Around(
            known_to_left=password.known,
            rotated_since_left=password.rotated,
            dormant_days=dormant_days(own, time),
            first_seen_ip=None
            if address is None
            else is_new(self._uses.of(address), who.name, who.subject, since, time),
            first_seen_device=None
            if machine is None
            else is_new(self._uses.of(machine), who.name, who.subject, since, time),
            has_device=machine is not None or shown.storage is not None,
            device_of_left=self._is_of_left((machine, shown.storage), who, time),
            has_address=shown.address is not None,
            address_of_left=self._is_of_left((address,), who, time),
            historical_users=None if address is None else self._number(address, time),
            corporate_network=None if shown.address is None else self._places.is_corporate(shown.address),
            session_elsewhere=None
            if known.began is None or not _is_one_persons(who)
            else self._sessions.elsewhere(who.name.names, known.began, time),
            credential_outlived=None if shown.key is None else self._outlived(shown.key, who, time),
            assigned_to=assigned_to(directory, declared, time) if declared else None,
            reissued=reissued(directory, declared, time) if declared else None,
            trusted=trusted(directory, shown, time),
            company_owned=company_owned(event, self._places),
            off_shift=directory.off_shift(who.person, time),
        )

    def left_traits(self, event: Event, who: Who, time: int) -> tuple[LeftTrait, ...]:
        """Traits of an act that are bound to others who have left, with how many more ever used each:
        machine, storage device, address, key, in that order. `time`: corrected."""
        found = (self._bound(trait, who, time) for trait in self._shown(event).pointing)
        return tuple(each for each in found if each is not None)

    def left_who_know(self, who: Who, time: int) -> tuple[str, ...]:
        """Ids of people who left and still know the account's password, the latest to leave first."""
        return self._known_to_left(who, time).people

    def suspicion(self, event: Event, who: Who, time: int, around: Around) -> Suspicion | None:
        """Who has left, and may be behind it. `around`: as `look_at` said. `time`: corrected."""
        has_key = isinstance(event, Authentication) and event.user.credential_uid is not None
        leads = around.device_of_left or around.address_of_left or around.known_to_left or has_key
        if not leads:
            # As with nearly every event.
            return None
        bound = self.left_traits(event, who, time)
        knowing = self.left_who_know(who, time) if around.known_to_left and who.person is None else ()
        found = pointers(event, bound, knowing, who.name.names[0].removeprefix("account:"))
        return suspicion(self._directory, who.person, who.account.owner_id, time, found)

    def note(self, event: Event, who: Who, time: int, known: Shown | None = None) -> None:
        """Takes the act into the uses."""
        self.note_several(known or self._shown(event), who, time, 1)

    def note_several(self, known: Shown, who: Who, last: int, count: int) -> None:
        """So many acts that show this. `last`: when the latest was (ms UTC); of several none is the oldest
        that is known."""
        if known.traits.shows_use:
            account = who.name.trait
            self._uses.add(account, who.subject, account, last, count)
            for trait in known.pointing:
                self._uses.add(trait, who.subject, account, last, count)
            if known.address is not None:
                self._sessions.note(account, known.address, last)
        if session := self._session(known, who):
            self._uses.add(session, who.subject, who.name.trait, last, count)
            self._sessions.note(who.name.trait, session, last)

    def _session(self, shown: Shown, who: Who) -> str | None:
        """The trait of the session that began, or of its end, where the account is one person's."""
        if (shown.began is None and shown.ended is None) or not _is_one_persons(who):
            return None
        return shown.ended if shown.began is None else shown.began.trait

    def steady(self, known: Shown, who: Who, time: int) -> Steady | None:
        """For how long `look_at` says the same of acts that show this, and nobody is suspected; None: not
        even for one more."""
        if any(self._leads_to_others(trait, who) for trait in known.pointing):
            return None
        return steady(self._directory, self._uses, known, who, time)

    def _outlived(self, key: str, who: Who, time: int) -> bool | None:
        """Whether a key was in use before whose it is left. Whose it is: declared; else who used it; else who
        answered for the account when it first used the key. None: nobody knows."""
        if self._bound(key, who, time, but_their_own=False) is not None:
            return True
        if self._directory.holder(key, time) is not None:
            return False
        uses = [use for use in self._uses.of(key).uses.values() if use.account in who.name.names]
        first = min((use.first_time for use in uses), default=time)
        if first >= time or who.record is None:
            return None
        owner = self._directory.owner(who.record, first)
        if owner is None:
            return None
        left_at = self._left.left_since(owner, time)
        # A service's key that somebody else answers for by now is theirs.
        now = self._directory.owner(who.record, time)
        return left_at is not None and first < left_at and (now is None or now.id == owner.id)

    def _known_to_left(self, who: Who, time: int) -> KnownToLeft:
        record = who.record
        if record is None:
            return NOT_KNOWN
        if not record.knowers and record.kind not in MANY_KNOW:
            return KNOWN_TO_NOBODY
        if record.kind in MANY_KNOW:
            return self._passwords.known(who.name, record, time)
        return known_to_left(record, (), time, directory=self._directory, left=self._left)

    def _shown(self, event: Event) -> Shown:
        return self.settings.of(event).shown

    def _show(self, event: Event) -> Shown:
        traits = traits_of(event)
        address = None if traits.address is None else self._address(traits.address)
        each = (traits.machine, traits.storage, address, traits.key)
        pointing = tuple(trait for trait in each if trait is not None)
        if isinstance(event, Authentication):
            return Shown(traits, address, pointing, opened(event, self._places), ended(event))
        return Shown(traits, address, pointing)

    def _address(self, address: str | None) -> str | None:
        """Its trait; the company's own addresses go from hand to hand and tell of nobody."""
        if address is None or self._places.is_corporate(address):
            return None
        return address_trait(address)

    def _users_of(self, trait: str) -> Users:
        known = self._uses.of(trait)
        kept = self._users.get(trait)
        if kept is not None and kept[0] == known.changed:
            return kept[1]
        found = self._left.users(known)
        self._users[trait] = (known.changed, found)
        return found

    def _number(self, trait: str, time: int) -> int:
        uses = self._uses.of(trait).uses
        if not uses:
            return 0
        only = next(iter(uses.values()))
        if len(uses) == 1 and only.subject.startswith("person:"):
            return int(only.first_time < time)
        return self._users_of(trait).number(time)

    def _bound(self, trait: str, who: Who, time: int, *, but_their_own: bool = True) -> LeftTrait | None:
        if self._leads_nowhere(trait):
            return None
        known = self._uses.of(trait)
        actor = None if who.person is None else who.person.id
        own = actor if but_their_own else None
        users = self._users_of(trait)
        return self._left.bound(trait, known, users, subject=who.subject, time=time, actor=actor, own=own)

    def _leads_to_others(self, trait: str, who: Who) -> bool:
        """Whether it may be bound to anybody but whoever acts."""
        if self._leads_nowhere(trait):
            return False
        actor = None if who.person is None else who.person.id
        declared = (binding.person_id for binding in self._directory.holdings(trait))
        leaving = (user.id for user in self._users_of(trait).leaving)
        return any(person_id != actor for person_id in (*declared, *leaving))

    def _leads_nowhere(self, trait: str) -> bool:
        """Whether it cannot be bound to anybody: as with nearly every trait."""
        known = self._uses.of(trait)
        asked = self._leads_to_nobody.get(trait)
        if asked is None or asked[0] != known.changed:
            asked = self._leads_to_nobody[trait] = (known.changed, self._left.nobody_leaves(trait, known))
        return asked[1]

    def _is_of_left(self, traits: Iterable[str | None], who: Who, time: int) -> bool | None:
        """Whether one of them is bound to people who left; None: there are none."""
        found: bool | None = None
        for trait in traits:
            if trait is not None:
                if self._bound(trait, who, time) is not None:
                    return True
                found = False
        return found


def _is_one_persons(who: Who) -> bool:
    return who.record is not None and who.record.kind in _OF_ONE_PERSON
