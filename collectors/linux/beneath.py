"""Files below a watched place, reached without ever leaving it: no symbolic link is followed on the way.

Whoever may write to a watched place may put a link in a folder's place at any moment. A path that is opened
by name alone then leads root elsewhere: other people's files would be reported as taken, devices and
pipes outside be opened. So each path is resolved by openat2(2) from its place downwards; before Linux 5.6,
or where a sandbox refuses that call, folder by folder with O_NOFOLLOW.

Layout of struct open_how (linux/openat2.h): u64 flags, u64 mode, u64 resolve.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Final

_OPENAT2: Final = 437
"""The same on all architectures."""
_HOW: Final = struct.Struct("=QQQ")
_NO_XDEV: Final = 0x01
_NO_MAGICLINKS: Final = 0x02
_NO_SYMLINKS: Final = 0x04
_BENEATH: Final = 0x08
_RESOLVE: Final = _NO_MAGICLINKS | _NO_SYMLINKS | _BENEATH
_FOLDER: Final = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_LOOK: Final = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_READ: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
_SCAN: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_NOT_KNOWN: Final = frozenset((errno.ENOSYS, errno.EPERM, errno.EINVAL, errno.E2BIG))

_libc: Final = ctypes.CDLL(None, use_errno=True)
_syscall: Final = _libc.syscall
_syscall.argtypes = (ctypes.c_long, ctypes.c_int, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_size_t)
_syscall.restype = ctypes.c_long


class Root:
    """A watched place: its path, and which folder stood there when it began to be watched.

    Use `held`, `look`, `leads_away` and `folder` from one thread; `open_regular` from any.
    """

    def __init__(self, path: str, *, is_mount: bool = False) -> None:
        """The place that is there now. OSError when there is none. Of a mount, no other mount further
        below is entered."""
        status = Path(path).stat()
        self.path = path
        self.device = status.st_dev
        self.inode = status.st_ino
        self.is_mount = is_mount
        self._below = path.rstrip("/") + "/"
        self._holds = False
        self._held: int | None = None

    @contextmanager
    def held(self) -> Iterator[None]:
        """Many looks in a moment cost less: from the first one on, the place is held open. A mount is busy
        meanwhile."""
        self._holds = True
        try:
            yield
        finally:
            held, self._held, self._holds = self._held, None, False
            if held is not None:
                os.close(held)

    def is_there(self) -> bool:
        """Whether the same folder still stands at the path."""
        try:
            os.close(self._open())
        except OSError:
            return False
        return True

    def look(self, path: str) -> os.stat_result:
        """What lstat gives. OSError ELOOP when a link stands in the way."""
        fd = self._beneath(self._inside(path), _LOOK)
        try:
            return os.fstat(fd)
        finally:
            os.close(fd)

    def leads_away(self, path: str) -> bool:
        """Whether a link stands in the way to the path's folder."""
        folder = self._inside(path).rpartition("/")[0]
        if not folder:
            return False
        try:
            # The dot makes a link in the folder's place one on the way.
            os.close(self._beneath(f"{folder}/.", _LOOK))
        except OSError as error:
            return error.errno in (errno.ELOOP, errno.EXDEV)
        return False

    @contextmanager
    def reached(self, path: str) -> Iterator[int]:
        """A path-only descriptor of what stands there, be it a link itself."""
        fd = self._beneath(self._inside(path), _LOOK)
        try:
            yield fd
        finally:
            os.close(fd)

    @contextmanager
    def folder(self, path: str) -> Iterator[int]:
        """A descriptor of a folder of the place, to be scanned. Other mounts are not entered."""
        fd = self._beneath(self._inside(path), _SCAN, no_xdev=True)
        try:
            yield fd
        finally:
            os.close(fd)

    def open_regular(self, path: str, device: int, inode: int) -> int:
        """This very file for reading; the caller closes it. OSError ESTALE for anything else.

        What stands there is looked at before it is opened: to open a pipe or a device has effects.
        """
        inside = self._inside(path)
        top = self._open()
        try:
            found = open_beneath(top, inside, _LOOK, no_xdev=self.is_mount)
        finally:
            os.close(top)
        try:
            status = os.fstat(found)
            if not stat.S_ISREG(status.st_mode) or (status.st_dev, status.st_ino) != (device, inode):
                raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
            same = f"/proc/self/fd/{found}"
            try:
                return os.open(same, _READ | os.O_NOATIME)
            except PermissionError:
                # O_NOATIME is for the file's owner and root.
                return os.open(same, _READ)
        finally:
            os.close(found)

    def _open(self) -> int:
        """A path-only descriptor of the place. OSError ESTALE when something else stands there."""
        fd = os.open(self.path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            status = os.fstat(fd)
            if (status.st_dev, status.st_ino) != (self.device, self.inode):
                raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
        except BaseException:
            os.close(fd)
            raise
        return fd

    def _beneath(self, inside: str, flags: int, *, no_xdev: bool = False) -> int:
        top = self._open() if self._held is None else self._held
        if self._holds:
            self._held = top
        try:
            return open_beneath(top, inside, flags, no_xdev=no_xdev or self.is_mount)
        finally:
            if top != self._held:
                os.close(top)

    def _inside(self, path: str) -> str:
        if path == self.path:
            return "."
        if not path.startswith(self._below) or "\0" in path:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        return path[len(self._below) :]


def open_beneath(top: int, path: str, flags: int, *, no_xdev: bool) -> int:
    """Opens a relative path from the folder `top` on, without following links or leaving it."""
    how = _how(flags, no_xdev)
    fd = int(_syscall(_OPENAT2, top, os.fsencode(path), how, len(how)))
    if fd >= 0:
        return fd
    number = ctypes.get_errno()
    if number in _NOT_KNOWN:
        return open_step_by_step(top, path, flags, no_xdev=no_xdev)
    raise OSError(number, os.strerror(number))


def open_step_by_step(top: int, path: str, flags: int, *, no_xdev: bool) -> int:
    """The same where the kernel offers no openat2."""
    *folders, last = path.split("/")
    if ".." in (*folders, last):
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
    at = os.dup(top)
    try:
        for name in folders:
            below = _open_folder(name, at)
            os.close(at)
            at = below
        fd = os.open(last, flags | os.O_NOFOLLOW, dir_fd=at)
    finally:
        os.close(at)
    if no_xdev and os.fstat(fd).st_dev != os.fstat(top).st_dev:
        os.close(fd)
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
    return fd


def _open_folder(name: str, at: int) -> int:
    try:
        return os.open(name, _FOLDER, dir_fd=at)
    except NotADirectoryError as error:
        # What O_DIRECTORY says of a link, too.
        if stat.S_ISLNK(os.stat(name, dir_fd=at, follow_symlinks=False).st_mode):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP)) from error
        raise


@cache
def _how(flags: int, no_xdev: bool) -> bytes:
    return _HOW.pack(flags, 0, _RESOLVE | (_NO_XDEV if no_xdev else 0))
