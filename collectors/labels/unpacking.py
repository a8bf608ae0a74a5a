"""Members of archives, one after the other, as streams; what cannot be opened is told.

zip by zipfile, tar by tarfile, gz, bz2, xz and zstd by their own libraries; 7z, rar, cab, iso, cpio, ar and
xar by libarchive where this host has it. Nothing is ever written to disk, and no name of a member is used for
anything but to tell an Office document.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, Final

import msgspec
import zstandard

from collectors.labels.budget import Unreadable
from collectors.labels.plain_text import Readable

try:
    import libarchive  # type: ignore[import-untyped]
    import libarchive.ffi  # type: ignore[import-untyped]

    _entry_is_encrypted: Any = libarchive.ffi.libarchive.archive_entry_is_encrypted
    _has_encrypted: Any = libarchive.ffi.libarchive.archive_read_has_encrypted_entries
    _entry_is_encrypted.argtypes = _has_encrypted.argtypes = [libarchive.ffi.c_void_p]
except (ImportError, OSError, AttributeError, TypeError):
    libarchive = None

LIBARCHIVE_KINDS: Final = {
    "7z": "7zip",
    "rar": "all",
    "cab": "cab",
    "iso": "iso9660",
    "cpio": "cpio",
    "ar": "ar",
    "xar": "xar",
}
_ENCRYPTED_FLAG: Final = 1
_XZ_MEMORY: Final = 72 << 20
_ZSTD_WINDOW: Final = 64 << 20
_PIECE: Final = 65_536
_BROKEN: Final = (
    zipfile.BadZipFile,
    tarfile.TarError,
    OSError,
    EOFError,
    zlib.error,
    lzma.LZMAError,
    zstandard.ZstdError,
    struct.error,
    NotImplementedError,
    RuntimeError,
    ValueError,
    KeyError,
    IndexError,
    OverflowError,
    UnicodeError,
)
"""What the standard library's readers raise for broken archives and methods that they do not know."""


class Member(msgspec.Struct, frozen=True):
    """One file in an archive. `open` is to be called at once, and may raise Unreadable."""

    name: str
    is_encrypted: bool
    open: Callable[[], Readable]


def has_libarchive() -> bool:
    """Whether the C library is there."""
    return libarchive is not None


def broken(error: BaseException) -> bool:
    """Whether the error speaks of the archive, not of us."""
    return isinstance(error, _BROKEN)


def zip_members(file: BinaryIO) -> Iterator[Member]:
    """By the archive's own list. Raises what `broken` knows."""
    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            if info.is_dir():
                continue
            encrypted = bool(info.flag_bits & _ENCRYPTED_FLAG)
            yield Member(info.filename, encrypted, _opener(archive, info))


def _opener(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Callable[[], Readable]:
    return lambda: archive.open(info)


def tar_members(stream: Readable) -> Iterator[Member]:
    """As a stream. Raises what `broken` knows."""
    with tarfile.open(fileobj=stream, mode="r|", errorlevel=0) as archive:  # type: ignore[call-overload]
        for info in archive:
            if info.isreg():
                yield Member(info.name, False, _extractor(archive, info))
            # What tarfile remembers of each member would grow with a hostile archive.
            archive.members = []


def _extractor(archive: tarfile.TarFile, info: tarfile.TarInfo) -> Callable[[], Readable]:
    def extract() -> Readable:
        found = archive.extractfile(info)
        if found is None:
            raise Unreadable("broken archive")
        return found

    return extract


def unpacked_stream(kind: str, stream: Readable) -> Readable:
    """One compressed stream."""
    opened: Readable
    if kind == "gz":
        opened = gzip.GzipFile(fileobj=stream)  # type: ignore[call-overload]
        return opened
    if kind == "zst":
        decompressor = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
        opened = decompressor.stream_reader(stream, read_across_frames=True)  # type: ignore[arg-type]
        return opened
    if kind == "bz2":
        return _Decompressed(stream, bz2.BZ2Decompressor)
    return _Decompressed(stream, lambda: lzma.LZMADecompressor(memlimit=_XZ_MEMORY))


class _Decompressed:
    """bz2 and xz, whose own file classes know no limit of memory or want to seek."""

    def __init__(self, stream: Readable, make: Callable[[], Any]) -> None:
        self._stream, self._make = stream, make
        self._decompressor = make()
        self._left = b""

    def read(self, size: int, /) -> bytes:
        while True:
            if self._decompressor.eof:
                self._left = self._decompressor.unused_data or self._stream.read(_PIECE)
                if not self._left.strip(b"\0"):
                    return b""
                self._decompressor = self._make()
            elif self._decompressor.needs_input:
                self._left = self._stream.read(_PIECE)
                if not self._left:
                    raise EOFError("truncated")
            data: bytes = self._decompressor.decompress(self._left, size)
            self._left = b""
            if data:
                return data


def other_members(kind: str, file: BinaryIO) -> Iterator[Member]:
    """By libarchive. Raises Unreadable. An encrypted Member without a name stands for a locked list."""
    if libarchive is None:
        raise Unreadable(f"{kind}: this host has no libarchive")
    yielded = False
    try:
        with libarchive.stream_reader(file, format_name=LIBARCHIVE_KINDS[kind]) as archive:
            pointer = archive._pointer
            for entry in archive:
                if entry.isfile:
                    encrypted = _entry_is_encrypted(entry._entry_p) > 0
                    yield Member(entry.pathname or "", encrypted, _blocks(entry))
                    yielded = True
            if _has_encrypted(pointer) > 0 and not yielded:
                yield Member("", True, _nothing)
            elif not yielded:
                # Some readers take what they do not understand for the end.
                raise Unreadable(f"broken {kind} archive, or an empty one")
    except libarchive.ArchiveError as error:
        if "ncrypt" in str(error):
            yield Member("", True, _nothing)
            return
        raise Unreadable(f"broken {kind} archive") from error


def _nothing() -> Readable:
    raise Unreadable("encrypted")


def _blocks(entry: Any) -> Callable[[], Readable]:
    return lambda: _Blocks(entry.get_blocks())


class _Blocks:
    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._left = b""

    def read(self, size: int, /) -> bytes:
        if not self._left:
            try:
                self._left = bytes(next(self._blocks, b""))
            except Exception as error:
                if type(error).__name__ != "ArchiveError":
                    raise
                raise Unreadable("broken archive") from error
        data, self._left = self._left[:size], self._left[size:]
        return data
