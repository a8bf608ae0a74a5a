"""Storage devices coming and going: one change per removable disk, not one per partition.

Changes come from udevd, after it has identified the device; where no udevd runs, from the kernel itself,
with what sysfs alone can tell. A slot without a medium (a card reader's) is not a device: the card is
what comes and goes. What was known when a device came is remembered for when it goes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

import msgspec
import pyudev  # type: ignore[import-untyped]

from collectors.contract import Unsupported
from collectors.install_command import install_command
from collectors.linux.block_devices import BlockDevices, StorageIdentity

_UDEVD_SOCKET: Final = "/run/udev/control"
_MOST_AT_ONCE: Final = 1024
"""Changes taken in one call, so that a storm of events cannot hold the caller."""


class DeviceChange(msgspec.Struct, frozen=True):
    """A removable disk that came or went."""

    action: Literal["add", "remove"]
    identity: StorageIdentity
    devnode: str | None


def check() -> None:
    """Raises Unsupported where the kernel's device events cannot be heard."""
    try:
        pyudev.Monitor.from_netlink(pyudev.Context(), source=_source()).start()
    except (OSError, ImportError) as problem:
        raise Unsupported(
            f"cannot hear of devices being plugged in: {problem}; libudev must be installed",
            install_command("libudev1", "systemd-libs"),
        ) from problem


def _source() -> Literal["udev", "kernel"]:
    # udevd listens on this socket as long as it lives; the folder around it also exists without udevd.
    return "udev" if Path(_UDEVD_SOCKET).exists() else "kernel"


class Hotplug:
    """Hears of disks from construction on. Poll `fileno()` for POLLIN. Use from one thread."""

    def __init__(
        self, context: pyudev.Context | None = None, *, source: Literal["udev", "kernel"] | None = None
    ) -> None:
        self._context = pyudev.Context() if context is None else context
        self._devices = BlockDevices(self._context)
        self._source = source if source is not None else _source()
        self._monitor: pyudev.Monitor | None = pyudev.Monitor.from_netlink(self._context, source=self._source)
        self._monitor.filter_by("block")
        # Listening comes before looking, so that nothing that arrives in between is missed.
        self._monitor.start()
        self._present: dict[str, StorageIdentity] = {}
        for disk in self._devices.disks():
            self._look_at(disk)

    def fileno(self) -> int:
        """The descriptor to poll; -1 once closed."""
        return -1 if self._monitor is None else int(self._monitor.fileno())

    def present(self) -> tuple[StorageIdentity, ...]:
        """The removable disks that are in just now, as of the last call of `changes`."""
        return tuple(self._present.values())

    def changes(self) -> list[DeviceChange]:
        """What came and went since the last call. Never blocks."""
        found: list[DeviceChange] = []
        for _ in range(_MOST_AT_ONCE):
            device = None if self._monitor is None else self._monitor.poll(timeout=0)
            if device is None:
                break
            if self._devices.is_physical_disk(device):
                found.extend(self._changes_of(device))
        return found

    def describe(self) -> str:
        """Where the knowledge comes from, in words."""
        if self._source == "udev":
            return "udev"
        return "kernel events (no udevd runs: serials and models come from sysfs alone)"

    def close(self) -> None:
        """Gives the socket back. May be called twice."""
        self._monitor = None

    def _changes_of(self, device: pyudev.Device) -> list[DeviceChange]:
        before = self._present.get(device.sys_path)
        if device.action == "remove":
            self._present.pop(device.sys_path, None)
            return [] if before is None else [DeviceChange("remove", before, before.devnode)]
        after = self._look_at(device)
        if before == after:
            return []
        changes = [] if before is None else [DeviceChange("remove", before, before.devnode)]
        return changes if after is None else [*changes, DeviceChange("add", after, after.devnode)]

    def _look_at(self, disk: pyudev.Device) -> StorageIdentity | None:
        """Remembers the disk if it is removable and has a medium."""
        size = disk.attributes.get("size") or b"0"
        identity = self._devices.identity(disk) if size.strip() not in (b"0", b"") else None
        if identity is None:
            self._present.pop(disk.sys_path, None)
        else:
            self._present[disk.sys_path] = identity
        return identity
