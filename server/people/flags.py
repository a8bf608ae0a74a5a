"""Saying by hand that somebody leaves, and taking it back: over HR's file, on the record."""

from __future__ import annotations

from typing import Final

import msgspec
from sqlalchemy import Connection, func, select

from server import audit
from server.people.dates import day_text
from server.people.facts import LeaverFlag, PersonFacts, latest_employment
from server.people.facts_store import load_facts, write_facts
from server.people.pseudonyms import person_subject, pseudonym
from server.store.tables import people_changes

NOTE_CHARACTERS: Final = 1000
UNDO_MS: Final = 10 * 60 * 1000
_BY_HAND: Final = frozenset({"flag", "unflag"})


class UnknownPerson(Exception):
    """Nobody has this id."""


class FlagRefused(Exception):
    """It makes no sense for this person; the message says why."""


def flag_person(
    connection: Connection,
    person_id: str,
    flag: LeaverFlag,
    *,
    actor: str,
    at: int,
    reason: str | None,
    whole: bool = False,
) -> tuple[PersonFacts, PersonFacts]:
    """(before, after); equal where it was so already. What the flag leaves open stays as an earlier flag had
    it, the hour only where the day is the same; with `whole` it says all that there is to say. In a write
    transaction that is alone. Raises UnknownPerson, FlagRefused."""
    before = _stored(connection, person_id)
    if not whole:
        flag = _over(before.flag, flag)
    main = latest_employment(before.employments)
    if main is not None and main.start_day is not None and flag.last_day < main.start_day:
        raise FlagRefused(
            f"the last day {day_text(flag.last_day)} is before the start date {day_text(main.start_day)}"
        )
    if flag.notice_day is not None and flag.last_day < flag.notice_day:
        raise FlagRefused(
            f"the last day {day_text(flag.last_day)} is before the notice date {day_text(flag.notice_day)}"
        )
    old = before.flag
    if old is not None and msgspec.structs.replace(flag, flagged_at=old.flagged_at) == old:
        return before, before
    after = msgspec.structs.replace(before, flag=msgspec.structs.replace(flag, flagged_at=at))
    _write(connection, before, after, way="flag", actor=actor, at=at, reason=reason)
    return before, after


def unflag_person(
    connection: Connection, person_id: str, *, actor: str, at: int, reason: str | None
) -> tuple[PersonFacts, PersonFacts]:
    """Takes the flag back: HR's dates hold again. Raises UnknownPerson, FlagRefused where there is none."""
    before = _stored(connection, person_id)
    if before.flag is None:
        main = latest_employment(before.employments)
        if main is not None and (main.last_day is not None or main.notice_day is not None):
            raise FlagRefused("the leaving date is that of HR's file: import a corrected row")
        raise FlagRefused("nobody flagged this person")
    after = msgspec.structs.replace(before, flag=None)
    _write(connection, before, after, way="unflag", actor=actor, at=at, reason=reason)
    return before, after


def undo_flag(connection: Connection, person_id: str, change_id: int, *, actor: str, at: int) -> PersonFacts:
    """Takes back what was flagged or unflagged with this change (`last_change`), as long as it is the
    person's latest one, this actor's, and at most ten minutes old. What is so now. In a write transaction
    that is alone. Raises UnknownPerson, FlagRefused."""
    now = _stored(connection, person_id)
    changed = people_changes.c
    latest = connection.execute(
        select(people_changes).where(changed.person_id == person_id).order_by(changed.id.desc()).limit(1)
    ).first()
    if latest is None or latest.id != change_id or latest.way not in _BY_HAND or latest.before is None:
        raise FlagRefused("somebody changed this person meanwhile: correct it instead")
    if latest.changed_by != actor or not 0 <= at - latest.changed_at <= UNDO_MS:
        raise FlagRefused("it is too late to undo it: correct it instead")
    before = msgspec.json.decode(latest.before, type=PersonFacts)
    after = msgspec.structs.replace(now, flag=before.flag)
    _write(connection, now, after, way="undo", actor=actor, at=at, reason=None)
    return after


def last_change(connection: Connection, person_id: str) -> int | None:
    """The number of what was changed of a person last; None: nothing that is kept."""
    query = select(func.max(people_changes.c.id)).where(people_changes.c.person_id == person_id)
    return connection.execute(query).scalar()


def _over(old: LeaverFlag | None, new: LeaverFlag) -> LeaverFlag:
    if old is None:
        return new
    notice = new.notice_day
    if notice is None and old.notice_day is not None and old.notice_day <= new.last_day:
        notice = old.notice_day
    minute = new.last_minute
    if minute is None and new.last_day == old.last_day:
        minute = old.last_minute
    return msgspec.structs.replace(
        new,
        notice_day=notice,
        last_minute=minute,
        leaving_type=new.leaving_type or old.leaving_type,
        note=old.note if new.note is None else new.note,
    )


def _stored(connection: Connection, person_id: str) -> PersonFacts:
    found = load_facts(connection, [person_id]).get(person_id)
    if found is None:
        raise UnknownPerson(f"nobody has the id {person_id}: leaver people list")
    return found


def _write(
    connection: Connection,
    before: PersonFacts,
    after: PersonFacts,
    *,
    way: str,
    actor: str,
    at: int,
    reason: str | None,
) -> None:
    write_facts(connection, [(before, after)], at=at, actor=actor, way=way)
    flag = after.flag
    detail = {} if flag is None else {"last_day": day_text(flag.last_day), "last_minute": flag.last_minute}
    # The trail is kept for good: it names the pseudonym.
    shown = pseudonym(connection, person_subject(after.id))
    audit.append(
        connection, at=at, actor=actor, action=f"people.{way}", object=shown, reason=reason, detail=detail
    )
