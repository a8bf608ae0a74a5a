"""When a file was made: statx(2), which Python's os module does not offer yet.

Layout of struct statx (linux/stat.h), as far as it is read: u32 mask at 0; s64 seconds and u32 nanoseconds
of the birth time at 80. The mask says whether the file system knows a birth time.
"""

from __future__ import annotations

import ctypes
import os
import struct
from typing import Final

_AT_SYMLINK_NOFOLLOW: Final = 0x100
_STATX_BTIME: Final = 0x800
_STATX_BYTES: Final = 256
_BIRTH: Final = struct.Struct("=qI")

_libc: Final = ctypes.CDLL(None, use_errno=True)


def birth_time_ns(name: str, folder: int) -> int | None:
    """Of the file of this name in the open folder, ns since 1970 UTC; None where the file system, the
    kernel or the C library cannot tell."""
    answer = ctypes.create_string_buffer(_STATX_BYTES)
    try:
        failed = _libc.statx(folder, os.fsencode(name), _AT_SYMLINK_NOFOLLOW, _STATX_BTIME, answer)
    except AttributeError:
        return None
    (mask,) = struct.unpack_from("=I", answer.raw)
    if failed or not mask & _STATX_BTIME:
        return None
    seconds, nanoseconds = _BIRTH.unpack_from(answer.raw, 80)
    return int(seconds) * 1_000_000_000 + int(nanoseconds)
