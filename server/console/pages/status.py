"""How the installation is, as `leaver status` tells it, without alerts: administrators do not see these."""

from __future__ import annotations

import threading
from typing import Final

import msgspec
from starlette.responses import Response

from server.console.page import Ask, Console, Page
from server.console.standstill import standstill
from server.people.roles import Right
from server.status_types import Status

KEPT_MS: Final = 3_000
SHOWN_OF_A_KIND: Final = 5


class Told(msgspec.Struct, frozen=True):
    """Findings of one kind; `more`: of it that are not shown."""

    kind: str
    details: tuple[str, ...]
    more: int


class StatusNow:
    """Read once in KEPT_MS for all who look. `console.made(StatusNow)`."""

    def __init__(self, console: Console) -> None:
        self._read = console.service.status
        self._lock = threading.Lock()
        self._at = 0
        self._kept: Status | None = None

    def status(self, now: int) -> Status:
        with self._lock:
            if self._kept is None or not 0 <= now - self._at < KEPT_MS:
                found = self._read()
                assert isinstance(found, Status)
                self._kept, self._at = found, now
            return self._kept


def status(console: Console, ask: Ask) -> Response:
    """GET /status; as a part of itself every few seconds."""
    found = console.made(StatusNow).status(ask.now)
    template = "status/now.html" if ask.fragment else "status/status.html"
    return ask.page(template, found=found, told=_told(found), standstill=standstill(console, ask))


def _told(found: Status) -> list[Told]:
    kinds: dict[str, list[str]] = {}
    for finding in found.findings:
        kinds.setdefault(finding.kind, []).append(finding.detail)
    return [
        Told(kind.replace("_", " "), tuple(details[:SHOWN_OF_A_KIND]), max(0, len(details) - SHOWN_OF_A_KIND))
        for kind, details in kinds.items()
    ]


PAGES = [Page("GET", "/status", Right.SEE_FLEET, status)]
