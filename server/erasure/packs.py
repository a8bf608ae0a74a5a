"""Evidence packs that tell of somebody who is erased, or of days that are: they go, files and all.

What was downloaded before lies where this server does not reach; the audit trail says who has it.
"""

from __future__ import annotations

from sqlalchemy import Connection

from server.erasure.plan import Plan
from server.erasure.selection import DAY_MS
from server.evidence_pack.stored import forget_packs, packs_telling_of
from server.people.pseudonyms import known_pseudonyms


def forget_packs_of(connection: Connection, plan: Plan) -> int:
    """How many. In a write transaction, while the pseudonyms are still known."""
    found = packs_of(connection, plan)
    if found:
        forget_packs(connection, found)
    return len(found)


def packs_of(connection: Connection, plan: Plan) -> list[int]:
    """Their numbers."""
    if plan.first_day is not None and plan.last_day is not None:
        times = (plan.first_day * DAY_MS, (plan.last_day + 1) * DAY_MS)
        return packs_telling_of(connection, (), times)
    return packs_telling_of(connection, known_pseudonyms(connection, plan.subjects).values(), None)
