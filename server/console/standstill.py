"""Whether what pages show may be old: the pipeline stands still, the log cannot be read. Never silently."""

from __future__ import annotations

from typing import Final

import msgspec

from server.agents.health import newest_heartbeat
from server.console.kept_reading import KeptReading
from server.console.page import Ask, Console
from server.console.times_shown import span
from server.health import Health
from server.store.database import StoreUnavailable

KEPT_MS: Final = 3_000
QUIET_MS: Final = 10 * 60_000
"""Agents say something every 15 s; when all of them are quiet for so long, it is not theirs."""


class Standstill(msgspec.Struct, frozen=True):
    """`words`: what stands still, for people."""

    words: str


class PartsSeen:
    """What of the server does not run, asked for once in KEPT_MS. `console.made(PartsSeen)`."""

    def __init__(self, console: Console) -> None:
        health: Health = console.service.health
        self._reading = KeptReading(lambda: tuple(health.not_ready()), console.service.clock, kept_ms=KEPT_MS)

    def down(self) -> tuple[str, ...]:
        """Names of parts that do not work, as /readyz tells them; a part that does not answer keeps no page
        waiting."""
        found = self._reading.now()
        return ("status",) if found is None else found


def standstill(console: Console, ask: Ask) -> Standstill | None:
    """None: nothing that is known of."""
    down = console.made(PartsSeen).down()
    try:
        with console.database.read() as connection:
            heard = newest_heartbeat(connection)
    except StoreUnavailable:
        return Standstill(ask.text("The database cannot be read: nothing here is current."))
    if down:
        return Standstill(
            ask.text("The server cannot read events ({parts}); agents keep theirs.", parts="; ".join(down))
        )
    if heard is not None and ask.now - heard > QUIET_MS:
        since = span(ask.now - heard, ask.look.language)
        return Standstill(
            ask.text("No agent was heard for {span}: look at the network and at this server.", span=since)
        )
    return None
