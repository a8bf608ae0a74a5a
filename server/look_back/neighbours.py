"""Who used what somebody had used, after they had left: what HR says of the one changes what is known of the
others.

A colleague's login from the machine of somebody who left points to whoever left; it is about the colleague's
account. So the subjects that used such a machine, device, address or key since, and the accounts whose
password the person knows, are scored again together with the person. Bounded: what many use points to nobody.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Final

from sqlalchemy import Connection, or_, select

from server.erasure.account_subjects import account_subjects
from server.people.directory import Directory
from server.store.tables import trait_uses

USERS_MAX: Final = 20
"""Of a trait; more are a crowd."""
TRAITS_MAX: Final = 500
NEIGHBOURS_MAX: Final = 50
_KINDS: Final = ("host:", "device:", "address:", "key:")
_LAST: Final = "\U0010ffff"
"""Sorts behind every other character."""

_logger = logging.getLogger("leaver.look_back")


def neighbours(
    connection: Connection,
    directory: Directory,
    people: Iterable[str],
    subjects: Sequence[str],
    left_at: int,
) -> list[str]:
    """Subjects beside these. left_at: ms UTC."""
    ids = frozenset(people)
    known = {
        account.name
        for account in directory.accounts()
        if any(binding.person_id in ids for binding in account.knowers)
    }
    found = dict.fromkeys(sorted(account_subjects(connection, known)))
    for users in sorted(_users(connection, subjects, left_at), key=lambda each: (len(each), each)):
        found.update(dict.fromkeys(users))
    others = [subject for subject in found if subject not in subjects]
    if len(others) > NEIGHBOURS_MAX:
        _logger.warning("neighbours_left_out", extra={"number": len(others) - NEIGHBOURS_MAX})
    return others[:NEIGHBOURS_MAX]


def _users(connection: Connection, subjects: Sequence[str], left_at: int) -> list[list[str]]:
    """Of each trait that these used, who used it since then."""
    row = trait_uses.c
    kinds = or_(*(row.trait.between(kind, f"{kind}{_LAST}") for kind in _KINDS))
    used = select(row.trait).distinct().where(row.subject.in_(subjects), kinds)
    traits = list(connection.execute(used.order_by(row.trait).limit(TRAITS_MAX)).scalars())
    users: list[list[str]] = []
    for trait in traits:
        uses = connection.execute(
            select(row.subject, row.last_time).where(row.trait == trait).limit(10 * USERS_MAX)
        ).all()
        if len({use.subject for use in uses}) <= USERS_MAX:
            users.append(sorted({use.subject for use in uses if use.last_time >= left_at}))
    return users
