"""For how long what was said of an act holds for further acts of its setting. Pure.

What uses say of an act (surroundings.py) depends on its time and on uses that may change meanwhile. Most
accounts are used where they always are, so that the answer stays the same until a known moment: the end of
a quarter of an hour, of an account's first week, of a holding. `steady` gives that span. It is careful: where
it is not plain (shared accounts, keys, traits of people who leave, an account that slept) there is none, and
each act is looked at by itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from server.enrich.account_uses import ASLEEP_DAYS, LEARNING_MS, MANY_KNOW, NEW_MS, AccountName, used_since
from server.enrich.settings import Shown
from server.enrich.trait_uses import TraitUses, UsesOfTrait
from server.enrich.who import Who
from server.people.directory import Directory
from server.people.holders import moments_of
from server.retention import DAY_MS

SLOT_MS: Final = 15 * 60 * 1000
"""Within it neither the local hour nor working time changes."""


class Steady:
    """From `since` to before `until` (ms UTC), while `holds` says so."""

    __slots__ = ("_changed", "_changes", "_time", "_uses", "_watched", "since", "until")

    def __init__(self, uses: TraitUses, watched: Iterable[UsesOfTrait], time: int) -> None:
        self._time = time
        self._uses = uses
        self._watched = tuple(watched)
        self._changes = uses.changes
        self._changed = self._count()
        self.since = time - time % SLOT_MS
        self.until = self.since + SLOT_MS

    def holds(self, time: int) -> bool:
        if not self.since <= time < self.until:
            return False
        if self._changes != self._uses.changes:
            if self._count() != self._changed:
                return False
            self._changes = self._uses.changes
        return True

    def moment(self, moment: int) -> None:
        """Something else holds from then on."""
        if moment <= self._time:
            self.since = max(self.since, moment)
        else:
            self.until = min(self.until, moment)

    def begins(self, moment: int) -> bool:
        """It holds from then on; False where that is still to come."""
        self.since = max(self.since, moment)
        return moment <= self._time

    def _count(self) -> int:
        return sum(known.changed for known in self._watched)


def steady(
    directory: Directory,
    uses: TraitUses,
    known: Shown,
    who: Who,
    time: int,
) -> Steady | None:
    """After an act like this was noted, none of whose traits may be bound to anybody else."""
    shown, address, pointing = known.traits, known.address, known.pointing
    record = who.record
    if record is not None and (record.knowers or record.kind in MANY_KNOW):
        return None
    if shown.key is not None:
        return None
    own = [uses.of(name) for name in who.name.names]
    span = Steady(uses, {*own, *map(uses.of, pointing)}, time)
    if not span.begins(uses.first_time) or not _is_awake(span, own, time):
        return None
    if shown.shows_use and not _goes_on(span, uses, who, pointing):
        return None
    for moment in who.standing.starts:
        span.moment(moment)
    since = used_since(own)
    for trait in filter(None, (address, shown.machine)):
        if since is not None:
            _while_new(span, uses.of(trait), who.name, who.subject, since, time)
    if address is not None:
        for use in uses.of(address).uses.values():
            # Whoever begins at this moment does not count yet.
            span.moment(use.first_time + 1)
    for trait in filter(None, (shown.storage, shown.machine)):
        for moment in moments_of(directory.holdings(trait)):
            span.moment(moment)
    return span


def _goes_on(span: Steady, uses: TraitUses, who: Who, pointing: Iterable[str]) -> bool:
    """Whether noting another act makes no use older, and none new."""
    for trait in (who.name.trait, *pointing):
        use = uses.of(trait).uses.get((who.subject, who.name.trait))
        if use is None or not span.begins(use.first_time):
            return False
    return True


def _is_awake(span: Steady, own: Iterable[UsesOfTrait], time: int) -> bool:
    """Whether nothing is said of an account's sleep (account_uses.dormant_days), and will not be: later uses
    only make it shorter."""
    newest: int | None = None
    for known in own:
        latest = known.latest
        if latest is not None:
            if not span.begins(latest.first_time):
                return False
            newest = latest.last_time if newest is None else max(newest, latest.last_time)
    if newest is not None:
        end = newest + ASLEEP_DAYS * DAY_MS
        span.until = min(span.until, end)
        return time < end
    return True


def _while_new(
    span: Steady, known: UsesOfTrait, account: AccountName, subject: str, used_since: int, time: int
) -> None:
    """The moments at which account_uses.is_new says something else."""
    span.moment(used_since + LEARNING_MS)
    own = known.uses.get((subject, account.trait))
    if own is not None:
        span.moment(own.first_time + NEW_MS)
    first = min((use.first_time for use in known.uses.values() if use.account in account.names), default=None)
    if first is not None:
        span.moment(first + NEW_MS)
