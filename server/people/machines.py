"""Machines that come back, and go to somebody else: said by hand, on the record.

What is said here stands over HR's file (holding_merge.py), whose rows often list a machine for months after
it was given back.
"""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection, select

from event_schema.leaver_fields import PersonStatus
from server import audit
from server.people.account_names import machine_trait
from server.people.dates import day_text
from server.people.facts import LEARNED, Holding, PersonFacts, sorted_holdings
from server.people.facts_store import Change, load_facts, write_facts
from server.people.flags import UnknownPerson
from server.people.local_time import local_day_and_hour
from server.people.pseudonyms import person_subject, pseudonym
from server.people.standing import timeline
from server.store.tables import trait_bindings


class MachineRefused(Exception):
    """It does not fit what is known of the machine; the message says why."""


class UnknownMachine(Exception):
    """Nobody ever had it, and no event showed it: a slip of the pen, or new."""


def return_machine(
    connection: Connection,
    person_id: str,
    machine: str,
    *,
    when: int,
    actor: str,
    at: int,
    reason: str | None = None,
) -> None:
    """The person gave it back (when: ms UTC). In a write transaction that is alone. Raises UnknownPerson,
    MachineRefused."""
    _check_past(when, at)
    before = _stored(connection, person_id)
    trait = _as_held(before, machine_trait(machine), when)
    if not any(_is_held(held, trait, when) for held in before.traits):
        names = sorted(h.name for h in before.traits if _is_held(h, h.name, when))
        has = f"; has {', '.join(names)}" if names else ""
        raise MachineRefused(f"{person_id} has no {trait}{has}")
    after = _ended(before, trait, when)
    write_facts(connection, [(before, after)], at=at, actor=actor, way="device")
    _on_record(connection, "people.return_device", person_id, when, actor, at, reason)


def reissue_machine(
    connection: Connection,
    machine: str,
    person_id: str,
    *,
    when: int,
    actor: str,
    at: int,
    reason: str | None = None,
    was_seen: bool = False,
) -> tuple[str, ...]:
    """From `when` on (ms UTC) it is this person's, and nobody else's; ids of those who had it. `was_seen`: an
    event was of it, or it is new; else somebody must have had it. In a write transaction that is alone.
    Raises UnknownPerson, UnknownMachine, MachineRefused."""
    _check_past(when, at)
    trait = machine_trait(machine)
    declared = select(trait_bindings.c.trait).where(trait_bindings.c.trait == trait).limit(1)
    if not was_seen and connection.execute(declared).first() is None:
        raise UnknownMachine(f"nobody ever had {trait}, and no event is of it")
    taker = _stored(connection, person_id)
    standing = timeline(taker.employments, taker.flag, taker.time_zone).at(when)
    if standing[0] is PersonStatus.LEFT:
        raise MachineRefused(f"{person_id} has left by then: the machine would belong to nobody who is here")
    if any(_is_held(held, trait, when) for held in taker.traits):
        raise MachineRefused(f"{person_id} has {trait} already")
    bound = trait_bindings.c
    later = (bound.trait == trait) & (bound.valid_from > when) & (bound.source != LEARNED)
    if next_one := connection.execute(select(bound.valid_from).where(later).limit(1)).scalar():
        day = day_text(local_day_and_hour(taker.time_zone, next_one)[0])
        raise MachineRefused(f"somebody has {trait} from {day} on: say a later day")
    current = select(bound.person_id).where(
        bound.trait == trait,
        bound.valid_until.is_(None) | (bound.valid_until > when),
        bound.source != LEARNED,
    )
    had = sorted(set(connection.execute(current).scalars()) - {person_id})
    changes: list[Change] = [
        (before, _ended(before, trait, when)) for before in load_facts(connection, had).values()
    ]
    new = Holding(trait, since=when, source="flag")
    held = sorted_holdings((*taker.traits, new))
    changes.append((taker, msgspec.structs.replace(taker, traits=held)))
    write_facts(connection, changes, at=at, actor=actor, way="device")
    _on_record(connection, "people.reissue_device", person_id, when, actor, at, reason)
    return tuple(had)


def _check_past(when: int, at: int) -> None:
    if when > at:
        raise MachineRefused("it is yet to come: say it when it has happened")


def _stored(connection: Connection, person_id: str) -> PersonFacts:
    found = load_facts(connection, [person_id]).get(person_id)
    if found is None:
        raise UnknownPerson(f"nobody has the id {person_id}: leaver people list")
    return found


def _as_held(person: PersonFacts, trait: str, when: int) -> str:
    """As it is stored: people type a serial number in whichever case."""
    names = (held.name for held in person.traits if _is_held(held, held.name, when))
    return next((name for name in names if name.casefold() == trait.casefold()), trait)


def _is_held(held: Holding, trait: str, when: int) -> bool:
    return held.name == trait and (held.until is None or held.until > when)


def _ended(person: PersonFacts, trait: str, when: int) -> PersonFacts:
    kept: list[Holding] = []
    for held in person.traits:
        if not _is_held(held, trait, when):
            kept.append(held)
        elif held.since is not None and held.since >= when:
            since = day_text(local_day_and_hour(person.time_zone, held.since)[0])
            raise MachineRefused(f"{person.id} has {trait} only since {since}")
        else:
            kept.append(msgspec.structs.replace(held, until=when, source="flag"))
    return msgspec.structs.replace(person, traits=sorted_holdings(kept))


def _on_record(
    connection: Connection,
    action: str,
    person_id: str,
    when: int,
    actor: str,
    at: int,
    reason: str | None,
) -> None:
    # The trail is kept for good: it names the pseudonym.
    shown = pseudonym(connection, person_subject(person_id))
    audit.append(
        connection, at=at, actor=actor, action=action, object=shown, reason=reason, detail={"from": when}
    )
