"""The kernel's fanotify interface: calls, and events as the kernel writes them.

Format of what read(2) gives (linux/fanotify.h; numbers in the machine's own byte order), a run of:

    event    u32 event_len  u8 vers(3)  u8 reserved  u16 metadata_len  u64 mask  s32 fd  s32 pid
    info     u8 type  u8 pad  u16 len  ...                     until event_len is used up; type is one of
      FID (1), DFID (3)                    s32 fsid[2]  handle
      DFID_NAME (2), OLD_ (10), NEW_ (12)  s32 fsid[2]  handle  name NUL
    handle   u32 handle_bytes  s32 handle_type  u8[handle_bytes]

Invariants: an event is never cut in two by read(2); events of one object and one process that wait in
the queue may be merged, so a mask can hold several acts. The merged event stands where the first of
them stood.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

CLOSE_WRITE: Final = 0x8
CREATE: Final = 0x100
DELETE: Final = 0x200
Q_OVERFLOW: Final = 0x4000
RENAME: Final = 0x10000000
ONDIR: Final = 0x40000000

_CLOEXEC: Final = 0x1
_NONBLOCK: Final = 0x2
_UNLIMITED_QUEUE: Final = 0x10
_REPORT_FID: Final = 0x200
_REPORT_DIR_FID: Final = 0x400
_REPORT_NAME: Final = 0x800
_REPORT_TARGET_FID: Final = 0x1000

_MARK_ADD: Final = 0x1
_MARK_MOUNT: Final = 0x10
_MARK_FILESYSTEM: Final = 0x100

_AT_FDCWD: Final = -100
_AT_EMPTY_PATH: Final = 0x1000
_AT_HANDLE_FID: Final = 0x200
_HANDLE_BYTES: Final = 128

_EVENT: Final = struct.Struct("=IBBHQii")
_INFO: Final = struct.Struct("=BBH")
_INFO_FID: Final = 1
_INFO_OLD_NAME: Final = 10
_INFO_WITH_HANDLE: Final = (1, 2, 3, 10, 12)

_libc: Final = ctypes.CDLL(None, use_errno=True)
# Absent on libcs without fanotify; then `fanotify_init` raises and the caller falls back.
with contextlib.suppress(AttributeError):
    _libc.fanotify_mark.argtypes = (
        ctypes.c_int,
        ctypes.c_uint,
        ctypes.c_uint64,
        ctypes.c_int,
        ctypes.c_char_p,
    )
    _libc.fanotify_init.argtypes = (ctypes.c_uint, ctypes.c_uint)
    _libc.open_by_handle_at.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int)
    _libc.name_to_handle_at.argtypes = (
        ctypes.c_int,
        ctypes.c_char_p,
        ctypes.c_void_p,
        ctypes.POINTER(ctypes.c_int),
        ctypes.c_int,
    )

Handle = bytes
"""A file handle as the kernel writes it, header included. Equal handles are the same object."""


class FidEvent(NamedTuple):
    """One event that names objects by handle. For a rename `old_*` is where the object was."""

    mask: int
    pid: int
    folder: Handle | None
    name: bytes
    target: Handle | None
    old_folder: Handle | None
    old_name: bytes


class FdEvent(NamedTuple):
    """One event that brings an open descriptor, which the caller must close. fd < 0: none."""

    mask: int
    pid: int
    fd: int


def open_fid_group() -> int:
    """A group that reports folder handle, name and object handle. OSError where not permitted or known."""
    return _init(_REPORT_FID | _REPORT_DIR_FID | _REPORT_NAME | _REPORT_TARGET_FID)


def open_fd_group() -> int:
    """A group that reports each object as an open descriptor."""
    return _init(0)


def mark_file_system(group: int, mask: int, path: str) -> None:
    """Asks for events of the whole file system that `path` lies on, however it is reached."""
    _mark(group, _MARK_ADD | _MARK_FILESYSTEM, mask, path)


def mark_mount(group: int, mask: int, path: str) -> None:
    """Asks for events of what is done through the mount that `path` lies on."""
    _mark(group, _MARK_ADD | _MARK_MOUNT, mask, path)


def mark_folder(group: int, mask: int, folder: int) -> None:
    """Asks for events of the names directly in the folder that is open here."""
    if _libc.fanotify_mark(group, _MARK_ADD, mask, folder, None) < 0:
        raise _last_error()


def parse_fid_events(data: bytes) -> Iterator[FidEvent]:
    """The events in what one read(2) of a FID group gave."""
    at = 0
    while at + _EVENT.size <= len(data):
        length, _, _, metadata, mask, _, pid = _EVENT.unpack_from(data, at)
        folder: Handle | None = None
        old_folder: Handle | None = None
        target: Handle | None = None
        name = old_name = b""
        info, end = at + metadata, at + length
        while info + _INFO.size <= end:
            kind, _, info_length = _INFO.unpack_from(data, info)
            if info_length < _INFO.size:
                break
            if kind in _INFO_WITH_HANDLE:
                (handle_bytes,) = struct.unpack_from("=I", data, info + 12)
                handle_end = info + 20 + handle_bytes
                handle = data[info + 12 : handle_end]
                text = data[handle_end : info + info_length].split(b"\0", 1)[0]
                if kind == _INFO_FID:
                    target = handle
                elif kind == _INFO_OLD_NAME:
                    old_folder, old_name = handle, text
                else:
                    folder, name = handle, text
            info += info_length
        yield FidEvent(mask, pid, folder, name, target, old_folder, old_name)
        at = end


def parse_fd_events(data: bytes) -> Iterator[FdEvent]:
    """The events in what one read(2) of a descriptor group gave. Each descriptor is the caller's."""
    at = 0
    while at + _EVENT.size <= len(data):
        length, _, _, _, mask, fd, pid = _EVENT.unpack_from(data, at)
        yield FdEvent(mask, pid, fd)
        at += length


def open_handle(mount_fd: int, handle: Handle) -> int:
    """A path-only descriptor of the folder with this handle. OSError ESTALE when it is gone."""
    fd: int = _libc.open_by_handle_at(mount_fd, handle, os.O_PATH | os.O_CLOEXEC | os.O_DIRECTORY)
    if fd < 0:
        raise _last_error()
    return fd


def handle_of(fd: int) -> Handle:
    """The handle that events give for the object that is open here."""
    raw = ctypes.create_string_buffer(struct.pack("=Ii", _HANDLE_BYTES, 0), 8 + _HANDLE_BYTES)
    mount_id = ctypes.c_int()
    # AT_HANDLE_FID also works where handles cannot be opened; kernels before 6.5 do not know it.
    for flags in (_AT_EMPTY_PATH, _AT_EMPTY_PATH | _AT_HANDLE_FID):
        struct.pack_into("=Ii", raw, 0, _HANDLE_BYTES, 0)
        if _libc.name_to_handle_at(fd, b"", raw, ctypes.byref(mount_id), flags) == 0:
            (length,) = struct.unpack_from("=I", raw.raw)
            return raw.raw[: 8 + length]
        if ctypes.get_errno() != errno.EOPNOTSUPP:
            break
    raise _last_error()


def _init(report: int) -> int:
    # CLOEXEC so that no child keeps the group alive; the queue unlimited so that nothing is lost while
    # the spool is full: an entry costs the kernel some hundred bytes.
    flags = _CLOEXEC | _NONBLOCK | _UNLIMITED_QUEUE | report
    try:
        group: int = _libc.fanotify_init(flags, os.O_RDONLY | os.O_CLOEXEC)
    except AttributeError as error:
        raise OSError(errno.ENOSYS, "the C library has no fanotify") from error
    if group < 0:
        raise _last_error()
    return group


def _mark(group: int, flags: int, mask: int, path: str) -> None:
    if _libc.fanotify_mark(group, flags, mask, _AT_FDCWD, os.fsencode(path)) < 0:
        raise _last_error(path)


def _last_error(path: str | None = None) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number), path)
