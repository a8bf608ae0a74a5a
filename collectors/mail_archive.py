"""The folder or file that Postfix fills with a copy of each mail. Messages stay where they are.

What was read is remembered by the messages' order (modification time and name in a Maildir, offset in an
mbox) and by the names of those read last, so that one that appears late is still new:

    since: everything up to it was read, but for what `waiting` names; done: those after it that were read

Whoever delivers mail may write to the archive, and root reads it: its folders are opened without following
links, and messages from those folders, never by a path.
"""

from __future__ import annotations

import bisect
import hashlib
import os
import stat
import time
from collections import Counter, deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final, Protocol

import msgspec

DONE_MAX: Final = 32
"""So many a cursor names."""
REMEMBERED_MAX: Final = 5_000
"""A large message has the time of its last byte, and appears once it is safely on the disk: seconds later on
a busy one. Those that came meanwhile must not make it an old one."""
WAITING_MAX: Final = 16
MESSAGES_MAX: Final = 100_000
_AT_ONCE: Final = 200
_SCAN_BYTES: Final = 1 << 20
_QUIET_NS: Final = 1_000_000_000
_MARK: Final = b"\nFrom "
_FOLDERS: Final = ("new", "cur")
_FOLDER_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

NOT_A_MESSAGE: Final = "entries of the archive that are no files or cannot be read"
TOO_MANY: Final = "looks at the archive that left messages out because it holds too many"
LOST_PLACE: Final = "times that the mbox went on elsewhere than where we had stopped"

Order = tuple[int, str]
"""Where a message stands in the archive, and what tells it from others there."""


class Archived(msgspec.Struct, frozen=True):
    """A message: `order` in the archive, and when it was put there (ms since 1970 UTC). place: in a Maildir,
    its folder and name when it was seen."""

    order: Order
    time_ms: int
    size: int
    place: tuple[str, str] = ("", "")


class ArchiveCursor(msgspec.Struct, frozen=True):
    """See the module."""

    since: Order
    done: tuple[Order, ...] = ()
    waiting: tuple[Order, ...] = ()


class Archive(Protocol):
    """Use from one thread. `open` raises OSError where the message is gone."""

    @property
    def has_more(self) -> bool:
        """Whether `new` has more to give at once."""
        ...

    def new(self) -> list[Archived]:
        """Messages that came since, in their order; some at a time. Raises OSError."""
        ...

    def open(self, message: Archived) -> IO[bytes]: ...

    def dropped(self) -> Mapping[str, int]: ...


class ReadMessages:
    """Which messages are settled."""

    def __init__(self, resume: ArchiveCursor) -> None:
        self._since = resume.since
        self._done = sorted(resume.done)
        self._listed = set(resume.done)
        self._waiting = set(resume.waiting)

    def has(self, order: Order) -> bool:
        return order in self._listed or (order <= self._since and order not in self._waiting)

    def add(self, order: Order) -> None:
        self._waiting.discard(order)
        if order <= self._since or order in self._listed:
            return
        bisect.insort(self._done, order)
        self._listed.add(order)
        if len(self._done) > REMEMBERED_MAX:
            self._since = self._done.pop(0)
            self._listed.discard(self._since)

    def cursor(self, waiting: Iterable[Order]) -> ArchiveCursor:
        done = tuple(self._done[-DONE_MAX:])
        since = self._done[-DONE_MAX - 1] if len(self._done) > DONE_MAX else self._since
        old = sorted({*self._waiting, *(order for order in waiting if order <= since)})
        return ArchiveCursor(since, done, tuple(old[-WAITING_MAX:]))


class Maildir:
    """Everything in new/ and cur/; a mail reader may move messages from the one to the other."""

    def __init__(self, path: Path, resume: ArchiveCursor | None) -> None:
        """Without `resume`, what is there already counts as read. Raises OSError."""
        self._path = path.resolve()
        self._known: frozenset[int] = frozenset()
        self._fresh: deque[Archived] = deque()
        self._looked: tuple[int, ...] = ()
        self._dropped: Counter[str] = Counter()
        if resume is None:
            found = self._look(None)
            self.read = ReadMessages(ArchiveCursor(found[-1].order if found else (0, "")))
        else:
            self.read = ReadMessages(resume)

    @property
    def has_more(self) -> bool:
        return bool(self._fresh)

    def new(self) -> list[Archived]:
        if not self._fresh:
            self._fresh.extend(self._look(self.read))
        return [self._fresh.popleft() for _ in range(min(_AT_ONCE, len(self._fresh)))]

    def open(self, message: Archived) -> IO[bytes]:
        with self._folder_of(message) as (folder, name):
            return _open_regular(name, folder)

    def delete(self, message: Archived) -> None:
        """OSError where it is gone already."""
        with self._folder_of(message) as (folder, name):
            os.unlink(name, dir_fd=folder)

    def still_there(self, orders: Collection[Order]) -> list[Archived]:
        """Those of these messages that nobody has deleted. Raises OSError."""
        wanted = {order[1]: order for order in orders}
        found: list[Archived] = []
        for folder, entry in self._entries() if wanted else ():
            message = self._message(folder, entry)
            if message is not None and wanted.get(message.order[1]) == message.order:
                found.append(message)
        return found

    def dropped(self) -> Mapping[str, int]:
        return self._dropped

    def _look(self, read: ReadMessages | None) -> list[Archived]:
        """Nothing is looked at again while the folders' own times stand still."""
        times = tuple(self._changed_ns(folder) for folder in _FOLDERS)
        if times == self._looked:
            return []
        found: list[Archived] = []
        known: set[int] = set()
        for folder, entry in self._entries():
            if len(known) >= MESSAGES_MAX:
                self._dropped[TOO_MANY] += 1
                break
            key = int(_short(entry.name), 16)
            known.add(key)
            if key in self._known:
                continue
            message = self._message(folder, entry)
            if message is not None and not (read is not None and read.has(message.order)):
                found.append(message)
        # Within the clock's grain of a change another one may go unnoticed.
        grain = max(times) > time.time_ns() - _QUIET_NS
        self._known, self._looked = frozenset(known), () if grain else times
        return sorted(found, key=lambda message: message.order)

    def _entries(self) -> Iterator[tuple[str, os.DirEntry[str]]]:
        for folder in _FOLDERS:
            try:
                with self._opened(folder) as descriptor, os.scandir(descriptor) as entries:
                    for entry in entries:
                        if not entry.name.startswith("."):
                            yield folder, entry
            except FileNotFoundError:
                # Postfix makes it with the first mail.
                continue

    @contextmanager
    def _opened(self, folder: str) -> Iterator[int]:
        top = os.open(self._path, _FOLDER_FLAGS)
        try:
            descriptor = os.open(folder, _FOLDER_FLAGS, dir_fd=top)
        finally:
            os.close(top)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    @contextmanager
    def _folder_of(self, message: Archived) -> Iterator[tuple[int, str]]:
        """The folder that a message lies in now, and its name there. FileNotFoundError where it is gone."""
        folder, name = message.place
        if not self._is_in(folder, name):
            places = ((f, e.name) for f, e in self._entries() if _short(e.name) == message.order[1])
            folder, name = next(places, (folder, name))
        with self._opened(folder) as descriptor:
            yield descriptor, name

    def _is_in(self, folder: str, name: str) -> bool:
        try:
            with self._opened(folder) as descriptor:
                os.stat(name, dir_fd=descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True

    def _changed_ns(self, folder: str) -> int:
        """0 where it is not there."""
        try:
            with self._opened(folder) as descriptor:
                return os.fstat(descriptor).st_mtime_ns
        except FileNotFoundError:
            return 0

    def _message(self, folder: str, entry: os.DirEntry[str]) -> Archived | None:
        try:
            facts = entry.stat(follow_symlinks=False)
        except OSError:
            self._dropped[NOT_A_MESSAGE] += 1
            return None
        if not stat.S_ISREG(facts.st_mode):
            self._dropped[NOT_A_MESSAGE] += 1
            return None
        order = (facts.st_mtime_ns, _short(entry.name))
        return Archived(order, order[0] // 1_000_000, facts.st_size, (folder, entry.name))


class Mbox:
    """One file to which messages are added, each behind a line "From …". A message's order is (offset,
    inode)."""

    def __init__(self, path: Path, resume: ArchiveCursor | None) -> None:
        """Without `resume`, what is there already counts as read. Raises OSError."""
        self._path = path
        self._dropped: Counter[str] = Counter()
        facts = path.stat() if path.exists() else None
        self._inode = "" if facts is None else str(facts.st_ino)
        if resume is None:
            self._begin = 0 if facts is None else facts.st_size
            resume = ArchiveCursor((self._begin - 1, self._inode))
        elif resume.since[1] == self._inode and facts is not None and resume.since[0] < facts.st_size:
            waiting = [*resume.waiting, *resume.done]
            self._begin = min([resume.since[0], *(order[0] for order in waiting)])
        else:
            self._dropped[LOST_PLACE] += 1
            self._begin, resume = 0, ArchiveCursor((-1, self._inode))
        self.read = ReadMessages(resume)
        self._begin = max(0, self._begin)
        self._scanned = self._begin
        self.has_more = False

    def new(self) -> list[Archived]:
        try:
            facts = self._path.stat()
        except FileNotFoundError:
            return []
        if str(facts.st_ino) != self._inode or facts.st_size < self._scanned:
            if self._inode:
                self._dropped[LOST_PLACE] += self._begin > 0
            self._inode, self._begin, self._scanned = str(facts.st_ino), 0, 0
            self.read = ReadMessages(ArchiveCursor((-1, self._inode)))
        found: list[Archived] = []
        with _open_regular(self._path) as file:
            piece = os.pread(file.fileno(), _SCAN_BYTES, self._scanned)
            at = 0
            while (next_mark := piece.find(_MARK, at)) >= 0:
                found += self._message(self._scanned + next_mark + 1, facts)
                at = next_mark + 1
            is_end = self._scanned + len(piece) >= facts.st_size
            self.has_more = not is_end
            is_quiet = facts.st_mtime_ns < time.time_ns() - _QUIET_NS and piece.endswith(b"\n")
            if is_end and is_quiet and self._begin < facts.st_size:
                found += self._message(facts.st_size, facts)
                self._scanned = facts.st_size
            elif not is_end or at:
                # A mark may lie across the end of the piece.
                self._scanned += max(at, len(piece) - len(_MARK))
        return [message for message in found if not self.read.has(message.order)]

    def open(self, message: Archived) -> IO[bytes]:
        if message.order[1] != self._inode:
            raise FileNotFoundError
        file = _open_regular(self._path)
        if str(os.fstat(file.fileno()).st_ino) != self._inode:
            file.close()
            raise FileNotFoundError
        file.seek(message.order[0])
        return _Part(file, message.size)  # type: ignore[return-value]

    def dropped(self) -> Mapping[str, int]:
        return self._dropped

    def _message(self, end: int, facts: os.stat_result) -> list[Archived]:
        begin, self._begin = self._begin, end
        if end - begin < len(_MARK):
            return []
        return [Archived((begin, self._inode), facts.st_mtime_ns // 1_000_000, end - begin)]


class _Part:
    """Some bytes of a file from where it stands, without the line "From …" in front."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file = file
        self._left = size
        self._left -= len(file.readline(min(size, 1 << 16)))

    def readline(self, limit: int = -1, /) -> bytes:
        line = self._file.readline(min(limit, self._left) if limit >= 0 else self._left)
        self._left -= len(line)
        return line

    def read(self, size: int, /) -> bytes:
        piece = self._file.read(min(size, self._left))
        self._left -= len(piece)
        return piece

    def __enter__(self) -> _Part:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def close(self) -> None:
        self._file.close()


def _open_regular(path: Path | str, folder: int | None = None) -> IO[bytes]:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    descriptor = os.open(path, flags, dir_fd=folder)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError("not a regular file")
    return os.fdopen(descriptor, "rb")


def _short(name: str) -> str:
    """Tells a message of a Maildir from others, whatever flags a mail reader adds to its name."""
    raw = os.fsencode(name.partition(":")[0])
    return hashlib.blake2b(raw, digest_size=6).hexdigest()
