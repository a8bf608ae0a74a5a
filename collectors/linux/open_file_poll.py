"""The last step down: which files the users' programs have open, looked at now and then (psutil).

Sees what stays open for longer than a look takes: long-lived programs and large files, not a `curl` of 20 kB.
Needs no privileges for the user's own processes, root for everybody's.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections import Counter
from typing import Final

import psutil

from collectors.linux.opened_files import OpenedFile

_MOST_OPEN: Final = 20_000
_FIRST_PAUSE_S: Final = 0.25
_CPU_SHARE: Final = 0.02
"""Of one core: the more there is to look at, the more seldom."""


class OpenFilePoll:
    """See OpenedFiles for what it gives. Not for several threads."""

    def __init__(self, folders: tuple[str, ...], first_user: int) -> None:
        self._below = tuple(folder.rstrip("/") + "/" for folder in folders)
        self._first_user = first_user
        self._seen: dict[tuple[int, str], None] = {}
        self._dropped: Counter[str] = Counter()
        self._again = 0.0

    def read(self) -> list[OpenedFile]:
        """What is newly open, if it is time to look again."""
        if time.monotonic() < self._again:
            return []
        began = time.thread_time()
        found: list[OpenedFile] = []
        seen: dict[tuple[int, str], None] = {}
        own = os.getpid()
        for process in psutil.process_iter(["pid", "ppid", "uids"]):
            uids = process.info["uids"]
            if uids is None or uids.real < self._first_user or process.pid == own:
                continue
            with contextlib.suppress(psutil.Error, OSError):
                for file in process.open_files():
                    if not file.path.startswith(self._below) or len(seen) >= _MOST_OPEN:
                        continue
                    seen[process.pid, file.path] = None
                    if (process.pid, file.path) not in self._seen and file.mode == "r":
                        found.append(self._opened(process, file.path))
        self._seen = seen
        self._again = time.monotonic() + max(_FIRST_PAUSE_S, (time.thread_time() - began) / _CPU_SHARE)
        return found

    def dropped(self) -> dict[str, int]:
        """What could not be kept, by reason."""
        return dict(self._dropped)

    def _opened(self, process: psutil.Process, path: str) -> OpenedFile:
        status = os.stat(path)  # noqa: PTH116 - no Path for each
        executable = None
        with contextlib.suppress(psutil.Error):
            executable = process.exe() or None
        return OpenedFile(
            at_ms=time.time_ns() // 1_000_000,
            pid=process.pid,
            parent=process.info["ppid"] or 0,
            uid=process.info["uids"].real,
            login_uid=None,
            executable=executable,
            path=path,
            device=status.st_dev,
            inode=status.st_ino,
            size=status.st_size,
            modified_ns=status.st_mtime_ns,
            written=False,
        )
