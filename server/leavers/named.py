"""Whom somebody means who names a leaver: by id or by pseudonym, whichever their role may see."""

from __future__ import annotations

from sqlalchemy import Connection, select

from server.people.pseudonyms import UnknownPseudonym, subject_of
from server.people.roles import Right, Role, may
from server.store.tables import people


class UnknownLeaver(Exception):
    """Nobody is called so, or nobody whom this role may name so."""


def person_named(connection: Connection, given: str, role: Role) -> str:
    """The person's id. Raises UnknownLeaver.

    Who sees ids gives an id, and who sees pseudonyms a pseudonym: taking the other one would say who is
    behind it, without a reason and off the record.
    """
    if may(role, Right.SEE_NAMES):
        if connection.execute(select(people.c.id).where(people.c.id == given)).first() is None:
            raise UnknownLeaver(f"nobody has the id {given}")
        return given
    try:
        subject = subject_of(connection, given)
    except UnknownPseudonym as error:
        raise UnknownLeaver(f"{error}; --as hr and --as administrator name people by id") from None
    kind, _, person_id = subject.partition(":")
    if kind != "person":
        raise UnknownLeaver(f"{given} is an account of nobody known")
    return person_id
