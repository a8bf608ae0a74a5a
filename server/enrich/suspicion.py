"""Whom an act may be by, if not by whoever's account it was: somebody who left, as its traits say. Pure.

A machine, a key or an address that only somebody who left ever used, and a password that they know, are
pointers to them. What is nearer to a person counts first: machines and keys, then addresses, then passwords,
which several may know; what is farther only chooses between several. Nobody is named where all of it still
leads to several people.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

import msgspec

from event_schema.leaver_fields import PersonStatus, SuspectFields
from server.people.directory import Directory, PersonRecord

KNOWS: Final = "knows:"
"""Before an account's name: whose password somebody knows. Other traits: host:, device:, address:, key:."""
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
    has not left at that time, or came back, is no suspect."""
    left: dict[str, PersonRecord] = {}
    kept: list[Pointer] = []
    for pointer in sorted(pointers, key=lambda each: (each.trait, each.person_id)):
        person = directory.person(pointer.person_id)
        if person is None or (user is not None and person.id == user.id):
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


def _tier(trait: str) -> int:
    return 2 if trait.startswith(KNOWS) else 1 if trait.startswith("address:") else 0


def _link(suspect: PersonRecord, user: PersonRecord | None) -> Literal["manager", "team"] | None:
    if user is None:
        return None
    if suspect.manager_id == user.id:
        return "manager"
    same_manager = suspect.manager_id is not None and suspect.manager_id == user.manager_id
    same_department = suspect.department is not None and suspect.department == user.department
    return "team" if same_manager or same_department else None
