"""How the installation is, as `leaver status` tells it, without alerts: administrators do not see these."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

import msgspec
from starlette.responses import Response

from server.api.errors import ApiError
from server.api.service import RETRY_SECONDS
from server.console.ingest_watch import IngestWatch
from server.console.kept_reading import KeptReading
from server.console.page import Ask, Console, Page
from server.console.said_words import said
from server.people.roles import Right
from server.status_types import Status

KEPT_MS: Final = 3_000
OLD_MS: Final = 15_000
"""The page asks every five seconds: it is read meanwhile."""
SHOWN_OF_A_KIND: Final = 5


class Told(msgspec.Struct, frozen=True):
    """Findings of one kind; `more`: of it that are not shown."""

    kind: str
    details: tuple[str, ...]
    more: int


class StatusNow:
    """Read once in KEPT_MS for all who look, and OLD_MS old at most. `console.made(StatusNow)`."""

    def __init__(self, console: Console) -> None:
        read: Callable[[], object] = console.service.status
        self._reading = KeptReading(
            lambda: _status(read), console.service.clock, kept_ms=KEPT_MS, old_ms=OLD_MS
        )

    def status(self) -> Status:
        """Raises ApiError(503) where nothing was read so far."""
        found = self._reading.now()
        if found is None:
            raise ApiError(503, "status_unknown", "the state cannot be read now", retry_after=RETRY_SECONDS)
        return found


def _status(read: Callable[[], object]) -> Status:
    found = read()
    assert isinstance(found, Status)
    return found


def status(console: Console, ask: Ask) -> Response:
    """GET /status; as a part of itself every few seconds."""
    found = console.made(StatusNow).status()
    template = "status/now.html" if ask.fragment else "status/status.html"
    return ask.page(template, found=found, told=_told(ask, found), ingest=console.made(IngestWatch).now())


def _told(ask: Ask, found: Status) -> list[Told]:
    kinds: dict[str, list[str]] = {}
    agents = {agent.name for agent in found.agents}
    for finding in found.findings:
        kinds.setdefault(finding.kind, []).append(_detail(ask, finding.detail, agents))
    return [
        Told(
            said(ask, kind.replace("_", " ")),
            tuple(details[:SHOWN_OF_A_KIND]),
            max(0, len(details) - SHOWN_OF_A_KIND),
        )
        for kind, details in kinds.items()
    ]


def _detail(ask: Ask, detail: str, agents: Collection[str]) -> str:
    """What is odd about an agent follows its name."""
    agent, colon, finding = detail.partition(": ")
    if colon and agent in agents:
        return f"{agent}{colon}{said(ask, finding)}"
    return said(ask, detail)


PAGES = [Page("GET", "/status", Right.SEE_FLEET, status)]
