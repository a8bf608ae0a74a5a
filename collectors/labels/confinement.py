"""Takes from this process what it does not need to read bytes and count: files, network, rights, memory.

Each layer holds by itself, for a kernel or a container may refuse some: no network namespace of its own
without CAP_SYS_ADMIN, no other user without CAP_SETUID, no Landlock before Linux 5.13.
"""

from __future__ import annotations

import ctypes
import os
import resource
import struct
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

_NOBODY: Final = 65_534
_NEW_NET_AND_IPC: Final = 0x4000_0000 | 0x0800_0000
_NO_NEW_PRIVILEGES: Final = 38
_PARENT_DEATH_SIGNAL: Final = 1
_KILL: Final = 9
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
"""Landlock's system calls: the same numbers on all architectures."""
_READ: Final = (1 << 2) | (1 << 3)
_RIGHTS_OF: Final = ((1, 13), (2, 14), (3, 15), (5, 16))
"""From which ABI on how many kinds of file access can be refused."""
_BIND_AND_CONNECT: Final = 3
_RULESET: Final = struct.Struct("=QQ")
_PATH_RULE: Final = struct.Struct("=Qi")
_OPEN_FILES: Final = 64


def confine(memory_bytes: int) -> list[str]:
    """What holds now, in words. After it this process can read nothing but Python's own files."""
    libc = ctypes.CDLL(None, use_errno=True)
    held = []
    libc.prctl(_PARENT_DEATH_SIGNAL, _KILL, 0, 0, 0)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes + (1 << 30), memory_bytes + (1 << 30)))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_OPEN_FILES, _OPEN_FILES))
    held.append("limits")
    if libc.unshare(_NEW_NET_AND_IPC) == 0:
        held.append("no network")
    if os.geteuid() == 0:
        with suppress(OSError):
            os.setgroups([])
            os.setgid(_NOBODY)
            os.setuid(_NOBODY)
            held.append("nobody")
        # Death of the parent is forgotten when the user changes.
        libc.prctl(_PARENT_DEATH_SIGNAL, _KILL, 0, 0, 0)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    if _landlock(libc, [path for path in sys.path if path]):
        held.append("no files")
    return held


def _landlock(libc: ctypes.CDLL, readable: Iterable[str]) -> bool:
    """Refuses all access to files but reading below these folders, and TCP."""
    abi = libc.syscall(_CREATE_RULESET, None, 0, 1)
    if abi < 1:
        return False
    rights = max(count for since, count in _RIGHTS_OF if abi >= since)
    network = _BIND_AND_CONNECT if abi >= 4 else 0
    ruleset = _RULESET.pack((1 << rights) - 1, network)
    fd = libc.syscall(_CREATE_RULESET, ruleset, len(ruleset) if network else 8, 0)
    if fd < 0:
        return False
    try:
        for path in readable:
            _allow_reading(libc, fd, path)
        return bool(libc.syscall(_RESTRICT_SELF, fd, 0) == 0)
    finally:
        os.close(fd)


def _allow_reading(libc: ctypes.CDLL, ruleset: int, path: str) -> None:
    try:
        folder = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        rights = _READ if Path(path).is_dir() else _READ & ~(1 << 3)
        libc.syscall(_ADD_RULE, ruleset, 1, _PATH_RULE.pack(rights, folder), 0)
    finally:
        os.close(folder)
