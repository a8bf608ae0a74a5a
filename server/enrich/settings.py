"""What many events have in common: one account at one machine, on one channel, towards one place.

A record of an endpoint tells of a few settings, hundreds of times each: whose account it was, what the event
shows of machine and address, and where things went to are looked up once for each setting. A setting is all
fields of an event that any of these read, so two events of one setting differ in nothing but what was taken,
and when. Over one version of the directory. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, Final, NamedTuple

from event_schema.ocsf_account_events import ApiActivity, DatastoreActivity
from event_schema.ocsf_endpoint_events import FileSystemActivity
from event_schema.ocsf_events import Event
from event_schema.ocsf_objects import User
from event_schema.ocsf_transfer_events import FileHostingActivity
from server.enrich.amounts import Amounts, amounts_of, places_of
from server.enrich.enrichment import channel_of, is_at_endpoint
from server.enrich.sessions import Opened
from server.enrich.traits import Traits
from server.enrich.who import Who, WhoByTime, WhoIsWho, is_nobodys

_SETTINGS_KEPT: Final = 20_000


class Shown(NamedTuple):
    """`address`: the trait of its address, where it points to somebody. `pointing`: all traits that may point
    to somebody: machine, storage device, address, key. `began`, `ended`: a session over the network, and the
    trait of such a one's end."""

    traits: Traits
    address: str | None
    pointing: tuple[str, ...]
    began: Opened | None = None
    ended: str | None = None


class Setting:
    """Compared by identity. `whose`: None where it is nobody's. `is_kept`: the next event like this has the
    same one."""

    __slots__ = (
        "amounts",
        "at_endpoint",
        "channel",
        "is_kept",
        "places",
        "shown",
        "whose",
    )

    def __init__(
        self, event: Event, whose: Who | WhoByTime | None, shown: Shown, *, is_kept: bool = False
    ) -> None:
        self.whose = whose
        self.shown = shown
        self.is_kept = is_kept
        self.places = places_of(event)
        self.channel = channel_of(event)
        self.at_endpoint = is_at_endpoint(event)
        self.amounts: Callable[[Any], Amounts] = amounts_of.dispatch(type(event))


class Settings:
    """`show`: what an event shows."""

    def __init__(self, who_is_who: WhoIsWho, show: Callable[[Event], Shown]) -> None:
        self._whose = who_is_who.whose
        self._show = show
        self._kept: dict[Hashable, Setting] = {}

    def of(self, event: Event) -> Setting:
        read = _KEYS.get(type(event))
        if read is None:
            return self._new(event)
        key = read(event)
        found = self._kept.get(key)
        if found is None:
            if len(self._kept) >= _SETTINGS_KEPT:
                self._kept.clear()
            found = self._kept[key] = self._new(event, is_kept=True)
        return found

    def _new(self, event: Event, *, is_kept: bool = False) -> Setting:
        whose = None if is_nobodys(event) else self._whose(event)
        return Setting(event, whose, self._show(event), is_kept=is_kept)


_NO_USER: Final = User()


def _file(event: FileSystemActivity) -> Hashable:
    user = event.actor.user or _NO_USER
    unmapped = event.unmapped
    evidence, device = unmapped.evidence, unmapped.peripheral_device
    return (
        FileSystemActivity,
        user.name,
        user.uid,
        event.device.hostname,
        event.metadata.log_name,
        evidence.fidelity,
        evidence.gap,
        unmapped.origin,
        None if device is None else (device.uid, device.serial_number, device.name),
    )


def _upload(event: FileHostingActivity) -> Hashable:
    user = event.actor.user or _NO_USER
    evidence, to = event.unmapped.evidence, event.dst_endpoint
    return (
        FileHostingActivity,
        user.name,
        user.uid,
        event.device.hostname,
        event.metadata.log_name,
        evidence.fidelity,
        evidence.gap,
        event.unmapped.transfer.category,
        None if to is None else (to.svc_name, to.hostname, to.ip),
    )


def _remote(event: ApiActivity | DatastoreActivity, service: str | None) -> Hashable:
    user = event.actor.user or _NO_USER
    evidence, source = event.unmapped.evidence, event.src_endpoint
    return (
        type(event),
        user.name,
        user.uid,
        event.device.hostname,
        event.metadata.log_name,
        evidence.fidelity,
        evidence.gap,
        service,
        event.status_id,
        source.uid,
        source.hostname,
        source.ip,
    )


def _act(event: ApiActivity) -> Hashable:
    service = event.api.service
    return _remote(event, None if service is None else service.name)


def _statement(event: DatastoreActivity) -> Hashable:
    return _remote(event, None)


_KEYS: Final[dict[type, Callable[[Any], Hashable]]] = {
    ApiActivity: _act,
    DatastoreActivity: _statement,
    FileHostingActivity: _upload,
    FileSystemActivity: _file,
}
