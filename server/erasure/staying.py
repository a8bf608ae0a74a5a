"""What an erasure leaves behind by intent: the proof of what was done here, which the law wants kept.

It names nobody by itself: pseudonyms and digests, which only the installation's key, together with a name
that somebody knows already, can tell apart.
"""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection, func, select

from event_schema.struct_base import Milliseconds
from server.erasure.plan import Plan
from server.people.erased import is_no_account
from server.people.pseudonyms import known_pseudonyms
from server.store.tables import audit


class Stays(msgspec.Struct, frozen=True):
    """`until`: None: for good."""

    what: str
    number: int
    until: Milliseconds | None


def what_stays(connection: Connection, plan: Plan, *, accounts_until: int) -> tuple[Stays, ...]:
    """Of a person or an account, before it is erased. accounts_until: ms UTC, when its accounts are no longer
    shut out."""
    if not plan.subjects:
        return ()
    shown = list(known_pseudonyms(connection, plan.subjects).values())
    rows = connection.execute(
        select(func.count()).select_from(audit).where(audit.c.object.in_(shown))
    ).scalar_one()
    digests = len({account for account in plan.accounts if not is_no_account(account)})
    found = [
        Stays("entries of the audit trail, by pseudonym", int(rows), None),
        Stays("entries of the audit trail about this erasure, by digest", 2, None),
        Stays("digests of accounts, so that their later events are dropped", digests, accounts_until),
    ]
    return tuple(each for each in found if each.number)
