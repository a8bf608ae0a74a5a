"""Who left and knows the password of a shared or service account because they used it, as machines tell.

From a machine that was declared to be somebody's then, its holder; else all who used the machine meanwhile,
for at rostered desks a password goes round.

Asked for each act of such an account, and one account may be everybody's on all machines. So what each
machine says is kept until a use changes it, and the answer until the next moment at which it may change. Kept
for a batch only. Only people who ever leave are looked at.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from typing import Final

import msgspec

from server.enrich.account_uses import AccountName, KnownToLeft, known_to_left
from server.enrich.left_traits import LeftTraits, Users
from server.enrich.trait_uses import TraitUses, Use
from server.people.directory import AccountRecord, Directory
from server.people.holders import Binding

_ANSWERS_KEPT: Final = 10_000


class _Learned(msgspec.Struct, frozen=True, gc=False):
    """What one use of the password shows, to acts `since` (ms UTC) and before `until` (None: for ever)."""

    binding: Binding
    since: int
    until: int | None = None


class PasswordUsers:
    """Over one batch's uses. `users_of`: who is behind a trait's uses."""

    def __init__(
        self, directory: Directory, left: LeftTraits, uses: TraitUses, users_of: Callable[[str], Users]
    ) -> None:
        self._directory = directory
        self._left = left
        self._uses = uses
        self._users_of = users_of
        self._names: dict[tuple[str, int | None], _OneName] = {}
        self._moments: dict[tuple[str, str], list[int]] = {}
        self._answers: dict[tuple[object, ...], KnownToLeft] = {}

    def clear(self) -> None:
        """Before another batch's uses are loaded."""
        self._names.clear()
        self._moments.clear()
        self._answers.clear()

    def known(self, name: AccountName, record: AccountRecord, time: int) -> KnownToLeft:
        """Who left and knows it, of an account that many know. `time`: ms UTC."""
        account = (record.system, record.name)
        moments = self._moments.get(account)
        if moments is None:
            moments = self._moments[account] = self._moments_of(record)
        asked: list[object] = [account, bisect_right(moments, time)]
        learned: list[_OneName] = []
        for each in name.names:
            of_name = self._names.get((each, record.rotated_at))
            if of_name is None:
                of_name = _OneName(self, each, record.rotated_at)
                self._names[each, record.rotated_at] = of_name
            if of_name.stale:
                of_name.renew()
            if of_name.moments:
                learned.append(of_name)
                asked += (each, of_name.version, bisect_right(of_name.moments, time))
        key = tuple(asked)
        found = self._answers.get(key)
        if found is None:
            if len(self._answers) >= _ANSWERS_KEPT:
                self._answers.clear()
            used_by = [binding for each in learned for binding in each.known_at(time)]
            found = known_to_left(record, used_by, time, directory=self._directory, left=self._left)
            self._answers[key] = found
        return found

    def _moments_of(self, record: AccountRecord) -> list[int]:
        """When what is declared of an account changes."""
        moments = {each.until for each in record.knowers if each.until is not None}
        if record.rotated_at is not None:
            moments.add(record.rotated_at)
        moments.update(self.standings_of(each.person_id for each in (*record.knowers, *record.owners)))
        return sorted(moments)

    def standings_of(self, people: Iterable[str]) -> Iterator[int]:
        """The moments at which any of them comes or goes."""
        for person_id in set(people):
            person = self._directory.person(person_id)
            if person is not None:
                yield from self._directory.standing(person).starts

    def learned_on(self, machine: str, account: str, rotated_at: int | None) -> tuple[_Learned, ...]:
        """What the uses of one machine through an account show of people who ever leave."""
        known = self._uses.of(machine)
        found: list[_Learned] = []
        for use in known.uses.values():
            if use.account != account:
                continue
            holder = self._directory.holder(machine, use.first_time)
            if holder is not None:
                if self._left.ever_leaves(holder):
                    # Nobody forgets it before it is changed.
                    binding = _binding(holder.id, use.first_time, use.last_time, rotated_at)
                    found.append(_Learned(binding, use.first_time))
            elif not known.is_crowd:
                found += _sat_at(self._users_of(machine), use, rotated_at)
        return tuple(found)

    def watch(self, account: str, stale: set[str], rotated_at: int | None) -> None:
        """`stale` takes the machines whose uses may say something else than before."""
        self._uses.watch(account, stale, rotated_at or 0)


class _OneName:
    """What is noted under one of an account's names. `stale`: machines that are to be looked at again."""

    def __init__(self, of: PasswordUsers, account: str, rotated_at: int | None) -> None:
        self._of = of
        self._account = account
        self._rotated_at = rotated_at
        self._learned: dict[str, tuple[_Learned, ...]] = {}
        self.stale: set[str] = set()
        self.version = 0
        self.moments: list[int] = []
        of.watch(account, self.stale, rotated_at)

    def renew(self) -> None:
        changed = False
        for machine in self.stale:
            learned = self._of.learned_on(machine, self._account, self._rotated_at)
            if learned != self._learned.get(machine, ()):
                self._learned[machine] = learned
                changed = True
        self.stale.clear()
        if changed:
            self.version += 1
            moments = set(self._of.standings_of(each.binding.person_id for each in self._all()))
            for each in self._all():
                moments.add(each.since)
                if each.until is not None:
                    moments.add(each.until)
            self.moments = sorted(moments)

    def known_at(self, time: int) -> Iterator[Binding]:
        for each in self._all():
            if each.since <= time and (each.until is None or time < each.until):
                yield each.binding

    def _all(self) -> Iterator[_Learned]:
        for learned in self._learned.values():
            yield from learned


def _sat_at(users: Users, shared: Use, rotated_at: int | None) -> Iterator[_Learned]:
    """Of a machine that is nobody's by declaration. While one person alone had used it, all that was done
    there was theirs; then only what was done meanwhile."""
    second = users.second_since
    for user in users.leaving:
        since = max(user.use.first_time, shared.first_time)
        if since <= shared.last_time and (second is None or since < second):
            yield _Learned(_binding(user.id, since, shared.last_time, rotated_at), since, second)
        last = min(shared.last_time, user.use.last_time)
        if second is not None and since <= last:
            yield _Learned(_binding(user.id, since, last, rotated_at), max(since, second))


def _binding(person_id: str, first: int, last: int, rotated_at: int | None) -> Binding:
    """Until when somebody used it matters only where the password was changed later: else it would change
    with every use."""
    is_past = rotated_at is not None and last < rotated_at
    return Binding(person_id, first, rotated_at if is_past else None, "learned")
