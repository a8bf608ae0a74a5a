"""What an erasure looks for. It is kept in `erasures.plan` until the end, so that who was killed can go on
when the directory knows the person no more; then it is emptied, since it names them."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from sqlalchemy import Connection, select

from server.people.directory import Directory, account_key, load_directory
from server.people.erased import account_forms, erased_digest
from server.people.pseudonyms import person_subject, pseudonym_key
from server.store.column_types import key_text
from server.store.tables import (
    accounts,
    alerts,
    erasures,
    judged_days,
    person_names,
    pseudonyms,
    rule_days,
    state_versions,
    storage_days,
    subject_agents,
    subject_devices,
    subject_events,
)

SUBJECT_CHARACTERS = 128
_LAST = "\U0010ffff"
"""Sorts behind every other character."""
_NAMING = (
    pseudonyms.c.subject,
    alerts.c.subject,
    judged_days.c.subject,
    storage_days.c.subject,
    rule_days.c.subject,
    subject_agents.c.subject,
    subject_devices.c.subject,
    subject_events.c.subject,
    state_versions.c.key,
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
    own = tuple(
        connection.execute(
            select(accounts.c.account).where(accounts.c.person_id == person_id).order_by(accounts.c.account)
        ).scalars()
    )
    of_accounts = [
        subject
        for subject in _account_subjects(connection, own)
        if _belongs_to(directory, subject, person_id)
    ]
    name = connection.execute(
        select(person_names.c.name).where(person_names.c.person_id == person_id)
    ).scalar()
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
    form = account_key(given if subject is None else subject.removeprefix("account:"))
    key = pseudonym_key(connection)
    owner = directory.accounts().get(form)
    if owner is not None:
        raise BelongsToPerson(f"{form} is listed for a person: leaver erase person {owner.id}")
    found = _begun(connection, Target("account", erased_digest(key, f"account:{form}"), given, Plan()))
    if found.erasure is not None:
        return found
    subjects = tuple(
        subject for subject in _account_subjects(connection, (form,)) if _owner(directory, subject) is None
    )
    if not subjects:
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


def _account_subjects(connection: Connection, keys: Iterable[str]) -> list[str]:
    """All 'account:NAME@HOST' of which something is kept, and that one of these forms lists."""
    found: set[str] = set()
    # What stands before a backslash may be the host, which subjects have at their end, or a domain.
    names = {name for key in keys for name in (key, key.partition("\\")[2]) if name}
    for name in sorted(names):
        for column in _NAMING:
            # As a range, for which there is an index; LIKE would read all rows.
            within = column.between(f"account:{name}", f"account:{name}{_LAST}")
            found.update(connection.execute(select(column).where(within).distinct()).scalars())
    wanted = set(keys)
    return sorted(subject for subject in found if wanted & set(_forms(subject)))


def _forms(subject: str) -> tuple[str, ...]:
    name, at, host = subject.removeprefix("account:").rpartition("@")
    return account_forms(name, host) if at else (host,)


def _owner(directory: Directory, subject: str) -> str | None:
    name, at, host = subject.removeprefix("account:").rpartition("@")
    person = directory.person_by_account(name if at else host, host if at else None)
    return None if person is None else person.id


def _belongs_to(directory: Directory, subject: str, person_id: str) -> bool:
    return _owner(directory, subject) == person_id


def _seen_on(connection: Connection, subjects: tuple[str, ...]) -> tuple[str, ...]:
    query = select(subject_agents.c.agent).where(subject_agents.c.subject.in_(subjects)).distinct()
    return tuple(sorted(connection.execute(query).scalars()))


def _is_kept(connection: Connection, subject: str) -> bool:
    return any(
        connection.execute(select(column).where(column == subject).limit(1)).first() is not None
        for column in _NAMING
    )
