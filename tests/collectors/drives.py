"""Real drives on loop devices: ext4, and over FUSE exfat and NTFS."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Literal

import pytest

needs_root = pytest.mark.skipif(
    os.geteuid() != 0 and os.environ.get("CI") != "true", reason="needs root: mounts and fanotify"
)
FileSystem = Literal["ext4", "exfat", "ntfs"]
_MAKE = {
    "ext4": ("mkfs.ext4", "-q", "-F"),
    "exfat": ("mkfs.exfat",),
    "ntfs": ("mkntfs", "-q", "-F", "-f"),
}
_MOUNT = {
    "ext4": ("mount",),
    "exfat": ("mount.exfat-fuse",),
    "ntfs": ("ntfs-3g",),
}


@contextmanager
def open_folder() -> Iterator[Path]:
    """A temporary folder that every user can reach, unlike pytest's."""
    with tempfile.TemporaryDirectory(prefix="leaver-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def missing_programs(kind: FileSystem) -> str:
    """Which of the programs for this file system are not installed, in words; empty if none."""
    needed = (_MAKE[kind][0], _MOUNT[kind][0])
    return ", ".join(program for program in needed if shutil.which(program) is None)


class Drive:
    """Mounted for the duration of a `with`; anybody may write, on FUSE drives their one user, and root."""

    def __init__(self, folder: Path, kind: FileSystem, megabytes: int = 128, user: int = 0) -> None:
        self.kind = kind
        self._user = user
        self.target = str(folder / kind)
        self._image = folder / f"{kind}.img"
        self._megabytes = megabytes
        self._device = ""

    def __enter__(self) -> Drive:
        with self._image.open("wb") as image:
            image.truncate(self._megabytes << 20)
        Path(self.target).mkdir()
        self._device = _run("losetup", "--find", "--show", str(self._image))
        try:
            _run(*_MAKE[self.kind], self._device)
            self.mount()
        except BaseException:
            _run("losetup", "-d", self._device)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if os.path.ismount(self.target):
            self.unmount()
        _run("losetup", "-d", self._device)

    def mount(self) -> None:
        options = () if self.kind == "ext4" else ("-o", f"uid={self._user},gid={self._user}")
        _run(*_MOUNT[self.kind], *options, self._device, self.target)
        if self.kind == "ext4":
            Path(self.target).chmod(0o1777)

    def unplug(self) -> None:
        """Takes the whole disk out; `plug` brings it back."""
        self.unmount()
        _run("losetup", "-d", self._device)

    def plug(self) -> None:
        self._device = _run("losetup", "--find", "--show", str(self._image))
        self.mount()

    def unmount(self) -> None:
        _run("umount", self.target)


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
