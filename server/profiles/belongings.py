"""Accounts, endpoints, devices, addresses and destinations of one subject, and when they were last used.

An account goes by a label (`A-…`), as hosts and devices do: the same each time, and nobody's name.
Destinations are what events call them, and may hold names: whoever shows them masks them first
(people/text_mask.py).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterator, Mapping
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, func, select

from event_schema.leaver_fields import PersonStatus
from server.enrich.trait_uses import account_trait
from server.people.directory import Directory, PersonRecord
from server.people.facts import AccountKind
from server.people.pseudonyms import candidate, known_pseudonyms, label, person_subject
from server.store.tables import (
    agents,
    subject_agents,
    subject_places,
    suspect_traits,
    trait_bindings,
    trait_uses,
)

SHOWN_MAX: Final = 50
_PLACES_READ: Final = 5_000
_PREFIXES: Final = {"host": "H", "device": "D", "address": "N", "key": "X"}
_REMOTE, _DEVICE = "remote:", "device:"
_PERSON: Final = "person:"


class OwnAccount(msgspec.Struct, frozen=True):
    """`owner`: it is theirs; else they know its password. Times are ms UTC; `until` None: still."""

    label: str
    system: str
    kind: AccountKind
    owner: bool
    since: int | None
    until: int | None
    used: int | None


class Endpoint(msgspec.Struct, frozen=True):
    """A machine on which the subject was seen. `heard`: of its agent, ms UTC; None: never. `collectors`: what
    runs there now, of how many."""

    label: str
    first: int
    heard: int | None
    version: str | None
    revoked: bool
    running: int
    collectors: int


class UsedTrait(msgspec.Struct, frozen=True):
    """A machine, device, address or key that was used with an account of theirs, or is declared to be theirs
    and never was (`last` is None). `holder`: theirs, other or nobody, as declared. `others`: how many other
    subjects ever used it, up to OTHERS_MAX."""

    kind: str
    label: str
    first: int | None
    last: int | None
    events: int
    holder: str
    others: int


class Destination(msgspec.Struct, frozen=True):
    """Where data went. `name`: as events have it, not masked."""

    channel: str
    name: str
    first: int
    last: int


class MatchedTrait(msgspec.Struct, frozen=True):
    """Acts through somebody else's account that a trait leads to this person. `through`: whose, by pseudonym;
    None: it is not known here. Days are local, since 1970-01-01."""

    kind: str
    label: str
    through: str | None
    first_day: int
    last_day: int
    events: int


OTHERS_MAX: Final = 99


def own_accounts(
    connection: Connection, directory: Directory, key: bytes, person: PersonRecord
) -> list[OwnAccount]:
    """Owned ones first; at most SHOWN_MAX of each sort."""
    found: list[tuple[str, OwnAccount]] = []
    for record in directory.records_of(person.id):
        own = [binding for binding in record.owners if binding.person_id == person.id]
        since = [binding.since for binding in own]
        until = [binding.until for binding in own]
        trait = account_trait(record.name, record.system)
        shown = OwnAccount(
            label=label(key, "A", f"{record.system}\\{record.name}"),
            system=record.system,
            kind=record.kind,
            owner=True,
            since=None if None in since else min((each for each in since if each is not None), default=None),
            until=None if None in until else max((each for each in until if each is not None), default=None),
            used=None,
        )
        found.append((trait, shown))
    found = sorted(found, key=lambda pair: pair[1].label)[:SHOWN_MAX]
    use = trait_uses.c
    query = (
        select(use.trait, func.max(use.last_time))
        .where(use.trait.in_([trait for trait, _ in found]))
        .group_by(use.trait)
    )
    used: dict[str, int] = {row[0]: row[1] for row in connection.execute(query)}
    return [msgspec.structs.replace(shown, used=used.get(trait)) for trait, shown in found]


def endpoints(connection: Connection, key: bytes, subject: str) -> list[Endpoint]:
    """Those last heard of first; at most SHOWN_MAX."""
    query = (
        select(
            subject_agents.c.agent,
            subject_agents.c.first_time,
            agents.c.heartbeat_at,
            agents.c.heartbeat,
            agents.c.revoked_at,
        )
        .join_from(subject_agents, agents, agents.c.name == subject_agents.c.agent, isouter=True)
        .where(subject_agents.c.subject == subject)
        .order_by(func.coalesce(agents.c.heartbeat_at, 0).desc(), subject_agents.c.agent)
        .limit(SHOWN_MAX)
    )
    found = []
    for row in connection.execute(query):
        heartbeat: Mapping[str, Any] = row.heartbeat or {}
        collectors = list(heartbeat.get("collectors", ()))
        running = sum(1 for each in collectors if each.get("state") == "running")
        version = heartbeat.get("version")
        found.append(
            Endpoint(
                label(key, "H", row.agent.casefold()),
                row.first_time,
                row.heartbeat_at,
                str(version)[:64] if version else None,
                row.revoked_at is not None,
                running,
                len(collectors),
            )
        )
    return found


def used_traits(
    connection: Connection, directory: Directory, key: bytes, subject: str, now: int
) -> list[UsedTrait]:
    """The latest first; at most SHOWN_MAX. now: ms UTC."""
    use = trait_uses.c
    query = (
        select(use.trait, func.min(use.first_time), func.max(use.last_time), func.sum(use["count"]))
        .where(use.subject == subject, use.trait != use.account)
        .group_by(use.trait)
        .order_by(func.max(use.last_time).desc(), use.trait)
        .limit(SHOWN_MAX * 2)
    )
    rows = [row for row in connection.execute(query) if row[0].partition(":")[0] in _PREFIXES][:SHOWN_MAX]
    others: dict[str, int] = {}
    if rows:
        counts = (
            select(use.trait, func.count(func.distinct(use.subject)))
            .where(use.trait.in_([row[0] for row in rows]), use.subject != subject)
            .group_by(use.trait)
        )
        others = {row[0]: row[1] for row in connection.execute(counts)}
    found = []
    for trait, first, last, events in rows:
        kind, _, value = trait.partition(":")
        holder = directory.holder(trait, now)
        whose = "nobody" if holder is None else "other"
        if holder is not None and person_subject(holder.id) == subject:
            whose = "theirs"
        written = value.casefold() if kind == "host" else value
        shown = label(key, _PREFIXES[kind], written)
        found.append(
            # PostgreSQL adds whole numbers up as decimals.
            UsedTrait(kind, shown, first, last, int(events), whose, min(others.get(trait, 0), OTHERS_MAX))
        )
    used = {row[0] for row in rows}
    return [*found, *_never_used(connection, key, subject, now, used)]


def _never_used(
    connection: Connection, key: bytes, subject: str, now: int, used: Container[str]
) -> Iterator[UsedTrait]:
    """What is declared to be theirs now, and was not among what they used."""
    bound = trait_bindings.c
    held = (bound.valid_until.is_(None) | (bound.valid_until > now)) & (
        bound.valid_from.is_(None) | (bound.valid_from <= now)
    )
    query = select(bound.trait).where(bound.person_id == subject.removeprefix(_PERSON), held)
    if not subject.startswith(_PERSON):
        return
    for trait in connection.execute(query.distinct().order_by(bound.trait).limit(SHOWN_MAX)).scalars():
        kind, _, value = trait.partition(":")
        if kind in _PREFIXES and trait not in used:
            written = value.casefold() if kind == "host" else value
            yield UsedTrait(kind, label(key, _PREFIXES[kind], written), None, None, 0, "theirs", 0)


def destinations(
    connection: Connection, key: bytes, subject: str
) -> tuple[list[Destination], list[UsedTrait]]:
    """Where data went, and to which storage devices: the latest first, at most SHOWN_MAX of each."""
    row = subject_places.c
    query = (
        select(row.channel, row.place, row.first_time, row.last_time)
        .where(row.subject == subject)
        .order_by(row.last_time.desc(), row.place)
        .limit(_PLACES_READ)
    )
    remotes: list[Destination] = []
    devices: list[UsedTrait] = []
    for channel, place, first, last in connection.execute(query):
        if place.startswith(_REMOTE) and len(remotes) < SHOWN_MAX:
            remotes.append(Destination(channel, place.removeprefix(_REMOTE), first, last))
        elif place.startswith(_DEVICE) and len(devices) < SHOWN_MAX:
            shown = label(key, "D", place.removeprefix(_DEVICE))
            devices.append(UsedTrait("storage", shown, first, last, 0, "nobody", 0))
    return remotes, devices


def matched_traits(connection: Connection, key: bytes, subject: str) -> list[MatchedTrait]:
    """The latest first; at most SHOWN_MAX."""
    row = suspect_traits.c
    query = select(row.trait, row.through, row.day, row.events).where(row.subject == subject, row.trait != "")
    days: dict[tuple[str, str], list[int]] = defaultdict(list)
    events: dict[tuple[str, str], int] = defaultdict(int)
    for trait, through, day, count in connection.execute(query.limit(_PLACES_READ)):
        days[trait, through].append(day)
        events[trait, through] += count
    latest = sorted(days, key=lambda each: (-max(days[each]), each))[:SHOWN_MAX]
    shown = known_pseudonyms(connection, {through for _, through in latest})
    found = []
    for trait, through in latest:
        kind, _, value = trait.partition(":")
        written = value.casefold() if kind == "host" else value
        own = days[trait, through]
        masked = label(key, _PREFIXES.get(kind, "X"), written)
        found.append(
            MatchedTrait(kind, masked, shown.get(through), min(own), max(own), events[trait, through])
        )
    return found


def why_unseen(directory: Directory, person: PersonRecord | None, known: list[Endpoint], now: int) -> str:
    """Why nothing was seen of somebody lately, as a word: no_machine, declared_only, silent, revoked, left or
    quiet (agents report, nothing happened). now: ms UTC."""
    if person is not None and directory.status_at(person, now)[0] is PersonStatus.LEFT:
        return "left"
    if not known:
        return "no_machine"
    if all(each.revoked for each in known):
        return "revoked"
    heard = max((each.heard or 0 for each in known if not each.revoked), default=0)
    return "silent" if heard < now - SILENT_MS else "quiet"


SILENT_MS: Final = 30 * 24 * 3600 * 1000


def shown_pseudonym(connection: Connection, key: bytes, subject: str) -> str:
    """Reads only: who has none yet is shown by what they would get."""
    return known_pseudonyms(connection, [subject]).get(subject) or candidate(key, subject)
