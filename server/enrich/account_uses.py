"""What an account's own history says at a time: who that left knows it, how long it slept, what is new to it.

An account has a name of its own here (`AccountName`): as it is listed, else as NAME@HOST; so what was noted
before HR listed it counts further on the same host. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from server.enrich.left_traits import LeftTraits
from server.enrich.trait_uses import UsesOfTrait, account_trait
from server.people.directory import AccountRecord, Directory
from server.people.holders import Binding
from server.people.pseudonyms import account_subject
from server.retention import DAY_MS
from server.store.column_types import key_text
from server.store.tables.uses import TRAIT_CHARACTERS

LEARNING_MS: Final = 7 * DAY_MS
"""Nothing is called new to an account that was first used since: there is nothing to compare it with."""
NEW_MS: Final = DAY_MS
"""So long what an account uses for the first time is new to it."""
ASLEEP_DAYS: Final = 14
"""An account that was not used for less is in use."""
MANY_KNOW: Final = frozenset({"shared", "service"})


class AccountName(msgspec.Struct, frozen=True, gc=False):
    """`trait`: the account's own; `names`: under which its uses may be noted, that one first."""

    trait: str
    names: tuple[str, ...]


class KnownToLeft(msgspec.Struct, frozen=True):
    """`known`: somebody who left still knows its password. `rotated`: it was changed after all of those who
    knew it had left; None: nobody who left knew it. `people`: ids of who still know it."""

    known: bool | None = None
    rotated: bool | None = None
    people: tuple[str, ...] = ()


NOT_KNOWN: Final = KnownToLeft()
KNOWN_TO_NOBODY: Final = KnownToLeft(known=False)


def account_name(account: str, host: str, record: AccountRecord | None) -> AccountName:
    """`record`: as it is listed."""
    unlisted = key_text(account_subject(account, host), TRAIT_CHARACTERS)
    if record is None:
        return AccountName(unlisted, (unlisted,))
    trait = account_trait(record.name, record.system)
    return AccountName(trait, (trait, unlisted))


def known_to_left(
    record: AccountRecord,
    used_by: Iterable[Binding],
    time: int,
    *,
    directory: Directory,
    left: LeftTraits,
) -> KnownToLeft:
    """Who of those who have left at that time knew the password when they left, and whether it was changed
    since. Who knows it: whom it is declared to be known to; of a shared or service account also who answered
    for it, and who used it (`used_by`). Changes of the
    password that came later than `time` do not count, nor does what somebody learned after leaving."""
    knowing = [each for each in record.knowers if each.until is None or each.until > time]
    if record.kind in MANY_KNOW:
        knowing += record.owners
        knowing += used_by
    if not knowing:
        return KNOWN_TO_NOBODY
    rotated_at = record.rotated_at if record.rotated_at is not None and record.rotated_at <= time else None
    ever: dict[str, int] = {}
    still: dict[str, int] = {}
    for binding in knowing:
        person = directory.person(binding.person_id)
        left_at = None if person is None else left.left_since(person, time)
        if left_at is None or (binding.since is not None and binding.since >= left_at):
            continue
        ever[binding.person_id] = left_at
        changed_since_known = rotated_at is not None and (
            rotated_at > left_at or (binding.until is not None and binding.until <= rotated_at)
        )
        if not changed_since_known:
            still[binding.person_id] = left_at
    people = tuple(sorted(still, key=lambda person: (-still[person], person)))
    return KnownToLeft(bool(still), None if not ever else not still, people)


def dormant_days(own: Iterable[UsesOfTrait], time: int) -> int | None:
    """Whole days since the account was last used, where it slept for ASLEEP_DAYS or more. `own`: uses of its
    own traits. None: it was in use, or used later too (a late event), or never before, as far as is known. So
    the order in which events of several agents come shows only where somebody slept."""
    newest: int | None = None
    for known in own:
        last = known.last_before(time)
        if last is not None and (newest is None or last > newest):
            newest = last
    asleep = 0 if newest is None else (time - newest) // DAY_MS
    return asleep if asleep >= ASLEEP_DAYS else None


def used_since(own: Iterable[UsesOfTrait]) -> int | None:
    """When the account was first used. `own`: uses of its own traits."""
    first: int | None = None
    for known in own:
        if known.first_time is not None and (first is None or known.first_time < first):
            first = known.first_time
    return first


def is_new(
    known: UsesOfTrait, account: AccountName, subject: str, used_since: int | None, time: int
) -> bool | None:
    """Whether the account used this trait for the first time within the last day. None: too early to tell,
    or it is a crowd's. `subject`: who acts."""
    if used_since is None or time - used_since < LEARNING_MS:
        return None
    own = known.uses.get((subject, account.trait))
    if own is not None and time - own.first_time >= NEW_MS:
        return False
    first = min((use.first_time for use in known.uses.values() if use.account in account.names), default=None)
    if first is None:
        return None if known.is_crowd else True
    return time - first < NEW_MS
