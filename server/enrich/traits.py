"""Which traits an event shows: what somebody acted from, besides the account. Pure.

- `host:NAME`, a machine: what happens at an endpoint; a login at its own screen; a client that a server's log
  names.
- `device:UID`: a stick or disk with a serial number; the device that an application's log tells.
- `address:IP`, from which somebody came: logins, acts in applications, statements. Of IPv6 its /64, for the
  rest changes daily.
- `key:PRINT`, the key that opened the door: logins.

Not a trait: addresses that are nobody's (loopback, link-local, multicast, carriers' 100.64.0.0/10), devices
without a serial number (their uid is a port, or the file system's), the machine of a server that wrote down
what somebody did over the network, and where a mail came from.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache, singledispatch
from typing import Final

import msgspec

from event_schema.ocsf_account_events import (
    ApiActivity,
    Authentication,
    AuthenticationActivity,
    DatastoreActivity,
    LogonType,
    Outcome,
)
from event_schema.ocsf_endpoint_events import FileSystemActivity, PeripheralActivity, ProcessActivity
from event_schema.ocsf_events import Event
from event_schema.ocsf_network import SourceEndpoint
from event_schema.ocsf_objects import Host, PeripheralDevice
from event_schema.ocsf_transfer_events import EmailActivity, FileHostingActivity
from server.people.account_names import account_key, host_trait
from server.store.column_types import key_text
from server.store.tables.uses import TRAIT_CHARACTERS

HOST: Final = "host:"
DEVICE: Final = "device:"
ADDRESS: Final = "address:"
KEY: Final = "key:"
_NO_HOST: Final = frozenset({"", "localhost", "local", "unknown", "-"})
_CARRIERS: Final = ipaddress.ip_network("100.64.0.0/10")
_IPV6_PREFIX: Final = 64


class Traits(msgspec.Struct, frozen=True):
    """`machine`: from which somebody acted: a host, or a device that a log names. `storage`: what was plugged
    in. `shows_use`: whether the event is an act that worked, of the account's own user: what failed, ended or
    was sent by a mail server shows nothing of who uses what. `address`: as the event has it. `storage_names`:
    what the storage device calls itself, also one that is no trait."""

    machine: str | None = None
    storage: str | None = None
    address: str | None = None
    key: str | None = None
    storage_names: tuple[str, ...] = ()
    shows_use: bool = True


NOTHING: Final = Traits(shows_use=False)


@singledispatch
def traits_of(event: Event) -> Traits:
    """The event's traits."""
    raise TypeError(f"no traits of {type(event).__name__}")


@traits_of.register
def _file(event: FileSystemActivity) -> Traits:
    if event.unmapped.origin is not None:
        return NOTHING
    return _at_endpoint(event.device, event.unmapped.peripheral_device)


@traits_of.register
def _peripheral(event: PeripheralActivity) -> Traits:
    if event.unmapped.print_job is not None:
        return NOTHING
    return _at_endpoint(event.device, event.peripheral_device)


@traits_of.register
def _process(event: ProcessActivity) -> Traits:
    return _at_endpoint(event.device, None)


@traits_of.register
def _upload(event: FileHostingActivity) -> Traits:
    return _at_endpoint(event.device, None)


@traits_of.register
def _mail(_event: EmailActivity) -> Traits:
    return NOTHING


@traits_of.register
def _login(event: Authentication) -> Traits:
    source = event.src_endpoint
    machine = _client(source)
    if machine is None and source is None and event.logon_type_id is LogonType.INTERACTIVE:
        machine = _host(event.device)
    key = event.user.credential_uid
    if event.activity_id is not AuthenticationActivity.LOGON:
        # Of su and sudo nobody tells from where whoever did it had come.
        return Traits(shows_use=False)
    return Traits(
        machine,
        address=None if source is None else source.ip,
        key=None if key is None else key_text(KEY + key, TRAIT_CHARACTERS),
        shows_use=event.status_id is Outcome.SUCCESS,
    )


@traits_of.register
def _act(event: ApiActivity) -> Traits:
    return _remote(event.src_endpoint, event.status_id)


@traits_of.register
def _statement(event: DatastoreActivity) -> Traits:
    return _remote(event.src_endpoint, event.status_id)


def _remote(source: SourceEndpoint, status: Outcome | None) -> Traits:
    return Traits(_client(source), address=source.ip, shows_use=status is not Outcome.FAILURE)


def _client(source: SourceEndpoint | None) -> str | None:
    """The machine that a log names. What an application tells of the device is surer than a host's name."""
    if source is None:
        return None
    if source.uid is not None:
        return key_text(DEVICE + source.uid, TRAIT_CHARACTERS)
    if source.hostname is None or account_key(source.hostname) in _NO_HOST:
        return None
    return key_text(host_trait(source.hostname), TRAIT_CHARACTERS)


def _host(device: Host) -> str:
    return key_text(host_trait(device.hostname), TRAIT_CHARACTERS)


def _at_endpoint(host: Host, device: PeripheralDevice | None) -> Traits:
    if device is None:
        return _of_machine(host.hostname, None, None)
    return _of_machine(host.hostname, device.uid, device.serial_number)


@lru_cache(maxsize=16_384)
def _of_machine(hostname: str, uid: str | None, serial_number: str | None) -> Traits:
    """Of a machine, and of what was plugged in there: the same for many events."""
    names = tuple(name for name in (uid, serial_number) if name is not None)
    storage = None
    if uid is not None and serial_number is not None:
        storage = key_text(DEVICE + uid, TRAIT_CHARACTERS)
    return Traits(key_text(host_trait(hostname), TRAIT_CHARACTERS), storage, storage_names=names)


@lru_cache(maxsize=65_536)
def address_trait(text: str | None) -> str | None:
    """The trait of an address as an event has it; None where it is nobody's."""
    try:
        address = ipaddress.ip_address(text or "")
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if address.is_loopback or address.is_link_local or address.is_multicast or address.is_unspecified:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        return f"{ADDRESS}{ipaddress.ip_network((address, _IPV6_PREFIX), strict=False)}"
    return None if address in _CARRIERS else f"{ADDRESS}{address}"
