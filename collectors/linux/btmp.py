"""Follows btmp, where login programs record each failure: glibc's struct utmp, 384 bytes a record.

It holds the name as it was typed, which may be somebody's password: a name that no account has is not
handed on. The cursor (JSON): {"inode": 131, "offset": 768}.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import pwd
import struct
from pathlib import Path
from typing import IO, Final

import msgspec

RECORD: Final = struct.Struct("<hxxi32s4s32s256shhiii16s20x")
_RECORDS_AT_ONCE: Final = 1_000
_NAMES_KEPT: Final = 256


class Failure(msgspec.Struct, frozen=True):
    """time: ms since 1970 UTC. user None: no account is called so."""

    time: int
    pid: int
    line: str
    user: str | None
    host: str
    cursor: str


class _Cursor(msgspec.Struct, frozen=True):
    inode: int
    offset: int


class BtmpTail:
    """Not for several threads. `resume_from`: None begins at the end of the file."""

    def __init__(self, path: Path, resume_from: str | None) -> None:
        self._path = path
        self._file: IO[bytes] | None = None
        self._inode = 0
        self._is_account: dict[str, bool] = {}
        self._of_unknown: dict[int, int] = {}
        self.lost_places = 0
        file = self._open(path)
        if file is None:
            return
        size = os.fstat(file.fileno()).st_size
        if resume_from is None:
            file.seek(size - size % RECORD.size)
            return
        with contextlib.suppress(msgspec.DecodeError):
            cursor = msgspec.json.decode(resume_from, type=_Cursor)
            if cursor.inode != self._inode:
                # Rotated meanwhile: its rest comes first.
                rotated = path.with_name(path.name + ".1")
                if rotated.exists() and rotated.stat().st_ino == cursor.inode:
                    file = self._open(rotated)
                else:
                    file = None
            if file is not None and cursor.offset <= os.fstat(file.fileno()).st_size:
                file.seek(cursor.offset)
            else:
                self.lost_places += 1

    @property
    def place(self) -> str:
        """Where it is, as a cursor."""
        offset = 0 if self._file is None else self._file.tell()
        return msgspec.json.encode(_Cursor(self._inode, offset)).decode()

    def take(self) -> list[Failure]:
        """Those that are whole by now. Raises OSError."""
        if self._file is None:
            self._open(self._path)
        if self._file is None:
            return []
        found, is_at_end = self._some(self._file)
        if is_at_end and not found and self._has_new_name():
            # What was written between our last look and the renaming.
            found, is_at_end = self._some(self._file)
            if is_at_end and not found:
                self._open(self._path)
        return found

    def _some(self, file: IO[bytes]) -> tuple[list[Failure], bool]:
        """(failures, whether there was nothing more)."""
        found: list[Failure] = []
        for _ in range(_RECORDS_AT_ONCE):
            content = file.read(RECORD.size)
            if len(content) < RECORD.size:
                file.seek(-len(content), os.SEEK_CUR)
                return found, True
            failure = self._failure(content)
            if failure is not None:
                found.append(failure)
        return found, False

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _open(self, path: Path) -> IO[bytes] | None:
        self.close()
        with contextlib.suppress(FileNotFoundError):
            self._file = path.open("rb", buffering=0)
            self._inode = os.fstat(self._file.fileno()).st_ino
        return self._file

    def _has_new_name(self) -> bool:
        """Whether another file has taken its name; one that was cut is read from its beginning."""
        assert self._file is not None
        try:
            facts = self._path.stat()
        except FileNotFoundError:
            return False
        if facts.st_ino != self._inode:
            return True
        if facts.st_size < self._file.tell():
            self.lost_places += 1
            self._file.seek(0)
        return False

    def _failure(self, content: bytes) -> Failure | None:
        _, pid, line, _, user, host, _, _, _, seconds, microseconds, address = RECORD.unpack(content)
        if seconds <= 0:
            return None
        name = _text(user)
        exists = self._exists(name)
        if not exists and _text(line) == "ssh:notty" and self._is_second(max(0, pid)):
            return None
        return Failure(
            seconds * 1000 + microseconds // 1000 % 1000,
            max(0, pid),
            _text(line),
            name if exists else None,
            _address(address) or _text(host),
            self.place,
        )

    def _is_second(self, pid: int) -> bool:
        """sshd records a name that is no account's when it hears it, and again at the first failure."""
        if len(self._of_unknown) >= _NAMES_KEPT and pid not in self._of_unknown:
            self._of_unknown.clear()
        self._of_unknown[pid] = self._of_unknown.get(pid, 0) + 1
        return self._of_unknown[pid] == 2

    def _exists(self, name: str) -> bool:
        if name not in self._is_account:
            if len(self._is_account) >= _NAMES_KEPT:
                self._is_account.clear()
            try:
                self._is_account[name] = bool(name) and pwd.getpwnam(name) is not None
            except (KeyError, ValueError):
                self._is_account[name] = False
        return self._is_account[name]


def _text(field: bytes) -> str:
    return field.split(b"\0", 1)[0].decode("utf-8", "replace")


def _address(raw: bytes) -> str:
    if not any(raw):
        return ""
    if not any(raw[4:]):
        return str(ipaddress.IPv4Address(raw[:4]))
    return str(ipaddress.IPv6Address(raw))
