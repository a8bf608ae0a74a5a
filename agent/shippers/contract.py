"""What every way to the server promises. The contract suite in tests/agent/shippers/ runs on each,
against its real far side.

- ship() returns only when every record is durable on the far side: stored by the server, or
  acknowledged by all of a broker's in-sync replicas. Then the agent deletes them.
- Records of one call arrive in their order, and after those of earlier calls that returned.
- When ship() raises, none, some or all records may have arrived; the agent sends the same events again
  (perhaps cut into other records), and their numbers make the copies harmless.
- ship() takes bounded time and memory: it gives up with ShipRetry rather than hang.
- One thread calls ship() and close(); the constructor opens no connection and does not fail because
  the far side is away.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from event_schema.wire import WireRecord


class ShipRetry(Exception):
    """The far side is away, busy or full. Send the same again, not before `not_before` seconds."""

    def __init__(self, reason: str, *, not_before: float = 0.0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.not_before = not_before


class ShipLater(ShipRetry):
    """All is well, but this agent sends more than it may: the rest not before `not_before` seconds."""


class ShipRefused(Exception):
    """The far side does not take these records from this agent, and would not if asked again soon:
    revoked, unknown, malformed or too large. The agent keeps them, says so, and retries slowly. What is too
    large it tries in smaller portions first; a single event that stays too large it gives up in the end.

    `code` is a short word for counting: "revoked", "unauthorised", "bad_request", "too_large".
    """

    def __init__(self, reason: str, *, code: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.code = code


class Shipper(Protocol):
    def ship(self, records: Sequence[WireRecord]) -> None:
        """Returns when all records are durable on the far side. Raises ShipRetry, ShipLater, ShipRefused.

        At most wire.RECORDS_PER_REQUEST_MAX records; an empty sequence does nothing.
        """

    def asked_to_wait(self) -> float:
        """Seconds for which the far side wants nothing more, though it took all: this agent sends more than
        it may. 0: it asked for no such pause."""

    def describe(self) -> str:
        """Transport and address in words, for logs and `status` ("https to siem.example:8443")."""

    def close(self) -> None:
        """Gives everything back. May be called twice."""
