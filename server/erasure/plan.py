"""What an erasure looks for. It is kept in `erasures.plan` until the end, so that who was killed can go on
when the directory knows the person no more; then it is emptied, since it names them."""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection, select

from server.erasure.account_subjects import (
    NAMING,
    account_of,
    account_subjects,
    belongs_to_nobody,
    users_of,
)
from server.people.account_names import account_key
from server.people.directory import Directory, load_directory
from server.people.erased import SUBJECT_CHARACTERS, erased_digest
from server.people.pseudonyms import person_subject, pseudonym_key
from server.people.removed import read_telling, removed
from server.store.column_types import key_text
from server.store.tables import (
    erasures,
    person_names,
    pseudonyms,
    subject_agents,
    subject_events,
)


class Plan(msgspec.Struct, frozen=True):
    """`person`: an id. `subjects`: as all tables name them. `accounts`: in the forms in which accounts are
    listed, as account_key. `agents`: on which they were seen. `name`: the person's. `first_day`, `last_day`:
    UTC, inclusive, of an erasure of days."""

    person: str | None = None
    subjects: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    agents: tuple[str, ...] = ()
    name: str | None = None
    first_day: int | None = None
    last_day: int | None = None


class Target(msgspec.Struct, frozen=True):
    """`digest` is for the record; `shown` for whoever asks. `erasure`: one that was begun and not finished.
    `erased_at`: of the last finished one. A target with nothing in its plan is unknown now."""

    kind: str
    digest: str | None
    shown: str
    plan: Plan
    erasure: int | None = None
    erased_at: int | None = None


class NotFound(Exception):
    """Nobody is known by this id, pseudonym or account, and nothing of them is kept."""


class BelongsToPerson(Exception):
    """The account is listed for somebody: the message says under which pseudonym."""


def person_target(connection: Connection, given: str) -> Target:
    """`given`: an id, or a pseudonym. Raises NotFound. The installation's pseudonym key must be there."""
    directory = load_directory(connection)
    person_id = _person_id(connection, directory, given.strip())
    key = pseudonym_key(connection)
    subject = key_text(person_subject(person_id), SUBJECT_CHARACTERS)
    found = _begun(connection, Target("person", erased_digest(key, person_subject(person_id)), given, Plan()))
    if found.erasure is not None:
        return found
    own = directory.names_of(person_id)
    of_accounts = [
        subject
        for subject, who in account_subjects(connection, own).items()
        if users_of(directory, who) == {person_id}
    ]
    name = connection.execute(
        select(person_names.c.name).where(person_names.c.person_id == person_id)
    ).scalar()
    for _, told in removed(connection, [person_id]) if name is None else ():
        name = read_telling(told).name or name
    if directory.person(person_id) is None and not _is_kept(connection, subject):
        if found.erased_at is None:
            raise NotFound(f"nobody has the id or pseudonym {given}, and nothing of them is kept")
        return found
    subjects = (subject, *of_accounts)
    seen_on = _seen_on(connection, subjects)
    plan = Plan(person=person_id, subjects=subjects, accounts=own, agents=seen_on, name=name)
    return msgspec.structs.replace(found, plan=plan)


def account_target(connection: Connection, given: str) -> Target:
    """`given`: NAME, NAME@HOST, or a pseudonym. Raises NotFound, BelongsToPerson."""
    directory = load_directory(connection)
    subject = _of_pseudonym(connection, given)
    who = account_of(connection, subject) if subject is not None else None
    form = account_key(given) if who is None else "@".join(filter(None, who))
    key = pseudonym_key(connection)
    listed = directory.account(form, None)
    if listed is not None:
        owner = next((b.person_id for b in listed.owners if b.until is None), None)
        if owner is not None:
            raise BelongsToPerson(f"{form} is listed for a person: leaver erase person {owner}")
    found = _begun(connection, Target("account", erased_digest(key, f"account:{form}"), given, Plan()))
    if found.erasure is not None:
        return found
    subjects = tuple(
        subject
        for subject, who in account_subjects(connection, (form,)).items()
        if belongs_to_nobody(directory, who)
    )
    if not subjects and listed is None:
        if found.erased_at is None:
            raise NotFound(f"nothing is kept of an account {form} that belongs to nobody")
        return found
    plan = Plan(subjects=subjects, accounts=(form,), agents=_seen_on(connection, subjects))
    return msgspec.structs.replace(found, plan=plan)


def days_target(connection: Connection, first_day: int, last_day: int, shown: str) -> Target:
    """UTC days, inclusive."""
    plan = Plan(first_day=first_day, last_day=last_day)
    unfinished = connection.execute(
        select(erasures.c.id).where(
            erasures.c.kind == "days",
            erasures.c.first_day == first_day,
            erasures.c.last_day == last_day,
            erasures.c.finished_at.is_(None),
        )
    ).scalar()
    return Target("days", None, shown, plan, erasure=unfinished)


def read_plan(connection: Connection, erasure: int) -> Plan:
    """Of an unfinished erasure."""
    stored = connection.execute(select(erasures.c.plan).where(erasures.c.id == erasure)).scalar_one()
    return msgspec.convert(stored, Plan)


def _begun(connection: Connection, target: Target) -> Target:
    """With what is known of earlier erasures."""
    rows = connection.execute(
        select(erasures).where(erasures.c.digest == target.digest).order_by(erasures.c.id)
    ).all()
    unfinished = [row.id for row in rows if row.finished_at is None]
    if unfinished:
        plan = read_plan(connection, unfinished[-1])
        return msgspec.structs.replace(target, plan=plan, erasure=unfinished[-1])
    return msgspec.structs.replace(target, erased_at=rows[-1].finished_at if rows else None)


def _person_id(connection: Connection, directory: Directory, given: str) -> str:
    if directory.person(given) is not None:
        return given
    subject = _of_pseudonym(connection, given)
    if subject is not None and subject.startswith("person:"):
        return subject.removeprefix("person:")
    return given


def _of_pseudonym(connection: Connection, given: str) -> str | None:
    found = connection.execute(
        select(pseudonyms.c.subject).where(pseudonyms.c.pseudonym == given.strip().upper())
    ).scalar()
    return None if found is None else str(found)


def _seen_on(connection: Connection, subjects: tuple[str, ...]) -> tuple[str, ...]:
    """Endpoints, and servers that wrote down what they did."""
    found: set[str] = set()
    for table in (subject_agents, subject_events):
        query = select(table.c.agent).where(table.c.subject.in_(subjects)).distinct()
        found.update(connection.execute(query).scalars())
    return tuple(sorted(found))


def _is_kept(connection: Connection, subject: str) -> bool:
    return any(
        connection.execute(select(column).where(column == subject).limit(1)).first() is not None
        for column in NAMING
    )
