"""What is known around an act at its own time, from all uses of its device, its address, its account.

`look_at` is for enrichment, `left_traits` for whoever asks to whom an act points. Over one batch's uses
(trait_uses.py); an act is looked at before it is noted, so that it is judged by what was there already.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

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
from server.enrich.suspicion import Suspicion, pointers, suspicion
from server.enrich.trait_uses import TraitUses
from server.enrich.traits import Traits, address_trait, traits_of
from server.enrich.who import Who, WhoByTime, WhoIsWho


def surroundings_of(who_is_who: WhoIsWho, uses: TraitUses) -> Surroundings:
    """`uses`: the running batch's."""
    return Surroundings(who_is_who, LeftTraits(who_is_who.directory, who_is_who.person_of), uses)


_SHOWN_KEPT: Final = 20_000


class _Shown(NamedTuple):
    """`address`: the trait of its address, where it points to somebody. `pointing`: all traits that may point
    to somebody: machine, storage device, address, key."""

    traits: Traits
    address: str | None
    pointing: tuple[str, ...]


class Surroundings:
    """Over one version of the directory; `uses` are the running batch's."""

    def __init__(self, who_is_who: WhoIsWho, left: LeftTraits, uses: TraitUses) -> None:
        self.who_is_who = who_is_who
        self._directory = directory = who_is_who.directory
        self._left = left
        self._uses = uses
        self._places = directory.places
        self._passwords = PasswordUsers(directory, left, uses, self._users_of)
        self._users: dict[str, tuple[int, Users]] = {}
        self._leads_to_nobody: dict[str, tuple[int, bool]] = {}
        self._shown_by: dict[int, tuple[Event, _Shown]] = {}
        self._shown_of: dict[int, _Shown] = {}

    def load(
        self,
        connection: Connection,
        acts: Iterable[tuple[Event, Who | WhoByTime]],
        first_day: int,
    ) -> None:
        """Before a batch's acts are looked at. `first_day`: the oldest UTC day that counts."""
        self._forget_batch()
        traits: set[str] = set()
        shared: set[str] = set()
        for event, whose in acts:
            # An account's name is the same, whoever has it.
            who = whose if isinstance(whose, Who) else whose.each[0]
            shown = self._show(event)
            self._shown_by[id(event)] = (event, shown)
            traits.update(who.name.names)
            traits.update(shown.pointing)
            if who.record is not None and who.record.kind in MANY_KNOW:
                shared.update(who.name.names)
        self._uses.load(connection, traits, shared, first_day)

    def load_as_needed(self, connection: Connection, first_day: int) -> None:
        """The same where nobody knows what acts will come, and none will be noted."""
        self._forget_batch()
        self._uses.load_as_needed(connection, first_day)

    def _forget_batch(self) -> None:
        self._users.clear()
        self._leads_to_nobody.clear()
        self._shown_by.clear()
        self._shown_of.clear()
        self._passwords.clear()

    def look_at(self, event: Event, who: Who, time: int) -> Around:
        """`time`: corrected."""
        shown, address, _ = self._shown(event)
        own = [of_name for name in who.name.names if (of_name := self._uses.of(name)).uses]
        known = self._known_to_left(who, time)
        since = used_since(own)
        machine = shown.machine
        directory = self._directory
        declared = [
            each for each in (shown.storage, machine) if each is not None and directory.holdings(each)
        ]
        return Around(
            known_to_left=known.known,
            rotated_since_left=known.rotated,
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

    def note(self, event: Event, who: Who, time: int) -> None:
        """Takes the act into the uses."""
        shown, _, pointing = self._shown(event)
        if shown.shows_use:
            account = who.name.trait
            self._uses.add(account, who.subject, account, time)
            for trait in pointing:
                self._uses.add(trait, who.subject, account, time)

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

    def _shown(self, event: Event) -> _Shown:
        found = self._shown_by.get(id(event))
        return found[1] if found is not None and found[0] is event else self._show(event)

    def _show(self, event: Event) -> _Shown:
        shown = traits_of(event)
        # Of what happens at an endpoint these are the same for many events.
        found = self._shown_of.get(id(shown))
        if found is not None and found.traits is shown:
            return found
        address = None if shown.address is None else self._address(shown.address)
        each = (shown.machine, shown.storage, address, shown.key)
        found = _Shown(shown, address, tuple(trait for trait in each if trait is not None))
        if shown.address is None and shown.key is None:
            if len(self._shown_of) >= _SHOWN_KEPT:
                self._shown_of.clear()
            self._shown_of[id(shown)] = found
        return found

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
        known = self._uses.of(trait)
        asked = self._leads_to_nobody.get(trait)
        if asked is None or asked[0] != known.changed:
            asked = self._leads_to_nobody[trait] = (known.changed, self._left.nobody_leaves(trait, known))
        if asked[1]:
            return None
        actor = None if who.person is None else who.person.id
        own = actor if but_their_own else None
        users = self._users_of(trait)
        return self._left.bound(trait, known, users, subject=who.subject, time=time, actor=actor, own=own)

    def _is_of_left(self, traits: Iterable[str | None], who: Who, time: int) -> bool | None:
        """Whether one of them is bound to people who left; None: there are none."""
        found: bool | None = None
        for trait in traits:
            if trait is not None:
                if self._bound(trait, who, time) is not None:
                    return True
                found = False
        return found
