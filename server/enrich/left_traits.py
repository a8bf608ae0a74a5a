"""Which traits point to somebody who left: over all uses of a trait, for a moment. Pure.

A trait is bound to people who left where, at the moment that is asked about,
- somebody else than whose account it is has left and used it before, or it is declared to be theirs;
- nobody else did meanwhile: no person who has not left used it both after those people had begun to and
  before the last of them left. Who had it before them does not count, nor who began afterwards: such uses
  are what is asked about;
- it is not declared to be somebody's who has not left (reissued), and what was declared of those who left
  has not been taken back;
- whoever acts now did not use it before they left;
- it is no crowd's.

Shared and service accounts, root and its like tell of nobody: their uses neither bind a trait nor free it. An
account that belongs to nobody known is somebody who has not left.

Whoever is behind an account is asked of the directory now, so that what HR says later counts; standings are
those at the moment itself.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from event_schema.leaver_fields import PersonStatus
from server.enrich.trait_uses import Use, UsesOfTrait
from server.people.directory import Directory, PersonRecord
from server.people.erased import NO_ACCOUNT, is_cut

_TELL_NOBODY: Final = frozenset({"root", "administrator", "admin", "guest", NO_ACCOUNT})
_NOBODYS_KINDS: Final = frozenset({"shared", "service"})
_PERSON: Final = "person:"
_SUBJECTS_KEPT: Final = 200_000


class LeftTrait(msgspec.Struct, frozen=True):
    """A trait that is bound to people who left. `people`: their ids, the one who used it last first.
    `left_at`: when the last of them did. `first_used`, `last_used`: by them; None: it is only declared to be
    theirs. `users`: how many had ever used it before; `others`: those of them that are neither these people
    nor whoever acts now. All ms UTC."""

    trait: str
    people: tuple[str, ...]
    left_at: int
    first_used: int | None
    last_used: int | None
    users: int
    others: int


class User(msgspec.Struct, frozen=True, gc=False):
    """Whoever is behind a use. `id`: the person's, else the subject. `is_one`: a person, known or not; an
    account that many use is none."""

    id: str
    person: PersonRecord | None
    is_one: bool
    use: Use


class Users:
    """All users of a trait, as known now."""

    def __init__(self, users: tuple[User, ...], leaving: tuple[User, ...]) -> None:
        self.users = users
        self.leaving = leaving
        """Those of them who ever leave."""
        first: dict[str, int] = {}
        for user in filter(lambda each: each.is_one, users):
            first[user.id] = min(user.use.first_time, first.get(user.id, user.use.first_time))
        self._first_times = sorted(first.values())

    @property
    def second_since(self) -> int | None:
        """Since when it has been more than one's; None: it has not."""
        return self._first_times[1] if len(self._first_times) > 1 else None

    def number(self, time: int) -> int:
        """How many had used it before."""
        return bisect_left(self._first_times, time)


class LeftTraits:
    """Over one version of the directory. `person_of`: the person of a subject."""

    def __init__(self, directory: Directory, person_of: Callable[[str], PersonRecord | None]) -> None:
        self._directory = directory
        self._person_of = person_of
        self._leaves: dict[str, bool] = {}

    def nobody_leaves(self, trait: str, known: UsesOfTrait) -> bool:
        """Whether the trait cannot be bound to anybody: quicker than to ask who is behind its uses."""
        if self._directory.holdings(trait):
            return False
        leaves = self._leaves
        for subject, _ in known.uses:
            found = leaves.get(subject)
            if found is None:
                person = self._person_of(subject) if subject.startswith(_PERSON) else None
                # Whose an account is that belonged to nobody is asked each time.
                found = person is None or self.ever_leaves(person)
                if len(leaves) >= _SUBJECTS_KEPT:
                    leaves.clear()
                leaves[subject] = found
            if found:
                return False
        return True

    def users(self, known: UsesOfTrait) -> Users:
        """Who is behind its uses."""
        found = tuple(self._user(use) for use in known.uses.values())
        return Users(
            found, tuple(user for user in found if user.person is not None and self.ever_leaves(user.person))
        )

    def ever_leaves(self, person: PersonRecord) -> bool:
        return len(self._directory.standing(person).starts) > 1

    def left_since(self, person: PersonRecord, time: int) -> int | None:
        """Since when somebody is gone who has left at that time; None: has not."""
        line = self._directory.standing(person)
        number = line.number(time)
        if line.standings[number][0] is not PersonStatus.LEFT:
            return None
        while number and line.standings[number - 1][0] is PersonStatus.LEFT:
            number -= 1
        return line.starts[number]

    def bound(
        self,
        trait: str,
        known: UsesOfTrait,
        users: Users,
        *,
        subject: str,
        time: int,
        actor: str | None = None,
        own: str | None = None,
    ) -> LeftTrait | None:
        """The trait as bound to people who left; None: it is not. `subject`: who acts at that time; `actor`:
        the person's id, where it is a person's account: older uses of theirs may be an account's that HR had
        not listed. `own`: the id of a person who is not looked for, since it is their account."""
        if known.is_crowd:
            return None
        declared, given_back, is_anothers = self._declared(trait, time)
        if is_anothers or not (declared or users.leaving):
            return None
        leaving = [user for user in users.leaving if user.use.first_time <= time]
        gone = {person: left_at for person, left_at in declared.items() if person != own}
        for user in leaving:
            if user.id == own:
                continue
            if user.person is not None and user.id not in gone and user.id not in given_back:
                left_at = self.left_since(user.person, time)
                if left_at is not None and user.use.first_time < left_at:
                    gone[user.id] = left_at
        if not gone:
            return None
        theirs = [user for user in leaving if user.id in gone]
        left_at = max(gone.values())
        first = min((user.use.first_time for user in theirs), default=None)
        for user in users.users:
            use = user.use
            if use.first_time > time or use.first_time >= left_at or user.id in gone or not user.is_one:
                continue
            is_own = use.subject == subject or user.id == actor
            if not (is_own or first is None or use.last_time >= first):
                continue
            # Who has left by now frees nothing.
            if user.person is None or self.left_since(user.person, time) is None:
                return None
        begun = [user for user in users.users if user.use.first_time <= time]
        return LeftTrait(
            trait,
            _in_turn(gone, theirs),
            left_at,
            first,
            max((min(user.use.last_time, time) for user in theirs), default=None),
            users.number(time),
            len({u.id for u in begun if u.id not in gone and u.use.subject != subject and u.id != actor}),
        )

    def _declared(self, trait: str, time: int) -> tuple[dict[str, int], frozenset[str], bool]:
        """(people who left, with when, whose it is declared to be; those who gave it back; whether it is
        somebody's who has not left)."""
        holdings = self._directory.holdings(trait)
        if not holdings:
            return {}, frozenset(), False
        holder = self._directory.holder(trait, time)
        declared: dict[str, int] = {}
        if holder is not None:
            left_at = self.left_since(holder, time)
            if left_at is None:
                return {}, frozenset(), True
            declared[holder.id] = left_at
        given_back = {b.person_id for b in holdings if b.until is not None and b.until <= time}
        return declared, frozenset(given_back - declared.keys()), False

    def _user(self, use: Use) -> User:
        subject = use.subject
        if subject.startswith(_PERSON):
            person = self._person_of(subject)
            return User(person.id if person is not None else subject, person, is_one=True, use=use)
        if is_cut(subject):
            return User(subject, None, is_one=True, use=use)
        name, _, host = subject.removeprefix("account:").rpartition("@")
        system = use.account.removeprefix("account:").partition("\\")[0]
        # HR may have named its owner since.
        person = self._directory.person_by_account(name, host, use.last_time, system)
        if person is not None:
            return User(person.id, person, is_one=True, use=use)
        listed = self._directory.account(name, host, system)
        many = name in _TELL_NOBODY or (listed is not None and listed.kind in _NOBODYS_KINDS)
        return User(subject, None, is_one=not many, use=use)


def _in_turn(gone: dict[str, int], theirs: Iterable[User]) -> tuple[str, ...]:
    last = {user.id: user.use.last_time for user in theirs}
    return tuple(sorted(gone, key=lambda person: (-last.get(person, 0), person)))
