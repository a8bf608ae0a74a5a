"""What an event comes to: how much was taken, and where to. Pure; the same words for every channel.

| channel | files | bytes | items | place |
|---|---|---|---|---|
| removable storage | files written | their sizes | the same | the device |
| uploads | 1 | the file's size, else what was sent | 1 | the destination |
| mail | attachments | the mail's size | recipients' domains | each of these |
| databases | 0 | what the database sent | rows | – |
| applications | 0 | 0 | what it was done to | – |
| logins | 0 | 0 | attempts | – |
| printing | 0 | 0 | pages | – |
"""

from __future__ import annotations

from functools import singledispatch
from typing import Final

import msgspec

from event_schema.ocsf_account_events import ApiActivity, Authentication, DatastoreActivity
from event_schema.ocsf_endpoint_events import (
    FileActivity,
    FileSystemActivity,
    PeripheralActivity,
    PeripheralActivityKind,
    ProcessActivity,
)
from event_schema.ocsf_events import Event
from event_schema.ocsf_network import DestinationEndpoint
from event_schema.ocsf_objects import DriveType
from event_schema.ocsf_transfer_events import EmailActivity, FileHostingActivity
from server.store.column_types import key_text

PLACE_CHARACTERS: Final = 512
PLACES_MAX: Final = 20
"""Of one event: a mail to more domains counts these."""
DEVICE: Final = "device:"
REMOTE: Final = "remote:"
_WRITES: Final = frozenset({FileActivity.CREATE, FileActivity.UPDATE})


class Amounts(msgspec.Struct, frozen=True):
    files: int = 0
    bytes: int = 0
    items: int = 0


NOTHING: Final = Amounts()


@singledispatch
def amounts_of(event: Event) -> Amounts:
    """How much was taken."""
    raise TypeError(f"no amounts of {type(event).__name__}")


@singledispatch
def places_of(event: Event) -> tuple[str, ...]:
    """Where to, or with what: "device:UID", "remote:NAME"; empty where there is no such side."""
    return ()


@amounts_of.register
def _file(event: FileSystemActivity) -> Amounts:
    if event.activity_id not in _WRITES or event.file.drive_type_id != DriveType.REMOVABLE:
        return NOTHING
    return Amounts(files=1, bytes=event.file.size or 0, items=1)


@amounts_of.register
def _process(_event: ProcessActivity) -> Amounts:
    return Amounts(items=1)


@amounts_of.register
def _device(event: PeripheralActivity) -> Amounts:
    job = event.unmapped.print_job
    return NOTHING if job is None else Amounts(items=job.pages)


@amounts_of.register
def _upload(event: FileHostingActivity) -> Amounts:
    size = event.file.size if event.file.size is not None else event.unmapped.transfer.bytes_sent
    return Amounts(files=1, bytes=size or 0, items=1)


@amounts_of.register
def _mail(event: EmailActivity) -> Amounts:
    return Amounts(files=len(event.email.files or ()), bytes=event.email.size or 0, items=len(event.email.to))


@amounts_of.register
def _login(event: Authentication) -> Amounts:
    return Amounts(items=1 if event.count is None else event.count)


@amounts_of.register
def _act(event: ApiActivity) -> Amounts:
    return Amounts(items=1 if event.count is None else event.count)


@amounts_of.register
def _statement(event: DatastoreActivity) -> Amounts:
    return Amounts(bytes=event.query_info.bytes or 0, items=event.unmapped.result.rows or 0)


@places_of.register
def _device_of_file(event: FileSystemActivity) -> tuple[str, ...]:
    device = event.unmapped.peripheral_device
    return () if device is None else (_place(DEVICE, device.uid or device.name),)


@places_of.register
def _device_itself(event: PeripheralActivity) -> tuple[str, ...]:
    if event.activity_id is PeripheralActivityKind.OTHER:
        return ()
    device = event.peripheral_device
    return (_place(DEVICE, device.uid or device.name),)


@places_of.register
def _destination(event: FileHostingActivity) -> tuple[str, ...]:
    name = destination_name(event.dst_endpoint)
    return () if name is None else (_place(REMOTE, name),)


@places_of.register
def _domains(event: EmailActivity) -> tuple[str, ...]:
    domains = sorted({address.removeprefix("*@") for address in event.email.to})
    return tuple(_place(REMOTE, domain) for domain in domains[:PLACES_MAX])


def destination_name(endpoint: DestinationEndpoint | None) -> str | None:
    """As the catalogue calls it, else its host name, else its address."""
    if endpoint is None:
        return None
    return endpoint.svc_name or endpoint.hostname or endpoint.ip


def _place(kind: str, name: str) -> str:
    return kind + key_text(name, PLACE_CHARACTERS)
