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
of anybody: further users are not kept, and counted (`dropped`). Of a shared account as many machines
are looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, or_, select

from server.retention import DAY_MS
from server.store.column_types import key_text
from server.store.tables import trait_uses
from server.store.tables.uses import TRAIT_CHARACTERS

USES_MAX: Final = 256
_TRAITS_A_QUERY: Final = 500
_MACHINES: Final = ("host:", "device:")
_LAST: Final = "\U0010ffff"
"""Sorts behind every other character."""


class Use(msgspec.Struct, gc=False):
    """Of a trait by a subject through an account; ms UTC."""

    subject: str
    account: str
    first_time: int
    last_time: int
    count: int = 0


class UsesOfTrait:
    """All known uses of one trait. `changed` rises when a use is new, or turns out to be older."""

    def __init__(self) -> None:
        self.uses: dict[tuple[str, str], Use] = {}
        self.changed = 0

    @property
    def is_crowd(self) -> bool:
        return len(self.uses) >= USES_MAX


class TraitUses:
    """What is known of one batch's traits. `load` first."""

    def __init__(self) -> None:
        self._traits: dict[str, UsesOfTrait] = {}
        self._machines: dict[str, set[str]] = {}
        self._dirty: dict[tuple[str, str, str], Use] = {}
        self._first_time = 0
        self._asked: Connection | None = None
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
        self._dirty = {}
        self.dropped = 0
        self._first_time = first_day * DAY_MS
        self._traits = {}
        self._machines = {}
        self._asked = asked

    def _read(self, connection: Connection, traits: Iterable[str]) -> None:
        wanted = sorted(traits)
        self._traits.update((trait, UsesOfTrait()) for trait in wanted)
        row = trait_uses.c
        query = select(row.trait, row.subject, row.account, row.first_time, row.last_time, row.count)
        for start in range(0, len(wanted), _TRAITS_A_QUERY):
            some = row.trait.in_(wanted[start : start + _TRAITS_A_QUERY])
            found = connection.execute(query.where(some, row.last_time >= self._first_time)).all()
            for trait, subject, account, first, last, count in found:
                self._traits[trait].uses[subject, account] = Use(subject, account, first, last, count)

    def _machines_of(self, connection: Connection, account: str) -> set[str]:
        row = trait_uses.c
        query = select(row.trait).distinct().where(row.account == account, row.last_time >= self._first_time)
        is_machine = or_(*(row.trait.between(kind, f"{kind}{_LAST}") for kind in _MACHINES))
        return set(connection.execute(query.where(is_machine).limit(USES_MAX)).scalars())

    def machines_of(self, accounts: Iterable[str]) -> Iterator[tuple[str, Use]]:
        """From which machines these accounts were used: all, of those that were loaded as shared."""
        for account in accounts:
            if self._asked is not None and account not in self._machines:
                self._machines[account] = self._machines_of(self._asked, account)
            for trait in sorted(self._machines.get(account, ())):
                for use in self.of(trait).uses.values():
                    if use.account == account:
                        yield trait, use

    def of(self, trait: str) -> UsesOfTrait:
        """One of those that were loaded; any other has no uses."""
        found = self._traits.get(trait)
        if found is None:
            if self._asked is not None:
                self._read(self._asked, [trait])
                return self._traits[trait]
            found = self._traits[trait] = UsesOfTrait()
        return found

    def add(self, trait: str, subject: str, account: str, time: int) -> None:
        """Notes a use; one that is past its end is none."""
        if time < self._first_time:
            return
        known = self.of(trait)
        use = known.uses.get((subject, account))
        if use is None:
            if known.is_crowd:
                self.dropped += 1
                return
            use = known.uses[subject, account] = Use(subject, account, time, time)
            known.changed += 1
            if trait.startswith(_MACHINES):
                self._machines.setdefault(account, set()).add(trait)
        elif time < use.first_time:
            use.first_time = time
            known.changed += 1
        use.last_time = max(use.last_time, time)
        use.count += 1
        self._dirty[trait, subject, account] = use

    def rows(self) -> list[dict[str, Any]]:
        """Those that the batch changed, as `trait_uses` has them."""
        return [{"trait": trait, **msgspec.structs.asdict(use)} for (trait, _, _), use in self._dirty.items()]


def account_trait(name: str, system: str = "") -> str:
    """An account as it is listed, or as NAME@HOST where nobody lists it; both as account_key."""
    return key_text(f"account:{system}\\{name}" if system else f"account:{name}", TRAIT_CHARACTERS)
