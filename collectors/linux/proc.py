"""What /proc tells of a process that still lives: its user, login account and executable. Nothing else.

A process that has ended is gone from here, and its number may be taken by another one; `started_at_ms`
lets the caller rule out a process that is younger than the act it is asked about.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Final

from collectors.contract import Unsupported
from collectors.linux.process_identity import Who, acting_uid

_DELETED: Final = " (deleted)"


def check() -> None:
    """Raises Unsupported where /proc does not show other users' processes."""
    if process_facts(1) is None:
        raise Unsupported("/proc hides other users' processes: run the agent as root, or without hidepid")


def process_facts(pid: int) -> Who | None:
    """The process's uid, login uid and executable; None once it is gone. The name is left to the caller.

    A kernel thread, a zombie and a process that is not ours to look into have no executable.
    """
    try:
        status = _read(f"/proc/{pid}/status")
        real, _, _, on_files = _after(status, b"\nUid:").split(None, 4)[:4]
        uid = acting_uid(int(real), int(on_files))
    except (OSError, ValueError, IndexError):
        return None
    return Who(uid=uid, user_name=None, exe=executable(pid), pid=pid, auid=_login_uid(pid), source="proc")


def executable(pid: int) -> str | None:
    """Path of the process's program, without the kernel's mark for a program file deleted since."""
    try:
        return plain_path(str(Path(f"/proc/{pid}/exe").readlink()))
    except OSError:
        return None


def plain_path(shown: str) -> str:
    """The path without the kernel's " (deleted)". A file that is really called so loses it as well."""
    return shown.removesuffix(_DELETED)


def started_at_ms(pid: int) -> int | None:
    """When the process started, ms since 1970 UTC, to the kernel's tick (10 ms); None once it is gone."""
    try:
        # The program's name stands in parentheses and may hold any character, even ")".
        fields = _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
        ticks = int(fields[19])
        return _boot_ms() + ticks * 1000 // os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return None


@cache
def _boot_ms() -> int:
    return int(_after(_read("/proc/stat"), b"\nbtime ").split(None, 1)[0]) * 1000


def _login_uid(pid: int) -> int | None:
    try:
        return int(_read(f"/proc/{pid}/loginuid"))
    except (OSError, ValueError):
        return None


def _read(path: str) -> bytes:
    with open(path, "rb", buffering=0) as file:
        return file.read(65_536)


def _after(text: bytes, mark: bytes) -> bytes:
    found = text.partition(mark)[2]
    if not found:
        raise ValueError(f"no {mark!r}")
    return found
