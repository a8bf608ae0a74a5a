"""Follows one log file by its name, through whatever happens to logs: rotation by renaming or by copying and
truncating, half-written last lines, lines without end, files that come and go.

Lines are bytes, whole, each once. The cursor (JSON) is the file's inode, the offset after the last line
taken, and a hash of how the file begins, since inodes are given out again:

    {"inode": 131, "offset": 4711, "begins": "3f0c…", "length": 512}

After a restart the rest of a file that was rotated meanwhile is looked for among its siblings (NAME.1,
NAME-20261122, NAME.1.gz …) by that beginning. What cannot be found is counted in `lost_places`.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import zlib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import IO, Final, cast

import msgspec

LINE_BYTES_MAX: Final = 1 << 20
READ_BYTES: Final = 1 << 20
"""Most that one take() reads."""
BEGINNING_BYTES: Final = 512
SIBLINGS_MAX: Final = 100
_SIBLING_BYTES_MAX: Final = 4 << 30


class Cursor(msgspec.Struct, frozen=True):
    inode: int
    offset: int
    begins: str
    """SHA-256 of the file's first `length` bytes."""
    length: int


class Line(msgspec.Struct, frozen=True):
    """`content` is without its end of line. `cursor`: resume from here when the line is safe."""

    content: bytes
    cursor: str


class LogTail:
    """One log. Not for several threads. `resume_from`: a line's cursor; None begins at the end of the file
    as it is now, or at the beginning of one that appears later. `cut_long`: a line over `line_bytes_max` is
    given cut to that, rather than left out."""

    def __init__(
        self,
        path: Path,
        resume_from: str | None,
        *,
        line_bytes_max: int = LINE_BYTES_MAX,
        cut_long: bool = False,
    ) -> None:
        self._path, self._line_bytes_max, self._cut_long = path, line_bytes_max, cut_long
        self._file: IO[bytes] | None = None
        self._inode = 0
        self._offset = 0
        self._rest = b""
        self._skipping = False
        self._kept = b""
        self._begins = _Beginning()
        self._old: Iterator[Line] | None = None
        self.too_long = 0
        """Lines over `line_bytes_max`, which were left out, or cut."""
        self.is_at_end = False
        """Whether the last take() found nothing more to read."""
        self.lost_places = 0
        """How often the log went on elsewhere than where we had stopped, so that lines may be missing."""
        self._start(_decoded(resume_from), at_end=resume_from is None)

    def take(self) -> list[Line]:
        """The lines that are whole by now, READ_BYTES at most; empty where there is nothing new, and inside a
        long line.

        Raises OSError where the log is there and cannot be read."""
        self.is_at_end = False
        if self._old is not None:
            lines = self._some_old(self._old)
            if lines:
                return lines
            self._old = None
        if self._file is None:
            self._open(0)
        if self._file is None:
            self.is_at_end = True
            return []
        if not self._begins.still(self._file):
            self._cut()
            return []
        content = self._file.read(READ_BYTES)
        if content:
            return self._lines(content)
        self.is_at_end = True
        return self._after_the_end()

    def position(self) -> str:
        """The cursor after the line that was taken last; of one who took none, where it begins."""
        return self._cursor()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _start(self, cursor: Cursor | None, *, at_end: bool) -> None:
        if cursor is None:
            if at_end and self._open(0):
                assert self._file is not None
                size = os.fstat(self._file.fileno()).st_size
                self._offset = _after_last_line(self._file, size)
                self._file.seek(self._offset)
            elif not at_end:
                self.lost_places += 1
            return
        if not (self._open(cursor.offset) and self._is_same(cursor)):
            self._begin_anew()
            self._look_among_siblings(cursor)

    def _begin_anew(self) -> None:
        """With the file that has the name now. It is held open before older ones are looked for, so that none
        slips through between."""
        self.close()
        self._inode = 0
        self._open(0)

    def _look_among_siblings(self, cursor: Cursor) -> None:
        self._old = self._siblings_from(cursor)
        if self._old is None:
            self.lost_places += 1

    def _siblings_from(self, cursor: Cursor) -> Iterator[Line] | None:
        files = _siblings_since(self._path, cursor, but_not=self._inode)
        if not files:
            return None
        return chain.from_iterable(_lines_of(*file, self._line_bytes_max) for file in files)

    def _some_old(self, lines: Iterator[Line]) -> list[Line]:
        found: list[Line] = []
        size = 0
        try:
            for line in lines:
                found.append(line)
                size += len(line.content)
                if size > READ_BYTES:
                    break
        except (OSError, EOFError, zlib.error):
            # Taken away or damaged while we read it.
            self.lost_places += 1
            self._old = None
        return found

    def _open(self, offset: int) -> bool:
        """Whether the log is there; then it is open at `offset`, or at its beginning where it is shorter."""
        try:
            file = self._path.open("rb", buffering=0)
        except FileNotFoundError:
            return False
        facts = os.fstat(file.fileno())
        self._file, self._inode = file, facts.st_ino
        self._offset = offset if offset <= facts.st_size else 0
        self._begins = _Beginning.of(file)
        self._rest, self._skipping, self._kept = b"", False, b""
        file.seek(self._offset)
        return True

    def _is_same(self, cursor: Cursor) -> bool:
        assert self._file is not None
        return self._offset == cursor.offset and _hash_of_beginning(self._file, cursor) == cursor.begins

    def _after_the_end(self) -> list[Line]:
        """Nothing more to read: has the file been cut, or has another one taken its name?"""
        assert self._file is not None
        try:
            facts = self._path.stat()
        except FileNotFoundError:
            return []
        if facts.st_ino == self._inode:
            if facts.st_size < self._offset + len(self._rest):
                self._cut()
            return []
        if not facts.st_size:
            # Renamed; whoever writes may not have opened the new one yet.
            return []
        # What was written between our last read and the renaming.
        content = self._file.read(READ_BYTES)
        if content:
            return self._lines(content)
        last = self._last_line()
        cursor = self._begins.cursor(self._inode, self._offset)
        self._begin_anew()
        # Further ones may have come and gone between two looks.
        self._old = self._siblings_from(cursor)
        return last

    def _cut(self) -> None:
        """Copied and truncated: the rest stands in the copy, if there is one."""
        cursor = self._begins.cursor(self._inode, self._offset)
        self._begin_anew()
        if cursor.offset:
            self._look_among_siblings(cursor)

    def _last_line(self) -> list[Line]:
        """The rest of a file that nobody will write to again."""
        content, self._rest = self._rest, b""
        if not content or self._skipping:
            return []
        self._offset += len(content)
        return [Line(content, self._cursor())]

    def _lines(self, content: bytes) -> list[Line]:
        if not self._begins.full and self._file is not None:
            self._begins = _Beginning.of(self._file)
        found: list[Line] = []
        *whole, rest = (self._rest + content).split(b"\n")
        for line in whole:
            self._offset += len(line) + 1
            if self._skipping or len(line) > self._line_bytes_max:
                self.too_long += 1
                if self._cut_long:
                    kept = self._kept if self._skipping else line[: self._line_bytes_max]
                    found.append(Line(kept, self._cursor()))
                self._skipping, self._kept = False, b""
            else:
                found.append(Line(line.removesuffix(b"\r"), self._cursor()))
        if len(rest) > self._line_bytes_max:
            self._offset += len(rest)
            if self._cut_long and not self._skipping:
                self._kept = rest[: self._line_bytes_max]
            rest, self._skipping = b"", True
        self._rest = rest
        return found

    def _cursor(self) -> str:
        return msgspec.json.encode(self._begins.cursor(self._inode, self._offset)).decode()


class _Beginning(msgspec.Struct, frozen=True):
    """How a file begins: what tells it from another one that was given its inode."""

    content: bytes = b""

    @staticmethod
    def of(file: IO[bytes]) -> _Beginning:
        return _Beginning(os.pread(file.fileno(), BEGINNING_BYTES, 0))

    @property
    def full(self) -> bool:
        return len(self.content) == BEGINNING_BYTES

    def still(self, file: IO[bytes]) -> bool:
        return os.pread(file.fileno(), len(self.content), 0) == self.content

    def cursor(self, inode: int, offset: int) -> Cursor:
        # Only what lies before the offset: the rest of it may still be written.
        part = self.content[:offset]
        return Cursor(inode, offset, hashlib.sha256(part).hexdigest(), len(part))


def _decoded(cursor: str | None) -> Cursor | None:
    """None also for one that nobody of us wrote."""
    if cursor is None:
        return None
    try:
        return msgspec.json.decode(cursor, type=Cursor)
    except msgspec.DecodeError:
        return None


def _after_last_line(file: IO[bytes], size: int) -> int:
    start = max(0, size - LINE_BYTES_MAX)
    at = os.pread(file.fileno(), size - start, start).rfind(b"\n")
    return start + at + 1 if at >= 0 else size


def _hash_of_beginning(file: IO[bytes], cursor: Cursor) -> str:
    return hashlib.sha256(os.pread(file.fileno(), min(cursor.length, BEGINNING_BYTES), 0)).hexdigest()


def _siblings_since(path: Path, cursor: Cursor, *, but_not: int) -> list[tuple[Path, Cursor]]:
    """The file beside `path` that the cursor is of, and those that were written after it, oldest first;
    each with where to begin. Empty where the first cannot be found. but_not: inode of the current file."""
    found: list[tuple[int, Path, Cursor]] = []
    first: int | None = None
    for sibling in _siblings(path):
        try:
            facts = sibling.stat()
            if facts.st_ino == but_not:
                continue
            with _opened(sibling) as file:
                beginning = file.read(BEGINNING_BYTES)
        except (OSError, EOFError, zlib.error):
            continue
        begins = hashlib.sha256(beginning[: cursor.length]).hexdigest()
        if begins == cursor.begins and (cursor.length or facts.st_ino == cursor.inode):
            first = facts.st_mtime_ns
            found.append((first, sibling, cursor))
        else:
            whole = Cursor(facts.st_ino, 0, hashlib.sha256(beginning).hexdigest(), len(beginning))
            found.append((facts.st_mtime_ns, sibling, whole))
    if first is None:
        return []
    return [(sibling, start) for at, sibling, start in sorted(found) if at > first or start is cursor]


def _siblings(path: Path) -> list[Path]:
    try:
        beside = sorted(path.parent.iterdir())
    except OSError:
        return []
    return [file for file in beside if file.name.startswith(path.name) and file != path][:SIBLINGS_MAX]


def _opened(path: Path) -> IO[bytes]:
    if path.suffix == ".gz":
        return cast("IO[bytes]", gzip.open(path, "rb"))
    return path.open("rb")


def _lines_of(path: Path, start: Cursor, line_bytes_max: int) -> Iterator[Line]:
    """What an old file has after `start`. A line that is too long is left out."""
    offset, inside = start.offset, False
    with _opened(path) as file:
        file.seek(offset)
        while offset < _SIBLING_BYTES_MAX and (line := file.readline(line_bytes_max)):
            offset += len(line)
            begun, inside = inside, not line.endswith(b"\n") and len(line) == line_bytes_max
            if begun or inside:
                continue
            at = msgspec.json.encode(msgspec.structs.replace(start, offset=offset)).decode()
            yield Line(line.rstrip(b"\r\n"), at)
