"""What is mounted where: the kernel's own table, and a descriptor that wakes when it changes.

Format of a line of /proc/self/mountinfo (proc(5)); fields are split by one space, and a space, tab,
newline, backslash or # inside a field is written as a three-digit octal escape:

    36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
    id parent maj:min root target options [optional fields] - type source super-options

Names are bytes to the kernel. They become `str` the way os.fsdecode does it, so that what cannot be
decoded survives the way back.
"""

from __future__ import annotations

import os
import re
from typing import Final

import msgspec

OWN_MOUNTS: Final = "/proc/self/mountinfo"

_ESCAPE: Final = re.compile(rb"\\([0-3][0-7]{2})")


class Mount(msgspec.Struct, frozen=True):
    """One line of the mount table."""

    mount_id: int
    parent_id: int
    device: int
    """The file system's device number as os.makedev packs it; st_dev of its files, except on btrfs."""
    root: str
    """Which folder of the file system is mounted: not "/" for bind mounts and subvolumes."""
    target: str
    options: frozenset[str]
    fs_type: str
    source: str


def read_mounts(path: str = OWN_MOUNTS) -> tuple[Mount, ...]:
    """The mount table in the kernel's order: a later mount hides an earlier one on the same target."""
    with open(path, "rb") as table:
        return tuple(_parse(line) for line in table.read().split(b"\n") if line)


def _parse(line: bytes) -> Mount:
    left, _, right = line.partition(b" - ")
    mount_id, parent_id, device, root, target, options = left.split(b" ")[:6]
    fs_type, source = [*right.split(b" "), b""][:2]
    major, minor = device.split(b":")
    return Mount(
        mount_id=int(mount_id),
        parent_id=int(parent_id),
        device=os.makedev(int(major), int(minor)),
        root=_text(root),
        target=_text(target),
        options=frozenset(_text(options).split(",")),
        fs_type=_text(fs_type),
        source=_text(source),
    )


def _text(field: bytes) -> str:
    return os.fsdecode(_ESCAPE.sub(lambda found: bytes((int(found[1], 8),)), field))


class MountWatch:
    """Tells what was mounted and unmounted since it was last asked.

    Poll `fileno()` for POLLPRI | POLLERR: the table's file never counts as readable. A mount that came
    and went between two calls of `changes` is not seen. Options that change (a remount) show as removed
    and added.
    """

    def __init__(self, path: str = OWN_MOUNTS) -> None:
        self._path = path
        self._file = open(path, "rb")  # noqa: SIM115 - held open: the kernel reports changes on it
        self._known = {mount.mount_id: mount for mount in read_mounts(path)}

    def fileno(self) -> int:
        """The descriptor to poll."""
        return self._file.fileno()

    def present(self) -> tuple[Mount, ...]:
        """The mounts as of construction or the last call of `changes`."""
        return tuple(self._known.values())

    def changes(self) -> tuple[tuple[Mount, ...], tuple[Mount, ...]]:
        """(added, removed) since the last call."""
        now = {mount.mount_id: mount for mount in read_mounts(self._path)}
        before, self._known = self._known, now
        added = tuple(mount for mount_id, mount in now.items() if before.get(mount_id) != mount)
        removed = tuple(mount for mount_id, mount in before.items() if now.get(mount_id) != mount)
        return added, removed

    def close(self) -> None:
        """Gives the descriptor back. May be called twice."""
        self._file.close()
