"""Real fanotify events of finished files: path, inode, process. Deliberately not the product's reader."""

from __future__ import annotations

import ctypes
import os
import select
import struct
import time
from collections.abc import Iterator

import msgspec

_CLOEXEC, _NONBLOCK, _UNLIMITED_QUEUE = 1, 2, 0x10
_ADD_MOUNT = 1 | 0x10
_CLOSE_WRITE = 8
_AT_FDCWD = -100
_EVENT = struct.Struct("=IBBHQii")


class Closed(msgspec.Struct, frozen=True):
    """A file that was closed after writing."""

    path: str
    inode: tuple[int, int]
    pid: int
    at_ms: int


class CloseWrite:
    """Tells of files finished on a mount."""

    def __init__(self, target: str) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._fd = libc.fanotify_init(_CLOEXEC | _NONBLOCK | _UNLIMITED_QUEUE, os.O_RDONLY)
        libc.fanotify_mark.argtypes = [
            ctypes.c_int, ctypes.c_uint, ctypes.c_uint64, ctypes.c_int, ctypes.c_char_p,
        ]  # fmt: skip
        if libc.fanotify_mark(self._fd, _ADD_MOUNT, _CLOSE_WRITE, _AT_FDCWD, os.fsencode(target)) != 0:
            raise OSError(ctypes.get_errno(), "fanotify_mark")

    def take(self, count: int, timeout_s: float = 60) -> Iterator[Closed]:
        """The next `count` events, or fewer if they do not come in time."""
        deadline = time.monotonic() + timeout_s
        while count > 0 and time.monotonic() < deadline:
            if not select.select([self._fd], [], [], 0.1)[0]:
                continue
            data = os.read(self._fd, 65_536)
            offset = 0
            while offset < len(data):
                length, _, _, _, _, fd, pid = _EVENT.unpack_from(data, offset)
                offset += length
                status = os.fstat(fd)
                path = os.readlink(f"/proc/self/fd/{fd}")  # noqa: PTH115 - may be undecodable
                os.close(fd)
                count -= 1
                yield Closed(path, (status.st_dev, status.st_ino), pid, time.time_ns() // 1_000_000)

    def close(self) -> None:
        os.close(self._fd)
