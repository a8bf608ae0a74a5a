"""Real file systems on loop devices, for tests that run as root."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from types import TracebackType

import pytest

needs_root = pytest.mark.skipif(
    os.geteuid() != 0 and os.environ.get("CI") != "true",
    reason="needs root: mounts, and the kernel's audit and process events",
)


class LoopMount:
    """An ext4 file system in a file, mounted for the duration of a `with`; anybody may write."""

    def __init__(self, folder: Path, name: str = "stick") -> None:
        self._image = folder / f"{name}.img"
        self.target = str(folder / name)
        self.device = ""

    def __enter__(self) -> LoopMount:
        with self._image.open("wb") as image:
            image.truncate(32 << 20)
        _run("mkfs.ext4", "-q", str(self._image))
        Path(self.target).mkdir()
        self.device = _run("losetup", "--find", "--show", str(self._image))
        try:
            self.mount()
        except BaseException:
            _run("losetup", "-d", self.device)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if os.path.ismount(self.target):
            self.unmount()
        _run("losetup", "-d", self.device)

    def mount(self) -> None:
        _run("mount", self.device, self.target)
        Path(self.target).chmod(0o1777)

    def unmount(self) -> None:
        _run("umount", self.target)


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
