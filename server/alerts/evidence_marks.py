"""One event of an alert as a small row, to list, filter and draw thousands of them: what was done, with which
file, how much, where to, with which program, on which machine, and how sure that is.

A mark holds what the event held, names too: what is shown of it comes from `shown_mark`, through a Masker.
"""

from __future__ import annotations

from typing import Final

import msgspec

from event_schema.ocsf_account_events import ApiActivity, Authentication, DatastoreActivity
from event_schema.ocsf_endpoint_events import FileSystemActivity, PeripheralActivity, ProcessActivity
from event_schema.ocsf_events import Event
from event_schema.ocsf_objects import File, PeripheralDevice
from event_schema.ocsf_transfer_events import EmailActivity, FileHostingActivity
from event_schema.printable import printable_name
from event_schema.struct_base import Milliseconds
from server.alerts.act_words import act_of
from server.alerts.evidence_tally import EvidenceEvent
from server.enrich.amounts import amounts_of, destination_name
from server.people.masking import Masker

NAMES_MAX: Final = 5
"""Attachments of one mail, tables of one query, that are told."""


class EvidenceMark(msgspec.Struct, frozen=True, gc=False):
    """`time`: corrected, ms UTC. `amount`: bytes as they count; `items`: what else counts, such as rows."""

    time: int
    agent: str
    epoch: str
    seq: int
    host: str
    channel: str
    act: str
    names: tuple[str, ...] = ()
    """Of files; else of tables, records or programs."""
    is_file: bool = False
    path: str | None = None
    labels: tuple[tuple[str, int], ...] = ()
    known_export: bool = False
    amount: int = 0
    items: int = 0
    digest: str | None = None
    places: tuple[str, ...] = ()
    """Where to: destinations, domains, volumes; of others the system."""
    device: PeripheralDevice | None = None
    process: str | None = None
    fidelity: str = "exact"
    gap: str | None = None


class ShownMark(msgspec.Struct, frozen=True):
    """A mark as an analyst sees it. What turns the direction of writing, or cannot be seen, stands as its
    number in names."""

    key: str
    """Finds the event again, and names nobody: `H-4K2M9Q.00112233aabbccdd.17`."""
    time: Milliseconds
    channel: str
    act: str
    names: tuple[str, ...]
    is_file: bool
    path: str | None
    labels: tuple[tuple[str, int], ...]
    known_export: bool
    amount: int
    items: int
    digest: str | None
    places: tuple[str, ...]
    device: str | None
    process: str | None
    host: str
    fidelity: str
    gap: str | None


def mark_of(found: EvidenceEvent) -> EvidenceMark:
    event = found.event
    taken = amounts_of(event)
    told = _told(event)
    of_file = found.leaver.file
    process = event.actor.process
    return EvidenceMark(
        time=found.time,
        agent=found.agent,
        epoch=found.epoch,
        seq=found.seq,
        host=event.device.hostname,
        channel=event.metadata.log_name,
        act=told.act or act_of(event),
        names=told.names,
        is_file=told.file is not None,
        path=None if told.file is None else told.file.path,
        labels=() if told.file is None else labels_of(told.file),
        known_export=of_file is not None and bool(of_file.known_export),
        amount=taken.bytes or (0 if told.file is None else told.file.size or 0),
        items=taken.items,
        digest=None if told.file is None or not told.file.hashes else told.file.hashes[0].value,
        places=told.places,
        device=told.device,
        process=process.name if process is not None else None,
        fidelity=found.leaver.evidence.fidelity,
        gap=found.leaver.evidence.gap,
    )


class _Told(msgspec.Struct, frozen=True, gc=False):
    act: str = ""
    names: tuple[str, ...] = ()
    file: File | None = None
    places: tuple[str, ...] = ()
    device: PeripheralDevice | None = None


def _told(event: Event) -> _Told:  # noqa: PLR0911
    match event:
        case FileSystemActivity():
            device = event.unmapped.peripheral_device
            volume = (event.file.volume,) if event.file.volume else ()
            renamed = (event.file_result.name,) if event.file_result is not None else ()
            return _Told(names=(event.file.name, *renamed), file=event.file, places=volume, device=device)
        case FileHostingActivity():
            place = destination_name(event.dst_endpoint)
            return _Told(names=(event.file.name,), file=event.file, places=(place,) if place else ())
        case EmailActivity():
            files = event.email.files or ()
            domains = sorted({address.removeprefix("*@") for address in event.email.to})
            return _Told(
                names=tuple(file.name for file in files[:NAMES_MAX]),
                file=files[0] if files else None,
                places=tuple(domains[:NAMES_MAX]),
            )
        case Authentication():
            return _Told(
                names=(event.status_detail,) if event.status_detail else (), places=(event.service.name,)
            )
        case ApiActivity():
            service = event.api.service
            names = (event.api.operation, *(each.name for each in (event.resources or ())[:NAMES_MAX]))
            return _Told(names=names, places=(service.name,) if service is not None else ())
        case DatastoreActivity():
            tables = event.unmapped.result.tables or (event.unmapped.result.method,)
            return _Told(names=tuple(tables[:NAMES_MAX]), places=(event.database.name,))
        case PeripheralActivity():
            return _Told(names=(event.peripheral_device.name,), device=event.peripheral_device)
        case ProcessActivity():
            return _Told(names=(event.process.name,) if event.process.name else ())


def labels_of(file: File) -> tuple[tuple[str, int], ...]:
    """What the file holds, as counts; the languages of source code are left out."""
    found = [
        (detail.type, detail.count)
        for each in file.data_classifications or ()
        for detail in each.discovery_details
        if not detail.type.startswith("source_code.")
    ]
    return (*found, *([("encrypted", 1)] if file.is_encrypted else []))


class MarkMask:
    """Shows marks of one alert; what many of them share is worked out once."""

    def __init__(self, masker: Masker) -> None:
        self._masker = masker
        self._folders: dict[tuple[str, str], str] = {}
        self._texts: dict[str, str] = {}
        self._hosts: dict[str, str] = {}
        self._devices: dict[tuple[str, str | None, str | None], str] = {}

    def shown(self, mark: EvidenceMark) -> ShownMark:
        return ShownMark(
            key=f"{self.host(mark.agent)}.{mark.epoch}.{mark.seq}",
            time=mark.time,
            channel=mark.channel,
            act=mark.act,
            names=tuple(map(printable_name if mark.is_file else self.text, mark.names)),
            is_file=mark.is_file,
            path=None if mark.path is None else self.path(mark.path, mark.host),
            labels=mark.labels,
            known_export=mark.known_export,
            amount=mark.amount,
            items=mark.items,
            digest=mark.digest,
            places=tuple(map(self.text, mark.places)),
            device=None if mark.device is None else self.device(mark.device),
            process=None if mark.process is None else self.text(mark.process),
            host=self.host(mark.host),
            fidelity=mark.fidelity,
            gap=None if mark.gap is None else self.text(mark.gap),
        )

    def text(self, text: str) -> str:
        if text not in self._texts:
            self._texts[text] = printable_name(self._masker.text(text))
        return self._texts[text]

    def host(self, name: str) -> str:
        if name not in self._hosts:
            self._hosts[name] = self._masker.host(name)
        return self._hosts[name]

    def path(self, path: str, host: str) -> str:
        """Folders are shared by many files; the file's own name stays as it is."""
        cut = max(path.rfind("/"), path.rfind("\\")) + 1
        folder = path[:cut]
        known = self._folders.get((folder, host))
        if known is None:
            known = self._folders[folder, host] = printable_name(self._masker.path(folder, host))
        return known + printable_name(path[cut:])

    def device(self, device: PeripheralDevice) -> str:
        """Which model shows, which single one does not."""
        asked = (device.name, device.uid, device.serial_number)
        if asked not in self._devices:
            masked = self._masker.device(device)
            single = masked.get("uid") or masked.get("serial_number")
            parts = (str(part) for part in (masked["name"], single) if part)
            self._devices[asked] = printable_name(" ".join(parts))
        return self._devices[asked]
