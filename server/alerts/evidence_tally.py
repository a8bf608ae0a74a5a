"""What an alert's events come to: the telling files in full (marked, known exports, labelled, then the
largest), everything else as counts, in bounded memory."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Sequence
from typing import Final

import msgspec

from event_schema.leaver_fields import LeaverFields
from event_schema.ocsf_account_events import ApiActivity, DatastoreActivity
from event_schema.ocsf_endpoint_events import FileSystemActivity
from event_schema.ocsf_events import Event, account_of
from event_schema.ocsf_objects import File, PeripheralDevice
from event_schema.ocsf_transfer_events import EmailActivity, FileHostingActivity
from server.alerts.act_words import act_of
from server.enrich.amounts import Amounts, amounts_of, destination_name

_TELLING: Final = ("mark_", "private_key")
PROGRAMS_MAX: Final = 5
DESTINATIONS_MAX: Final = 50
ACCOUNTS_MAX: Final = 200
GAPS_MAX: Final = 20
LABEL_TYPES_MAX: Final = 50
FIDELITIES: Final = ("exact", "likely", "possible")


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
    """One device, or one place outside, that files went to."""

    device: PeripheralDevice | None
    """None: the collector could not say which, or it is no device."""
    volume: str | None
    remote: str | None
    """As the catalogue calls it, else its host name or address; a mail's domain."""
    files: int
    bytes: int


class System(msgspec.Struct, frozen=True):
    """One application or database that the acts were in. `items`: records or rows."""

    name: str
    events: int
    items: int


class Evidence(msgspec.Struct, frozen=True):
    """`events`: marked files, keys and known exports first, then other labelled files, then the rest; each by
    size, then by time. All else is of all that were read."""

    events: tuple[EvidenceEvent, ...]
    total: int
    files: int
    """Files written, sent or attached; all else is in `total` only."""
    bytes: int
    acts: dict[str, int]
    """How many events of each kind: "create", "rename", "connect", "upload" … (act_words.py)."""
    destinations: tuple[Destination, ...]
    """Most bytes first, at most DESTINATIONS_MAX."""
    systems: tuple[System, ...]
    """Most records first, at most DESTINATIONS_MAX."""
    accounts: tuple[tuple[str, str], ...]
    """(account, host) that acted, at most ACCOUNTS_MAX."""
    gaps: tuple[str, ...]
    """What could not be seen, in the collectors' words, with how many events and which programs' it is of;
    at most GAPS_MAX."""
    labels: dict[str, int]
    """What all files hold, by label, most first; the same value in two files counts twice. At most
    LABEL_TYPES_MAX; languages of source code are left out."""
    fidelity: dict[str, int]
    """How sure the collectors were: events by "exact", "likely" and "possible"."""
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
        self._largest: list[tuple[int, int, int, str, str, int, EvidenceEvent]] = []
        self._acts: Counter[str] = Counter()
        self._destinations: dict[tuple[str | None, str | None, str | None], Destination] = {}
        self._systems: dict[str, System] = {}
        self._accounts: dict[tuple[str, str], None] = {}
        self._gaps: dict[str, _Gap] = {}
        self._labels: Counter[str] = Counter()
        self._fidelity: Counter[str] = Counter()

    def add(self, found: EvidenceEvent) -> None:
        event = found.event
        self.total += 1
        self._acts[act_of(event)] += 1
        taken = amounts_of(event)
        self._files += taken.files
        self._bytes += taken.bytes
        if taken.files:
            self._add_places(event, taken)
        self._add_system(event, taken)
        labels = _labels_of(event)
        for label, count in labels:
            if label in self._labels or len(self._labels) < LABEL_TYPES_MAX:
                self._labels[label] += count
        rank = _rank({label for label, _ in labels}, found)
        entry = (rank, taken.bytes, -found.time, found.agent, found.epoch, -found.seq, found)
        if len(self._largest) < self._limit:
            heapq.heappush(self._largest, entry)
        elif self._limit:
            heapq.heappushpop(self._largest, entry)
        user = account_of(event)
        if user is not None and user.name and len(self._accounts) < ACCOUNTS_MAX:
            self._accounts[user.name, event.device.hostname] = None
        self._fidelity[found.leaver.evidence.fidelity] += 1
        gap = found.leaver.evidence.gap
        if gap and (gap in self._gaps or len(self._gaps) < GAPS_MAX):
            self._gaps.setdefault(gap, _Gap()).add(event)

    def result(self, *, missing: int, read_all: bool, damaged: Sequence[str]) -> Evidence:
        by_size = sorted(
            self._destinations.values(), key=lambda d: (-d.bytes, -d.files, d.volume or d.remote or "")
        )
        return Evidence(
            events=tuple(entry[-1] for entry in sorted(self._largest, reverse=True, key=lambda e: e[:-1])),
            total=self.total,
            files=self._files,
            bytes=self._bytes,
            acts=dict(sorted(self._acts.items())),
            destinations=tuple(by_size),
            systems=tuple(sorted(self._systems.values(), key=lambda each: (-each.items, each.name))),
            accounts=tuple(sorted(self._accounts)),
            gaps=tuple(f"{gap}{self._gaps[gap].place(self.total)}" for gap in sorted(self._gaps)),
            labels=dict(sorted(self._labels.items(), key=lambda each: (-each[1], each[0]))),
            fidelity={each: self._fidelity[each] for each in FIDELITIES if self._fidelity[each]},
            missing=missing,
            damaged=tuple(damaged),
            read_all=read_all,
        )

    def _add_places(self, event: Event, taken: Amounts) -> None:
        for place in _destinations(event):
            device = None if place.device is None else place.device.uid or place.device.name
            key = (device, place.volume, place.remote)
            known = self._destinations.get(key)
            if known is not None or len(self._destinations) < DESTINATIONS_MAX:
                known = known or place
                self._destinations[key] = msgspec.structs.replace(
                    known, files=known.files + taken.files, bytes=known.bytes + taken.bytes
                )

    def _add_system(self, event: Event, taken: Amounts) -> None:
        name = _system_of(event)
        if name is None or (name not in self._systems and len(self._systems) >= DESTINATIONS_MAX):
            return
        known = self._systems.get(name, System(name, 0, 0))
        self._systems[name] = System(name, known.events + 1, known.items + taken.items)


class _Gap:
    """Of which events one gap is told."""

    def __init__(self) -> None:
        self._events = 0
        self._programs: dict[str, None] = {}

    def add(self, event: Event) -> None:
        self._events += 1
        process = event.actor.process
        if process is not None and process.name and len(self._programs) < PROGRAMS_MAX:
            self._programs[process.name] = None

    def place(self, total: int) -> str:
        """Empty where it is of all events."""
        if self._events == total:
            return ""
        programs = f", with {', '.join(sorted(self._programs))}" if self._programs else ""
        return f" ({self._events:,} of {total:,} events{programs})"


def _labels_of(event: Event) -> list[tuple[str, int]]:
    match event:
        case FileSystemActivity() | FileHostingActivity():
            files: tuple[File, ...] = (event.file,)
        case EmailActivity():
            files = event.email.files or ()
        case _:
            files = ()
    return [
        (detail.type, detail.count)
        for file in files
        for each in file.data_classifications or ()
        for detail in each.discovery_details
        if not detail.type.startswith("source_code.")
    ]


def _rank(labels: set[str], found: EvidenceEvent) -> int:
    """A small marked file must not hide behind large ones, nor behind many with a telephone number each."""
    of_file = found.leaver.file
    if (of_file is not None and of_file.known_export) or any(label.startswith(_TELLING) for label in labels):
        return 2
    return 1 if labels - {"source_code"} else 0


def _system_of(event: Event) -> str | None:
    match event:
        case ApiActivity():
            service = event.api.service
            return event.actor.app_name if service is None else service.name
        case DatastoreActivity():
            return event.database.name
        case _:
            return None


def _destinations(event: Event) -> tuple[Destination, ...]:
    match event:
        case FileSystemActivity():
            return (Destination(event.unmapped.peripheral_device, event.file.volume, None, 0, 0),)
        case FileHostingActivity():
            return (Destination(None, None, destination_name(event.dst_endpoint), 0, 0),)
        case EmailActivity():
            domains = sorted({address.removeprefix("*@") for address in event.email.to})
            return tuple(Destination(None, None, domain, 0, 0) for domain in domains)
        case _:
            return ()
