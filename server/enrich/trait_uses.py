"""Who used which machine, device, address and key, through which account, since when: `trait_uses`.

A use is a first time, a last time and a count over a subject's events: minima, maxima and sums, so neither
the order in which events came nor how they were cut into batches shows in what is kept. An account is a
trait of its own (`account:kefu`), which tells when it was used.

Nothing is kept between batches, as with known exports: each batch asks for the traits of its own events, so
that it knows what other workers stored and not what was erased, and one that is worked out again begins
anew. Every row belongs to a subject of the batch, whose version guards it (state_versions.py).

What remains of the order of arrival: an event is judged by the uses that are known when it is worked out,
of those that had begun by its own time. An older event that comes later shows a use that was not known yet.

Bounded: a trait keeps USES_MAX uses. It is a crowd's then (a provider's gateway, a kiosk), which says nothing
of anybody: further users are not kept, and counted (`dropped`). Of a shared account the MACHINES_MAX
machines on which it was last used are looked at, and those that are new to it in the batch.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, func, or_, select

from server.retention import DAY_MS
from server.store.column_types import key_text
from server.store.tables import trait_uses
from server.store.tables.uses import TRAIT_CHARACTERS

USES_MAX: Final = 256
MACHINES_MAX: Final = 64
_TRAITS_A_QUERY: Final = 500
_MACHINES: Final = ("host:", "device:")
_LAST: Final = "\U0010ffff"
"""Sorts behind every other character."""


class Use(msgspec.Struct, gc=False):
    """Of a trait by a subject through an account; ms UTC. `is_noted`: in this batch."""

    subject: str
    account: str
    first_time: int
    last_time: int
    count: int = 0
    is_noted: bool = False


class UsesOfTrait:
    """All known uses of one trait. `changed` rises when a use is new, or turns out to be older. `first_time`:
    of the oldest; `latest`: that ended last; None: there are none."""

    def __init__(self) -> None:
        self.uses: dict[tuple[str, str], Use] = {}
        self.changed = 0
        self.first_time: int | None = None
        self.latest: Use | None = None
        self._watching: list[set[str]] = []
        self._settled_at = 0

    @property
    def is_crowd(self) -> bool:
        return len(self.uses) >= USES_MAX

    def keep(self, use: Use) -> None:
        """Takes a use into them, or one of them that has become longer."""
        self.uses[use.subject, use.account] = use
        if self.first_time is None or use.first_time < self.first_time:
            self.first_time = use.first_time
        if self.latest is None or use.last_time >= self.latest.last_time:
            self.latest = use

    def last_before(self, time: int) -> int | None:
        """The last time of those that had begun by then; None: none had."""
        latest = self.latest
        if latest is None or latest.first_time <= time:
            return None if latest is None else latest.last_time
        return max((use.last_time for use in self.uses.values() if use.first_time <= time), default=None)

    def watch(self, stale: set[str], settled_at: int) -> None:
        """`stale` takes the trait when a use is new, turns out to be older, or goes on that had ended before
        another began, or before `settled_at`: what is later changes nothing of who used it meanwhile."""
        self._watching.append(stale)
        begun = (use.first_time for use in self.uses.values())
        self._settled_at = max(self._settled_at, settled_at, max(begun, default=0))

    def tell(self, trait: str, time: int, ended: int | None) -> None:
        """Before a use at `time` is kept. `ended`: when that use had ended before; None: it begins now, or
        began earlier than was known."""
        if self._watching and (ended is None or ended < self._settled_at):
            self._settled_at = max(self._settled_at, time)
            for stale in self._watching:
                stale.add(trait)


class TraitUses:
    """What is known of one batch's traits. `load` first. `changes` rises whenever the `changed` of one does.
    `first_time`: of the oldest use that counts (ms UTC)."""

    def __init__(self) -> None:
        self._traits: dict[str, UsesOfTrait] = {}
        self._machines: dict[str, set[str]] = {}
        self._watching: dict[str, list[tuple[set[str], int]]] = {}
        self._noted: list[tuple[str, Use]] = []
        self._asked: Connection | None = None
        self.first_time = 0
        self.changes = 0
        self.dropped = 0

    def load(
        self,
        connection: Connection,
        traits: Iterable[str],
        shared: Iterable[str],
        first_day: int,
    ) -> None:
        """Asks for these, and forgets those of other batches. `shared`: accounts of which it matters from
        which machines they were used, and by whom those are. `first_day`: the oldest UTC day that counts."""
        self._begin(first_day, None)
        self._machines = {account: self._machines_of(connection, account) for account in set(shared)}
        self._read(connection, {*traits, *(trait for found in self._machines.values() for trait in found)})

    def load_as_needed(self, connection: Connection, first_day: int) -> None:
        """Asks for each when it is looked at: until the next load."""
        self._begin(first_day, connection)

    def _begin(self, first_day: int, asked: Connection | None) -> None:
        self._noted = []
        self.dropped = 0
        self.first_time = first_day * DAY_MS
        self._traits = {}
        self._machines = {}
        self._watching = {}
        self._asked = asked

    def _read(self, connection: Connection, traits: Iterable[str]) -> None:
        wanted = sorted(traits)
        self._traits.update((trait, UsesOfTrait()) for trait in wanted)
        row = trait_uses.c
        query = select(row.trait, row.subject, row.account, row.first_time, row.last_time, row.count)
        for start in range(0, len(wanted), _TRAITS_A_QUERY):
            some = row.trait.in_(wanted[start : start + _TRAITS_A_QUERY])
            found = connection.execute(query.where(some, row.last_time >= self.first_time)).all()
            for trait, subject, account, first, last, count in found:
                self._traits[trait].keep(Use(subject, account, first, last, count))

    def _machines_of(self, connection: Connection, account: str) -> set[str]:
        row = trait_uses.c
        last = func.max(row.last_time)
        query = select(row.trait).where(row.account == account, row.last_time >= self.first_time)
        is_machine = or_(*(row.trait.between(kind, f"{kind}{_LAST}") for kind in _MACHINES))
        used_last = query.where(is_machine).group_by(row.trait).order_by(last.desc(), row.trait)
        return set(connection.execute(used_last.limit(MACHINES_MAX)).scalars())

    def watch(self, account: str, stale: set[str], settled_at: int) -> None:
        """`stale` takes the machines from which an account was used (all, of one that was loaded as shared),
        and each of them again when its uses change (UsesOfTrait.watch). Until the next load."""
        if self._asked is not None and account not in self._machines:
            self._machines[account] = self._machines_of(self._asked, account)
        self._watching.setdefault(account, []).append((stale, settled_at))
        for machine in self._machines.get(account, ()):
            stale.add(machine)
            self.of(machine).watch(stale, settled_at)

    def of(self, trait: str) -> UsesOfTrait:
        """One of those that were loaded; any other has no uses."""
        found = self._traits.get(trait)
        if found is None:
            if self._asked is not None:
                self._read(self._asked, [trait])
                return self._traits[trait]
            found = self._traits[trait] = UsesOfTrait()
        return found

    def add(self, trait: str, subject: str, account: str, time: int, count: int = 1) -> None:
        """Notes a use; one that is past its end is none. `count`: of so many, this one the last, where none
        of them is older than was known."""
        if time < self.first_time:
            return
        known = self._traits.get(trait) or self.of(trait)
        use = known.uses.get((subject, account))
        if use is None:
            if known.is_crowd:
                self.dropped += count
                return
            use = Use(subject, account, time, time)
            known.changed += 1
            self.changes += 1
            if trait.startswith(_MACHINES):
                self._used_on(trait, known, account)
            known.tell(trait, time, None)
            known.keep(use)
        elif time < use.first_time:
            use.first_time = time
            known.changed += 1
            self.changes += 1
            known.tell(trait, time, None)
            known.keep(use)
        elif time > use.last_time:
            known.tell(trait, time, use.last_time)
            use.last_time = time
            known.keep(use)
        use.count += count
        if not use.is_noted:
            use.is_noted = True
            self._noted.append((trait, use))

    def _used_on(self, machine: str, known: UsesOfTrait, account: str) -> None:
        machines = self._machines.setdefault(account, set())
        if machine not in machines:
            machines.add(machine)
            for stale, settled_at in self._watching.get(account, ()):
                known.watch(stale, settled_at)

    def rows(self) -> list[dict[str, Any]]:
        """Those that the batch changed, as `trait_uses` has them."""
        return [
            {
                "trait": trait,
                "subject": use.subject,
                "account": use.account,
                "first_time": use.first_time,
                "last_time": use.last_time,
                "count": use.count,
            }
            for trait, use in self._noted
        ]


def account_trait(name: str, system: str = "") -> str:
    """An account as it is listed, or as NAME@HOST where nobody lists it; both as account_key."""
    return key_text(f"account:{system}\\{name}" if system else f"account:{name}", TRAIT_CHARACTERS)
