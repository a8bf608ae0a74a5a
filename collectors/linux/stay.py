"""Whether a mounted device stayed in all the while. Mount ids and device numbers come again; these do not:

- diskseq (Linux 5.15): a number that the kernel gives to each disk that appears, once per boot. It outlives
  unmounting and mounting again, which is right: the disk was in this machine.
- the unique mount id of statx(2) (Linux 6.8), for file systems without a disk of their own.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct
from pathlib import Path
from typing import Final

_AT_FDCWD: Final = -100
_STATX_MNT_ID_UNIQUE: Final = 0x4000
_STATX_BYTES: Final = 256
_MOUNT_ID_AT: Final = 144

_libc: Final = ctypes.CDLL(None, use_errno=True)


def stay_id(target: str, device: int) -> str | None:
    """The same as long as this device stays in, and never again this boot; None where nothing tells."""
    node = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}").resolve()
    # A partition's number is its disk's.
    for folder in (node, node.parent):
        with contextlib.suppress(OSError):
            return "disk " + (folder / "diskseq").read_text().strip()
    answer = ctypes.create_string_buffer(_STATX_BYTES)
    try:
        failed = _libc.statx(_AT_FDCWD, os.fsencode(target), 0, _STATX_MNT_ID_UNIQUE, answer)
    except AttributeError:
        return None
    (mask,) = struct.unpack_from("=I", answer.raw)
    if failed or not mask & _STATX_MNT_ID_UNIQUE:
        return None
    return f"mount {struct.unpack_from('=Q', answer.raw, _MOUNT_ID_AT)[0]}"
