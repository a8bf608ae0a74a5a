"""Whom an act may be by, if not by whoever's account it was: somebody who left, as its traits say. Pure.

A machine, a key or an address that only somebody who left ever used, and a password that they know, are
pointers to them. What is nearer to a person counts first: machines and keys, then addresses, then passwords,
which several may know; what is farther only chooses between several. Nobody is named where all of it still
leads to several people.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, Literal

import msgspec

from event_schema.leaver_fields import PersonStatus, SuspectFields
from event_schema.ocsf_endpoint_events import FileSystemActivity, PeripheralActivity
from event_schema.ocsf_events import Event
from server.enrich.left_traits import LeftTrait
from server.enrich.traits import ADDRESS, DEVICE, HOST
from server.people.directory import Directory, PersonRecord

KNOWS: Final = "knows:"
"""Before an account's name: whose password somebody knows. Other traits: host:, device:, address:, key:."""
FEW_USERS: Final = 3
"""An address that more people came from is a café's, a carrier's, a VPN's."""
POINTERS_MAX: Final = 10
"""Of one act: so many people who left may know one password, and no more are listed."""


class Pointer(msgspec.Struct, frozen=True):
    """One trait of an act that leads to a person. since, until: ms UTC, of their own uses of it; None: not
    known. `others`: how many others ever used it."""

    trait: str
    person_id: str
    since: int | None = None
    until: int | None = None
    others: int | None = None


def pointers(
    event: Event, bound: Iterable[LeftTrait], knowing: Iterable[str], account: str
) -> Iterator[Pointer]:
    """What of an act leads to people who left. `bound`: its traits that do. `knowing`: ids of those who know
    the password of `account`, its name.

    A stick that somebody left behind is nobody's sign, nor is an address that more than FEW_USERS used."""
    plugged_in = isinstance(event, (FileSystemActivity, PeripheralActivity))
    for each in bound:
        is_stick = plugged_in and each.trait.startswith(DEVICE)
        is_public = each.trait.startswith(ADDRESS) and each.users > FEW_USERS
        if not is_stick and not is_public:
            for person_id in each.people:
                yield Pointer(each.trait, person_id, each.first_used, each.last_used, each.others)
    for person_id in knowing:
        yield Pointer(KNOWS + account, person_id)


class Suspicion(msgspec.Struct, frozen=True):
    """`person`: None where the pointers lead to several. `owner_id`: who answers for the account."""

    person: PersonRecord | None
    fields: SuspectFields | None
    owner_id: str | None
    pointers: tuple[Pointer, ...]


def suspicion(
    directory: Directory,
    user: PersonRecord | None,
    owner_id: str | None,
    time: int,
    pointers: Iterable[Pointer],
) -> Suspicion | None:
    """Of an act at a time (ms UTC). `user`: whose account it was; None: nobody's, or several people's. Who
    has not left at that time, or came back, is no suspect; nor does a machine lead from whoever was given one
    of theirs."""
    left: dict[str, PersonRecord] = {}
    kept: list[Pointer] = []
    for pointer in sorted(pointers, key=lambda each: (each.trait, each.person_id)):
        person = directory.person(pointer.person_id)
        if person is None or (user is not None and person.id == user.id):
            continue
        if user is not None and _is_machine(pointer.trait) and user.id in directory.handed_to(person.id):
            # An application may know it by another name than the one that was declared.
            continue
        if directory.status_at(person, time)[0] is PersonStatus.LEFT:
            left[person.id] = person
            kept.append(pointer)
    if not kept:
        return None
    suspect_id = _nearest(kept)
    if suspect_id is None:
        return Suspicion(None, None, owner_id, tuple(kept[:POINTERS_MAX]))
    suspect = left[suspect_id]
    days = directory.status_at(suspect, time)[1] or 0
    answering = user or (directory.person(owner_id) if owner_id is not None else None)
    fields = SuspectFields(id=suspect.id, days_since_left=max(0, -days), link=_link(suspect, answering))
    own = tuple(pointer for pointer in kept if pointer.person_id == suspect_id)
    return Suspicion(suspect, fields, owner_id, own[:POINTERS_MAX])


def _nearest(pointers: Iterable[Pointer]) -> str | None:
    """The one person whom they lead to: what is farther chooses between several of what is nearer."""
    tiers: list[set[str]] = [set(), set(), set()]
    for pointer in pointers:
        tiers[_tier(pointer.trait)].add(pointer.person_id)
    led_to: set[str] = set()
    for tier in tiers:
        led_to = (led_to & tier or led_to) if led_to else tier
        if len(led_to) == 1:
            return next(iter(led_to))
    return None


def _is_machine(trait: str) -> bool:
    return trait.startswith((HOST, DEVICE))


def _tier(trait: str) -> int:
    return 2 if trait.startswith(KNOWS) else 1 if trait.startswith(ADDRESS) else 0


def _link(suspect: PersonRecord, user: PersonRecord | None) -> Literal["manager", "team"] | None:
    if user is None:
        return None
    if suspect.manager_id == user.id:
        return "manager"
    same_manager = suspect.manager_id is not None and suspect.manager_id == user.manager_id
    same_department = suspect.department is not None and suspect.department == user.department
    return "team" if same_manager or same_department else None
