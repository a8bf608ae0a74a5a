"""Who used what somebody had used, after they had left: what HR says of the one changes what is known of the
others.

A colleague's login from the machine of somebody who left points to whoever left; it is about the colleague's
account. So the subjects that used such a machine, device, address or key since, and the accounts whose
password the person knows, are scored again together with the person. Bounded: what many use points to nobody.
Those who used what few had come first; accounts, each on all hosts that it was used on, have their share all
the same, the last used first.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Final

from sqlalchemy import Connection, func, or_, select

from server.erasure.account_subjects import account_subjects
from server.people.directory import Directory
from server.store.tables import trait_uses

USERS_MAX: Final = 20
"""Of a trait; more are a crowd."""
TRAITS_MAX: Final = 500
NEIGHBOURS_MAX: Final = 50
ACCOUNTS_SHARE: Final = 15
"""Of the neighbours."""
HOSTS_MAX: Final = 1_000
"""Of one account; the others are not looked at."""
_KINDS: Final = ("host:", "device:", "address:", "key:")
_SUBJECTS_A_QUERY: Final = 500
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
    used = sorted(_users(connection, subjects, left_at), key=lambda each: (len(each), each))
    left_out = set(subjects)
    by_trait = _new((subject for users in used for subject in users), left_out)
    by_account = _new(
        _last_used_first(connection, account_subjects(connection, known, most=HOSTS_MAX)), left_out
    )
    share = min(len(by_account), ACCOUNTS_SHARE)
    found = by_trait[: NEIGHBOURS_MAX - share]
    found += by_account[: NEIGHBOURS_MAX - len(found)]
    if len(by_trait) + len(by_account) > len(found):
        number = len(by_trait) + len(by_account) - len(found)
        _logger.warning("neighbours_left_out", extra={"number": number})
    return found


def _new(subjects: Iterable[str], seen: set[str]) -> list[str]:
    """Each once. `seen` grows."""
    found = [subject for subject in dict.fromkeys(subjects) if subject not in seen]
    seen.update(found)
    return found


def _last_used_first(connection: Connection, subjects: Iterable[str]) -> list[str]:
    last: dict[str, int] = dict.fromkeys(sorted(subjects), 0)
    names = list(last)
    row = trait_uses.c
    for start in range(0, len(names), _SUBJECTS_A_QUERY):
        used = select(row.subject, func.max(row.last_time)).group_by(row.subject)
        part = names[start : start + _SUBJECTS_A_QUERY]
        rows = connection.execute(used.where(row.subject.in_(part))).all()
        last |= {each[0]: each[1] for each in rows}
    return sorted(names, key=lambda subject: (-last[subject], subject))


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
