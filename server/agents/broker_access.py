"""Agents that send straight to a broker need its leave, too: given at enrolment, taken at revocation."""

from __future__ import annotations

from typing import Protocol

import msgspec
from sqlalchemy import Connection, select

from server.store.database import Database
from server.store.tables import agents


class BrokerTicket(msgspec.Struct, frozen=True):
    """What an agent shows to the brokers beside its certificate; both empty where that suffices."""

    user: str = ""
    secret: str = ""

    def __repr__(self) -> str:
        # A traceback may show this.
        return f"BrokerTicket({self.user!r}, …)"


class BrokerAccess(Protocol):
    """Thread-safe. All raise LogUnavailable when the brokers do not answer or do not agree."""

    def admit(self, agent: str) -> BrokerTicket:
        """Lets the agent write to the log. What it was given before holds no longer."""

    def expel(self, agent: str) -> None:
        """The agent writes nothing more, on connections that are open, too. For good."""

    def expelled(self) -> frozenset[str]:
        """Who was."""

    def close(self) -> None: ...


def expel_revoked(database: Database, access: BrokerAccess) -> list[str]:
    """Tells the brokers of revocations that they have not heard of, and returns those agents.

    Raises LogUnavailable."""
    with database.read() as connection:
        revoked = _revoked(connection)
    if not revoked:
        return []
    unheard = sorted(revoked - access.expelled())
    for agent in unheard:
        access.expel(agent)
    return unheard


def _revoked(connection: Connection) -> set[str]:
    query = select(agents.c.name).where(agents.c.revoked_at.is_not(None))
    return {str(row.name) for row in connection.execute(query)}
