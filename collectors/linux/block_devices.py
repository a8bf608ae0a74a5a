"""Which storage device a mount lies on, and whether that device is removable.

A mount's device is followed down to the physical disks: through partitions, device mapper (LUKS, LVM) and
md (`slaves/`), and container files (`loop/backing_file`). The device is removable if one of those disks
is, for a reason that storage_identity.py lists. Never removable: the disk that the system itself runs
from, whatever its bus; loop devices on a fixed disk; file systems without a device.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pyudev  # type: ignore[import-untyped]

from collectors.contract import Unsupported
from collectors.linux.mounts import Mount, read_mounts
from collectors.linux.storage_identity import (
    StorageIdentity,
    identify,
    to_peripheral_device,
    why_removable,
)

__all__ = ["BlockDevices", "StorageIdentity", "check", "to_peripheral_device"]

_DEEPEST: Final = 6
"""Layers of mapping followed: LUKS on LVM on md on a partition is four."""


def check() -> None:
    """Raises Unsupported where sysfs does not show block devices."""
    if not Path("/sys/class/block").is_dir():
        raise Unsupported("/sys is not mounted, so storage devices cannot be recognised: mount sysfs")


class BlockDevices:
    """Looks devices up in sysfs and udev's database. Use from one thread: libudev demands it."""

    def __init__(self, context: pyudev.Context | None = None) -> None:
        self._context = pyudev.Context() if context is None else context
        self._system_disks: frozenset[str] | None = None

    def removable_identity(self, mount: Mount) -> StorageIdentity | None:
        """The removable device that the mount lies on; None where it is fixed, virtual, or just gone."""
        try:
            volume = self._volume(mount)
            return None if volume is None else self.identity(volume)
        except (OSError, pyudev.DeviceNotFoundError):
            return None

    def identity(self, volume: pyudev.Device) -> StorageIdentity | None:
        """The same for a block device: a whole disk, a partition or a mapping. Never raises."""
        try:
            for disk in self._physical_disks(volume, 0):
                reason = None if disk.sys_path in self._own_disks() else why_removable(disk)
                if reason is not None:
                    return identify(volume, disk, *reason)
        except (OSError, pyudev.DeviceNotFoundError):
            pass
        return None

    def is_physical_disk(self, device: pyudev.Device) -> bool:
        """Whether it is a whole disk of its own, not a partition or something mapped onto others."""
        mapped = "/devices/virtual/" in device.sys_path or bool(_names_of_slaves(device))
        return device.device_type == "disk" and not mapped

    def disks(self) -> Iterator[pyudev.Device]:
        """All whole physical disks just now."""
        for device in self._context.list_devices(subsystem="block", DEVTYPE="disk"):
            if self.is_physical_disk(device):
                yield device

    def _volume(self, mount: Mount) -> pyudev.Device | None:
        number = mount.device
        if os.major(number) == 0:
            # btrfs and FUSE use made-up numbers; their source is the device's path.
            if not mount.source.startswith("/"):
                return None
            source = Path(mount.source).stat()
            if not stat.S_ISBLK(source.st_mode):
                return None
            number = source.st_rdev
        return pyudev.Devices.from_device_number(self._context, "block", number)

    def _physical_disks(self, device: pyudev.Device, depth: int) -> Iterator[pyudev.Device]:
        if depth > _DEEPEST:
            return
        disk = _whole_disk(device)
        below = [pyudev.Devices.from_name(self._context, "block", name) for name in _names_of_slaves(disk)]
        container = disk.attributes.get("loop/backing_file")
        if container is not None:
            number = Path(os.fsdecode(container.rstrip(b"\n"))).stat().st_dev
            if os.major(number) != 0:
                below = [pyudev.Devices.from_device_number(self._context, "block", number)]
        if not below:
            yield disk
        for device_below in below:
            yield from self._physical_disks(device_below, depth + 1)

    def _own_disks(self) -> frozenset[str]:
        if self._system_disks is None:
            self._system_disks = frozenset()
            found: set[str] = set()
            for mount in read_mounts():
                if mount.target in ("/", "/usr"):
                    try:
                        volume = self._volume(mount)
                        if volume is not None:
                            found.update(disk.sys_path for disk in self._physical_disks(volume, 0))
                    except (OSError, pyudev.DeviceNotFoundError):
                        continue
            self._system_disks = frozenset(found)
        return self._system_disks


def _whole_disk(device: pyudev.Device) -> pyudev.Device:
    if device.device_type != "partition":
        return device
    disk = device.find_parent("block", "disk")
    # Not `or`: a pyudev device has a length, which may be 0.
    return device if disk is None else disk


def _names_of_slaves(disk: pyudev.Device) -> list[str]:
    """The devices that a mapping lies on."""
    try:
        return sorted(entry.name for entry in Path(disk.sys_path, "slaves").iterdir())
    except OSError:
        return []
