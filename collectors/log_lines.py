"""The lines of one log file, bounded in size and count, each with the place from where to read on.

A cursor is the file's inode, the offset after the last line taken, and a hash of how the file begins, since
inodes are given out again:

    {"inode": 131, "offset": 4711, "begins": "3f0c…", "length": 512}
"""

from __future__ import annotations

import bz2
import errno
import gzip
import hashlib
import io
import lzma
import os
import stat
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Final

import msgspec

LINE_BYTES_MAX: Final = 1 << 20
READ_BYTES: Final = 1 << 20
"""Most that one take() reads."""
LINES_MAX: Final = 5_000
"""Most that one take() gives: a megabyte of ends of line would be a million of them."""
BEGINNING_BYTES: Final = 512
UNPACKED_BYTES_MAX: Final = 4 << 30
_OPENERS: Final[dict[str, Callable[[IO[bytes]], io.BufferedIOBase]]] = {
    ".bz2": bz2.BZ2File,
    ".gz": lambda file: gzip.GzipFile(fileobj=file),
    ".xz": lzma.LZMAFile,
}
PACKED: Final = frozenset(_OPENERS)
"""How the names of compressed files end."""
UNREADABLE: Final = (OSError, EOFError, zlib.error, lzma.LZMAError)
"""What reading a file that is damaged or taken away raises."""


class Cursor(msgspec.Struct, frozen=True):
    inode: int
    """0 where there was no file yet."""
    offset: int
    begins: str
    """SHA-256 of the file's first `length` bytes."""
    length: int

    def text(self) -> str:
        return msgspec.json.encode(self).decode()

    def is_how(self, beginning: bytes) -> bool:
        """Whether a file that begins so may be the one that was read."""
        part = beginning[: self.length]
        return len(part) == self.length and hashlib.sha256(part).hexdigest() == self.begins


NOWHERE: Final = Cursor(0, 0, hashlib.sha256().hexdigest(), 0)
"""Of a log that is not there yet: its beginning."""


class Line(msgspec.Struct, frozen=True):
    """`content` is without its end of line. `cursor`: resume from here when the line is safe."""

    content: bytes
    cursor: str


class LineReader:
    """Raises OSError where the file cannot be opened. Not for several threads."""

    def __init__(self, path: Path, *, line_bytes_max: int, cut_long: bool) -> None:
        self._file, self.inode = _opened(path)
        self._packed: io.BufferedIOBase | None = None
        self._line_bytes_max, self._cut_long = line_bytes_max, cut_long
        self._buffer = b""
        self._has_more = False
        self._skipped = 0
        self._kept = b""
        self._to_pass = 0
        self._hashed, self._digest = 0, hashlib.sha256().hexdigest()
        self._offset = 0
        self.too_long = 0
        """Lines over `line_bytes_max`, which were left out, or cut."""
        self.is_at_end = False
        """Whether the last take() found nothing more to read."""
        self.is_cut = False
        """Whether the file is no longer what was read: cut, or written anew."""
        try:
            if path.suffix in PACKED:
                self._packed = _OPENERS[path.suffix](self._file)
                self.beginning = self._packed.read(BEGINNING_BYTES)
                self._packed.seek(0)
            else:
                self.beginning = self._pread(BEGINNING_BYTES, 0)
        except UNREADABLE:
            self.close()
            raise

    def go_to(self, offset: int) -> None:
        """Once, before anything is taken."""
        self._offset = offset
        if self._packed is not None:
            self._to_pass = offset
        else:
            self._file.seek(offset)

    def go_to_last_line(self) -> None:
        """After the last end of line that is there now."""
        size = self.size()
        start = max(0, size - LINE_BYTES_MAX)
        at = self._pread(size - start, start).rfind(b"\n")
        self.go_to(start + at + 1 if at >= 0 else size)

    def take(self) -> list[Line]:
        """The next whole lines; empty where there is nothing new, and inside a long line. Raises
        UNREADABLE."""
        self.is_at_end = False
        if not self._has_more:
            content = self._read()
            if not content:
                return []
            self._buffer += content
        *whole, self._buffer = self._buffer.split(b"\n", LINES_MAX)
        self._has_more = len(whole) == LINES_MAX
        found = [line for content in whole if (line := self._line(content)) is not None]
        if not self._has_more and len(self._buffer) > self._line_bytes_max:
            if self._cut_long and not self._skipped:
                self._kept = self._buffer[: self._line_bytes_max]
            self._skipped += len(self._buffer)
            self._buffer = b""
        return found

    def last_line(self) -> list[Line]:
        """The rest of a file that nobody will write to again."""
        content, self._buffer = self._buffer, b""
        if not content and not self._skipped:
            return []
        line = self._line(content, end=0)
        return [] if line is None else [line]

    def cursor(self) -> Cursor:
        # Only what lies before the offset: the rest of it may still be written.
        length = min(self._offset, len(self.beginning))
        if length != self._hashed:
            self._hashed = length
            self._digest = hashlib.sha256(self.beginning[:length]).hexdigest()
        return Cursor(self.inode, self._offset, self._digest, length)

    def size(self) -> int:
        return os.fstat(self._file.fileno()).st_size

    def close(self) -> None:
        self._file.close()

    def _line(self, content: bytes, end: int = 1) -> Line | None:
        """The offset stays before a line until its end is there, however long that takes."""
        self._offset += self._skipped + len(content) + end
        if self._skipped or len(content) > self._line_bytes_max:
            content = self._kept if self._skipped else content[: self._line_bytes_max]
            self._skipped, self._kept = 0, b""
            self.too_long += 1
            if not self._cut_long:
                return None
        else:
            content = content.removesuffix(b"\r")
        return Line(content, self.cursor().text())

    def _read(self) -> bytes:
        if self._packed is not None:
            return self._read_packed(self._packed)
        content = self._file.read(READ_BYTES)
        beginning = self._pread(BEGINNING_BYTES, 0)
        behind = self._offset + self._skipped + len(self._buffer) + len(content)
        # Looked at after reading: what was cut and written anew just before is not taken for our own.
        if not beginning.startswith(self.beginning) or self.size() < behind:
            self.is_cut = True
            return b""
        self.beginning = beginning
        self.is_at_end = not content
        return content

    def _read_packed(self, packed: io.BufferedIOBase) -> bytes:
        if packed.tell() > UNPACKED_BYTES_MAX:
            raise OSError(errno.EFBIG, "unpacks to more than is read")
        wanted = min(self._to_pass, READ_BYTES) or READ_BYTES
        content = b"".join(_parts(packed, wanted))
        self.is_at_end = not content
        if self._to_pass:
            self._to_pass -= len(content)
            return b""
        return content

    def _pread(self, count: int, offset: int) -> bytes:
        return os.pread(self._file.fileno(), count, offset)


def _parts(packed: io.BufferedIOBase, wanted: int) -> Iterator[bytes]:
    """What can be had of a damaged file comes before its error."""
    size = 0
    while size < wanted:
        try:
            part = packed.read1(wanted - size)
        except UNREADABLE:
            if not size:
                raise
            return
        if not part:
            return
        size += len(part)
        yield part


def _opened(path: Path) -> tuple[io.FileIO, int]:
    """A pipe or a device that has a log's name must not hold us up."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    facts = os.fstat(descriptor)
    if not stat.S_ISREG(facts.st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "is not a regular file", str(path))
    return io.FileIO(descriptor, "rb"), facts.st_ino
