"""What an alert's events come to: the largest files in full, everything else as counts, in bounded memory."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Sequence
from typing import Final

import msgspec

from event_schema.leaver_fields import LeaverFields
from event_schema.ocsf_events import Event, FileActivity, FileSystemActivity, account_of
from event_schema.ocsf_objects import PeripheralDevice

DESTINATIONS_MAX: Final = 50
ACCOUNTS_MAX: Final = 200
GAPS_MAX: Final = 20

_WRITTEN = frozenset({FileActivity.CREATE, FileActivity.UPDATE})


class EvidenceEvent(msgspec.Struct, frozen=True):
    """One event of an alert, as it came, and what was known of it."""

    agent: str
    epoch: str
    seq: int
    time: int
    """Corrected by the agent's clock offset."""
    event: Event
    leaver: LeaverFields


class Destination(msgspec.Struct, frozen=True):
    """One device that files went to."""

    device: PeripheralDevice | None
    """None: the collector could not say which."""
    volume: str | None
    files: int
    bytes: int


class Evidence(msgspec.Struct, frozen=True):
    """`events` are the largest written files first, then by time; all else is of all that were read."""

    events: tuple[EvidenceEvent, ...]
    total: int
    files: int
    """Files written; deletions, renames and devices going in and out are in `total` only."""
    bytes: int
    acts: dict[str, int]
    """How many events of each kind: "create", "rename", "connect" …"""
    destinations: tuple[Destination, ...]
    """Most bytes first, at most DESTINATIONS_MAX."""
    accounts: tuple[tuple[str, str], ...]
    """(account, host) that acted, at most ACCOUNTS_MAX."""
    gaps: tuple[str, ...]
    """What could not be seen, in the collectors' words, at most GAPS_MAX."""
    missing: int
    """Events of the alert's ranges that are not stored any more."""
    damaged: tuple[str, ...]
    """Stored blocks that cannot be read, and why."""
    read_all: bool


class EvidenceTally:
    """Takes events one by one; up to the bounds the result does not depend on their order."""

    def __init__(self, limit: int) -> None:
        self.total = 0
        self._limit = limit
        self._files = self._bytes = 0
        self._largest: list[tuple[int, int, str, str, int, EvidenceEvent]] = []
        self._acts: Counter[str] = Counter()
        self._destinations: dict[tuple[str | None, str | None], Destination] = {}
        self._accounts: dict[tuple[str, str], None] = {}
        self._gaps: dict[str, None] = {}

    def add(self, found: EvidenceEvent) -> None:
        event = found.event
        self.total += 1
        self._acts[event.activity_id.name.lower()] += 1
        if is_written_file(event):
            self._add_file(event)
        entry = (written_bytes(event), -found.time, found.agent, found.epoch, -found.seq, found)
        if len(self._largest) < self._limit:
            heapq.heappush(self._largest, entry)
        elif self._limit:
            heapq.heappushpop(self._largest, entry)
        user = account_of(event)
        if user is not None and user.name and len(self._accounts) < ACCOUNTS_MAX:
            self._accounts[user.name, event.device.hostname] = None
        gap = found.leaver.evidence.gap
        if gap and len(self._gaps) < GAPS_MAX:
            self._gaps[gap] = None

    def result(self, *, missing: int, read_all: bool, damaged: Sequence[str]) -> Evidence:
        by_size = sorted(self._destinations.values(), key=lambda d: (-d.bytes, -d.files, d.volume or ""))
        return Evidence(
            events=tuple(entry[-1] for entry in sorted(self._largest, reverse=True, key=lambda e: e[:-1])),
            total=self.total,
            files=self._files,
            bytes=self._bytes,
            acts=dict(sorted(self._acts.items())),
            destinations=tuple(by_size),
            accounts=tuple(sorted(self._accounts)),
            gaps=tuple(sorted(self._gaps)),
            missing=missing,
            damaged=tuple(damaged),
            read_all=read_all,
        )

    def _add_file(self, event: Event) -> None:
        assert isinstance(event, FileSystemActivity)
        size = written_bytes(event)
        self._files += 1
        self._bytes += size
        device = event.unmapped.peripheral_device
        place = ((device.uid or device.name) if device else None, event.file.volume)
        known = self._destinations.get(place)
        if known is not None:
            self._destinations[place] = msgspec.structs.replace(
                known, files=known.files + 1, bytes=known.bytes + size
            )
        elif len(self._destinations) < DESTINATIONS_MAX:
            self._destinations[place] = Destination(device, event.file.volume, 1, size)


def is_written_file(event: Event) -> bool:
    return isinstance(event, FileSystemActivity) and event.activity_id in _WRITTEN


def written_bytes(event: Event) -> int:
    """Bytes of a file that was written; 0 for every other act, and where the size is not known."""
    if not isinstance(event, FileSystemActivity) or event.activity_id not in _WRITTEN:
        return 0
    return event.file.size or 0
