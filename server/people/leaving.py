"""One leaver as the ledger has them: dates, and what of theirs is still open. A pure function of what is
declared.

Nothing in here knows what anybody did: this is HR's part of the ledger. Somebody is a leaver from the notice
on; in a gap between two employments too, and no longer once the next one has begun.

- An account is open as long as it is bound to the person and not closed. One that was handed over before the
  last moment is no matter of the leaving. A shared or a service account is not closed: somebody else has to
  answer for it.
- A machine is open as long as it is bound to the person, and nobody else has it.
- A secret is the password of an account that the person knew besides their own. It is open until it is
  changed after the person left; or after they were said to know it no more, where that was earlier.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Final

import msgspec

from event_schema.leaver_fields import PersonStatus
from event_schema.struct_base import Milliseconds
from server.people.directory import AccountRecord
from server.people.facts import LEARNED, AccountKind, Holding, LeavingType, PersonFacts, latest_employment
from server.people.holders import Binding, Changing, holders
from server.people.local_time import local_day_and_hour
from server.people.standing import EVER, Timeline, flagged, timeline

_MACHINES: Final = ("host:", "device:")
_ANSWERED_FOR: Final = frozenset({"shared", "service"})


class State(StrEnum):
    OPEN = "open"
    CLOSED = "closed"
    """Of an account."""
    HANDED_OVER = "handed_over"
    """Somebody else has it."""
    ENDED = "ended"
    """Nobody has it; of a machine: it was given back."""
    ROTATED = "rotated"
    """Of a secret."""


class OpenAccount(msgspec.Struct, frozen=True):
    """`system`: empty where it is valid everywhere. `used_at`: last use after the person left, where whoever
    asks may know it."""

    account: str
    system: str
    kind: AccountKind
    state: State
    closed_at: Milliseconds | None = None
    used_at: Milliseconds | None = None


class Machine(msgspec.Struct, frozen=True):
    """`machine`: 'host:NAME' or 'device:UID'. `until`: when it was given back or went to somebody else.
    `used_at`: as of an account."""

    machine: str
    state: State
    since: Milliseconds | None = None
    until: Milliseconds | None = None
    used_at: Milliseconds | None = None


class Secret(msgspec.Struct, frozen=True):
    """`rotated_at`: when it was changed last, ever. `by_use`: nobody said so; the person has used it."""

    account: str
    system: str
    kind: AccountKind
    state: State
    rotated_at: Milliseconds | None = None
    by_use: bool = False


class Leaver(msgspec.Struct, frozen=True):
    """Days are days since 1970-01-01 where the person is. `left_at` (ms UTC): from when on they have left,
    past or to come; None: nobody knows yet. `notice_at`: from when on rules for who is leaving hold, which
    they do until `left_at`; None: always did, or never. `days_left`: negative after the last day."""

    id: str
    department: str | None
    time_zone: str
    status: PersonStatus
    notice_day: int | None
    last_day: int | None
    last_minute: int | None
    days_left: int | None
    leaving_type: LeavingType | None
    is_flagged: bool
    left_at: int | None
    accounts: tuple[OpenAccount, ...]
    machines: tuple[Machine, ...]
    secrets: tuple[Secret, ...]
    notice_at: int | None = None

    @property
    def has_left(self) -> bool:
        return self.status is PersonStatus.LEFT


def leaver(
    person: PersonFacts,
    accounts: Sequence[AccountRecord],
    closed: Mapping[tuple[str, str], int],
    traits: Mapping[str, tuple[Binding, ...]],
    now: int,
) -> Leaver | None:
    """None: the person stays, or is back. `accounts`: those that the person owned or knew; `closed`: when (ms
    UTC), by (system, name); `traits`: all bindings of what the person held."""
    known = timeline(person.employments, person.flag, person.time_zone)
    place = known.number(now)
    status, last_day = known.standings[place]
    if status not in {PersonStatus.NOTICE, PersonStatus.LEFT}:
        return None
    left_at: int | None = None
    for start, standing in zip(known.starts[place:], known.standings[place:], strict=True):
        if standing[0] is PersonStatus.LEFT:
            left_at = start if start > EVER else None
            break
        if standing[0] is PersonStatus.ACTIVE:
            break
    said = flagged(person.employments, person.flag)
    main = next((each for each in reversed(said) if each.last_day == last_day), latest_employment(said))
    today = local_day_and_hour(person.time_zone, now)[0]
    asked_at = now if left_at is None else min(left_at, now)
    return Leaver(
        id=person.id,
        department=person.department,
        time_zone=person.time_zone,
        status=status,
        notice_day=None if main is None else main.notice_day,
        last_day=last_day,
        last_minute=None if main is None or last_day is None else main.last_minute,
        days_left=None if last_day is None else last_day - today,
        leaving_type=None if main is None else main.leaving_type,
        is_flagged=person.flag is not None,
        left_at=left_at,
        accounts=tuple(_accounts(person, accounts, closed, asked_at, now)),
        machines=tuple(_machines(person, traits, asked_at, now)),
        secrets=tuple(_secrets(person.id, accounts, closed, left_at, now)),
        notice_at=_notice_at(known, place),
    )


def _notice_at(known: Timeline, place: int) -> int | None:
    """When the notice began that is or was before this place."""
    if known.standings[place][0] is PersonStatus.LEFT:
        place -= 1
    found: int | None = None
    while place >= 0 and known.standings[place][0] is PersonStatus.NOTICE:
        found = known.starts[place]
        place -= 1
    return None if found is None or found <= EVER else found


def _accounts(
    person: PersonFacts,
    accounts: Sequence[AccountRecord],
    closed: Mapping[tuple[str, str], int],
    asked_at: int,
    now: int,
) -> Iterable[OpenAccount]:
    records = {(record.system, record.name): record for record in accounts}
    seen: set[tuple[str, str]] = set()
    for held in person.accounts:
        key = (held.system, held.name)
        record = records.get(key)
        if record is None or key in seen or not _reaches(held, asked_at):
            continue
        seen.add(key)
        closed_at = closed.get(key)
        if closed_at is not None and held.since is not None and closed_at < held.since:
            # Of whoever had it before: it was given out again.
            closed_at = None
        state = State.OPEN
        if closed_at is not None and closed_at <= now:
            state = State.CLOSED
        elif not held.holds_at(now):
            state = State.ENDED if _holder(record.owners, now) is None else State.HANDED_OVER
        yield OpenAccount(record.name, record.system, record.kind, state, closed_at)


def _machines(
    person: PersonFacts, traits: Mapping[str, tuple[Binding, ...]], asked_at: int, now: int
) -> Iterable[Machine]:
    latest: dict[str, Holding] = {}
    for held in person.traits:
        if held.name.startswith(_MACHINES) and _reaches(held, asked_at):
            before = latest.get(held.name)
            if before is None or (held.until is None, held.until or 0) > (
                before.until is None,
                before.until or 0,
            ):
                latest[held.name] = held
    for name, held in latest.items():
        holder = _holder(traits.get(name, ()), now)
        state = State.OPEN if held.holds_at(now) else State.ENDED
        if holder not in {None, person.id}:
            state = State.HANDED_OVER
        yield Machine(name, state, held.since, held.until)


def _secrets(
    person_id: str,
    accounts: Sequence[AccountRecord],
    closed: Mapping[tuple[str, str], int],
    left_at: int | None,
    now: int,
) -> Iterable[Secret]:
    for record in accounts:
        knew = [each for each in record.knowers if each.person_id == person_id and each.source != LEARNED]
        if record.kind in _ANSWERED_FOR:
            knew += [each for each in record.owners if each.person_id == person_id and each.source != LEARNED]
        knew = [each for each in knew if each.since is None or each.since <= (left_at or now)]
        if knew:
            yield secret(record, closed.get((record.system, record.name)), _known_until(knew, left_at), now)


def secret(
    record: AccountRecord, closed_at: int | None, known_until: int | None, now: int, *, by_use: bool = False
) -> Secret:
    """`known_until` (ms UTC): the person knows what was set before, and nothing that was set from then on."""
    state = State.OPEN
    if closed_at is not None and closed_at <= now:
        state = State.CLOSED
    elif record.rotated_at is not None and known_until is not None and record.rotated_at >= known_until:
        state = State.ROTATED
    return Secret(record.name, record.system, record.kind, state, record.rotated_at, by_use)


def _known_until(knew: Sequence[Binding], left_at: int | None) -> int | None:
    """Until when somebody could learn a new password; None: still."""
    ends = [each.until for each in knew]
    last = None if None in ends else max(end for end in ends if end is not None)
    said = [moment for moment in (last, left_at) if moment is not None]
    return min(said) if said else None


def _reaches(held: Holding, moment: int) -> bool:
    """Whether it was not over before."""
    return held.until is None or held.until > moment


def _holder(bindings: Sequence[Binding], now: int) -> str | None:
    found = holders(bindings) if bindings else None
    return found.at(now) if isinstance(found, Changing) else found
