"""Which places are to be watched just now: mounted removable devices, and what the configuration adds."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final, Protocol

import msgspec

from collectors.linux.mounts import Mount
from collectors.linux.storage_identity import StorageIdentity, to_peripheral_device
from collectors.storage_config import RemovableStorageConfig
from collectors.storage_events import Volume
from event_schema.ocsf_objects import PeripheralDevice, PeripheralType
from event_schema.printable import printable_name
from event_schema.struct_base import NAME_CHARACTERS

_BY_UUID: Final = Path("/dev/disk/by-uuid")


class Place(msgspec.Struct, frozen=True):
    """A mount or folder to watch. Equal places need no change."""

    target: str
    mount_id: int
    """Tells a mount from the next one at the same target; 0 for a folder."""
    volume: Volume
    has_device: bool
    """A removable device that comes and goes by itself lies under it."""
    fs_type: str = ""
    device: int = 0

    @property
    def is_mount(self) -> bool:
        return self.mount_id != 0

    @property
    def is_extra_mount(self) -> bool:
        """Whether its mount and unmount are all that tells of a device coming and going."""
        return self.is_mount and not self.has_device


class Devices(Protocol):
    """What tells removable mounts from others."""

    def removable_identity(self, mount: Mount) -> StorageIdentity | None:
        """The device, or None for what is not removable."""


class PlaceFinder:
    """Remembers what it found out about each mount, since asking costs."""

    def __init__(self, config: RemovableStorageConfig, devices: Devices) -> None:
        self._extra = tuple(dict.fromkeys(os.path.normpath(path) for path in config.extra_mounts))
        self._trusted = frozenset(config.trusted_devices)
        self._devices = devices
        self._identities: dict[Mount, StorageIdentity | None] = {}

    def find(self, mounts: Iterable[Mount]) -> tuple[Place, ...]:
        """The places to watch, given the mount table."""
        # A later mount on the same target hides the earlier one.
        visible = {mount.target: mount for mount in mounts}
        self._identities = {
            mount: self._identities[mount] for mount in visible.values() if mount in self._identities
        }
        places: list[Place] = []
        devices: set[int] = set()
        # One place for a file system, however often it is mounted: the mount that shows most of it.
        for mount in sorted(visible.values(), key=lambda each: (each.root != "/", len(each.root))):
            place = self._mount_place(mount)
            if place is not None and mount.device not in devices:
                devices.add(mount.device)
                places.append(place)
        for path in self._extra:
            if path not in visible and Path(path).is_dir():
                volume = Volume(_plain_device(path, None), None)
                places += [Place(path, 0, volume, has_device=False)]
        return tuple(places)

    def _mount_place(self, mount: Mount) -> Place | None:
        if mount not in self._identities:
            self._identities[mount] = self._devices.removable_identity(mount)
        identity = self._identities[mount]
        if identity is not None:
            # What has no serial number can still be told by its file system.
            marks = {identity.serial or identity.fs_uuid, identity.uid}
            if self._trusted & marks:
                return None
            volume = Volume(to_peripheral_device(identity), identity.label or identity.fs_uuid)
            return Place(
                mount.target,
                mount.mount_id,
                volume,
                has_device=True,
                fs_type=mount.fs_type,
                device=mount.device,
            )
        if mount.target in self._extra:
            uuid = _file_system_uuid(mount.source)
            device = _plain_device(mount.target, uuid)
            if device.uid in self._trusted:
                return None
            return Place(
                mount.target, mount.mount_id, Volume(device, uuid), has_device=False, fs_type=mount.fs_type
            )
        return None


def _plain_device(target: str, uuid: str | None) -> PeripheralDevice:
    """What stands for the device where none is known: the place itself."""
    name = printable_name(target)
    return PeripheralDevice(
        name=name[:NAME_CHARACTERS],
        type_id=PeripheralType.EXTERNAL_STORAGE,
        uid=(uuid or f"mount:{name}")[:NAME_CHARACTERS],
    )


def _file_system_uuid(source: str) -> str | None:
    try:
        node = Path(source).stat().st_rdev
        for link in _BY_UUID.iterdir():
            if link.stat().st_rdev == node:
                return link.name[:NAME_CHARACTERS]
    except OSError:
        return None
    return None
