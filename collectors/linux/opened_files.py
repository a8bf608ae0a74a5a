"""Which files are opened in people's folders, by whom: the agent's side of open_reader.py.

That program holds the fanotify group and runs on its own, so that whatever happens to the agent nobody
waits for it. It is started anew when it ends; what was opened meanwhile is missed, and counted as a gap.
"""

from __future__ import annotations

import array
import contextlib
import os
import socket
import struct
import subprocess
import sys
from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import Final, Literal

import msgspec

from collectors.contract import Unsupported
from collectors.linux import open_reader
from collectors.linux.proc import plain_path
from collectors.linux.process_identity import acting_uid

Step = Literal["permission", "open"]
_PROGRAM: Final = Path(open_reader.__file__)
_START_S: Final = 5.0
_MOST_AT_ONCE: Final = 512
_BUFFER_BYTES: Final = 4 << 20
_LONGEST_MESSAGE: Final = 1 << 17
_NOT_KNOWN: Final = 0xFFFF_FFFF
_SO_SNDBUFFORCE: Final = 32


class OpenedFile(msgspec.Struct, frozen=True, gc=False):
    """A regular file was opened, or closed after it could be written to: of that only process and file are
    told. `at_ms`: ms since 1970 UTC."""

    at_ms: int
    pid: int
    parent: int
    uid: int | None
    login_uid: int | None
    executable: str | None
    path: str
    device: int
    inode: int
    size: int
    modified_ns: int
    written: bool
    name: str | None = None
    """Of the program, where it was ending and had no path any more; as it calls itself, at most 15 bytes."""


class OpenedFiles:
    """Runs the reader. Raises Unsupported at construction where the kernel refuses. Not for several
    threads."""

    def __init__(self, step: Step) -> None:
        self.step: Step = step
        self.starts = 0
        self._dropped: Counter[str] = Counter()
        self._unacknowledged = 0
        self._refused_errno = 0
        self._socket: socket.socket | None = None
        self._program: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Starts the reader, again where it has ended. All marks are gone then. Raises Unsupported."""
        self.close()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            theirs.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, _BUFFER_BYTES)
            command = [sys.executable, "-I", "-S", str(_PROGRAM), str(theirs.fileno()), self.step]
            self._program = subprocess.Popen(
                command,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env={},
            )
        self._socket = ours
        ours.settimeout(_START_S)
        try:
            answer = ours.recv(64)
        except OSError:
            answer = b""
        ours.setblocking(False)
        if len(answer) != 1 + open_reader.MARKED.size:
            self.close()
            raise Unsupported("the program that reads fanotify did not start")
        error = open_reader.MARKED.unpack(answer[1:])[2]
        if error:
            self.close()
            raise Unsupported(f"fanotify: {os.strerror(error)}; run the agent as root (CAP_SYS_ADMIN)")
        self.starts += 1
        self._unacknowledged = 0

    def fileno(self) -> int:
        """The descriptor to poll; -1 while the reader does not run."""
        return -1 if self._socket is None else self._socket.fileno()

    @property
    def pid(self) -> int:
        """The reader's process; 0 while there is none."""
        return 0 if self._program is None else self._program.pid

    @property
    def unconfirmed(self) -> int:
        """Calls of `mark` that the reader has not answered yet: what is opened there may be missed."""
        return self._unacknowledged

    def weaknesses(self) -> list[str]:
        """What keeps the reader from answering at once on a busy machine, in words."""
        found: list[str] = []
        with contextlib.suppress(OSError):
            if self.step == "permission" and self._program is not None:
                if os.sched_getscheduler(self.pid) != os.SCHED_RR:
                    found.append("without real-time priority (RestrictRealtime=, CAP_SYS_NICE)")
                locked = Path(f"/proc/{self.pid}/status").read_text().partition("\nVmLck:")[2].split(None, 1)
                if locked[:1] == ["0"]:
                    found.append("its memory is not locked (LimitMEMLOCK=)")
        return found

    def mark(self, folders: Collection[int]) -> bool:
        """Has files that lie directly in these open folders told. False: not now, again later."""
        if self._socket is None or self._unacknowledged > 8:
            return False
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", folders))
        try:
            self._socket.sendmsg([b"+"], [rights])
        except BlockingIOError:
            return False
        except OSError:
            self._lost()
            return False
        self._unacknowledged += 1
        return True

    def read(self) -> list[OpenedFile]:
        """What was opened since the last call. Afterwards `fileno` tells whether the reader still runs."""
        found: list[OpenedFile] = []
        for _ in range(_MOST_AT_ONCE):
            if self._socket is None:
                break
            try:
                message = self._socket.recv(_LONGEST_MESSAGE)
            except BlockingIOError:
                break
            except OSError:
                message = b""
            kind = message[:1]
            if not message:
                self._lost()
            elif kind == b"o":
                self._records(message, found)
            elif kind == b"=":
                _, refused, self._refused_errno = open_reader.MARKED.unpack(message[1:])
                self._unacknowledged -= 1
                if refused:
                    self._dropped["folders_that_cannot_be_marked"] += refused
            elif kind == b"!":
                self._dropped["openings_untold"] += struct.unpack("=I", message[1:])[0]
        return found

    def dropped(self) -> dict[str, int]:
        """What was missed, by reason."""
        return dict(self._dropped)

    def close(self) -> None:
        """Ends the reader: it goes when its socket does. May be called twice."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._program is not None:
            try:
                self._program.wait(0.5)
            except subprocess.TimeoutExpired:
                self._program.kill()
                self._program.wait()
            self._program = None

    def _lost(self) -> None:
        self._dropped["reader_ended"] += 1
        self.close()

    def _records(self, message: bytes, found: list[OpenedFile]) -> None:
        record, at = open_reader.RECORD, 1
        while at + record.size <= len(message):
            (
                what,
                pid,
                parent,
                uid,
                on_files,
                login,
                device,
                inode,
                size,
                modified_ns,
                at_ns,
                program,
                path,
            ) = record.unpack_from(message, at)
            names = at + record.size
            at = names + program + path
            told = os.fsdecode(message[names : names + program])
            executable = plain_path(told) if told.startswith("/") else None
            found.append(
                OpenedFile(
                    at_ms=at_ns // 1_000_000,
                    pid=pid,
                    parent=parent,
                    uid=None if uid == _NOT_KNOWN else acting_uid(uid, on_files),
                    login_uid=login if told else None,
                    executable=executable or None,
                    path=os.fsdecode(message[names + program : at]),
                    device=device,
                    inode=inode,
                    size=size,
                    modified_ns=modified_ns,
                    written=what == open_reader.WRITTEN,
                    name=None if executable else told or None,
                )
            )


def check(step: Step = "permission") -> None:
    """Raises Unsupported where this step is not to be had. Marks nothing."""
    OpenedFiles(step).close()
