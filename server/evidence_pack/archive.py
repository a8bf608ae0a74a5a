"""Writes a pack's archive: one file after the other, in little memory, so that the verifier knows every byte.

The headers of the archive itself are those of verifier.py, so both always agree. Nothing in it depends on
anything but what is written: the same contents make the same bytes.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import msgspec

from event_schema.byte_size import byte_size
from server.evidence_pack.verifier import (
    DEFLATED,
    FORMAT,
    LINE_DIGEST_BYTES,
    MANIFEST,
    PIECE_BYTES,
    SIGNATURE,
    STORED,
    VERSION,
    Entry,
    central_header,
    contents_digest,
    end_record,
    local_header,
    signed_bytes,
)

PACK_BYTES_MAX = 2 << 30
"""Far from where archives need other headers."""
_LEVEL = 6
_PIECE_DIGITS = 16


class PackRefused(Exception):
    """No pack can be made of this; the message says why."""


class PackStopped(Exception):
    """Somebody cancelled it, or the server ends."""


class FinishedArchive(msgspec.Struct, frozen=True):
    bytes: int
    manifest_digest: str


class EntryWriter:
    """One file of the archive while it is written."""

    def __init__(self, file: BinaryIO, method: int, *, by_line: bool, room: int) -> None:
        self._file = file
        self._packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, -15) if method == DEFLATED else None
        self._room = room
        self._sha, self._packed_sha, self._piece = hashlib.sha256(), hashlib.sha256(), hashlib.sha256()
        self._in_piece = 0
        self.crc = self.size = self.packed = 0
        self.pieces: list[str] = []
        self.line_digests = bytearray() if by_line else None

    def write(self, data: bytes) -> None:
        self.size += len(data)
        self.crc = zlib.crc32(data, self.crc)
        self._sha.update(data)
        self._out(data if self._packer is None else self._packer.compress(data))

    def line(self, value: object) -> bytes:
        """One line of JSON, which it returns."""
        data = msgspec.json.encode(value)
        if self.line_digests is not None:
            self.line_digests += hashlib.sha256(data).digest()[:LINE_DIGEST_BYTES]
        self.write(data + b"\n")
        return data

    def end(self) -> dict[str, Any]:
        """What the manifest says of it."""
        if self._packer is not None:
            self._out(self._packer.flush())
        if self._in_piece:
            self._end_piece()
        return {
            "size": self.size,
            "sha256": self._sha.hexdigest(),
            "method": "stored" if self._packer is None else "deflated",
            "packed": self.packed,
            "packed_sha256": self._packed_sha.hexdigest(),
            "crc32": self.crc,
            "pieces": self.pieces,
        }

    def _out(self, packed: bytes) -> None:
        self.packed += len(packed)
        if max(self.packed, self.size) > self._room:
            raise PackRefused(f"the pack would be larger than {byte_size(PACK_BYTES_MAX)}")
        self._file.write(packed)
        self._packed_sha.update(packed)
        at = 0
        while at < len(packed):
            part = packed[at : at + PIECE_BYTES - self._in_piece]
            self._piece.update(part)
            self._in_piece += len(part)
            at += len(part)
            if self._in_piece == PIECE_BYTES:
                self._end_piece()

    def _end_piece(self) -> None:
        self.pieces.append(self._piece.hexdigest()[:_PIECE_DIGITS])
        self._piece, self._in_piece = hashlib.sha256(), 0


class ArchiveWriter:
    """Into a file that can be written anywhere. `finish` must come last."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._entries: list[Entry] = []
        self._files: list[dict[str, Any]] = []
        self._offset = 0

    @property
    def contents_digest(self) -> str:
        """Of what is written so far, without the report."""
        return contents_digest(self._files)

    @contextmanager
    def entry(self, name: str, *, packed: bool = True) -> Iterator[EntryWriter]:
        method = DEFLATED if packed else STORED
        by_line = name.endswith(".jsonl")
        header = local_header(Entry(name, method, 0, 0, 0, self._offset))
        self._file.write(header)
        writer = EntryWriter(
            self._file, method, by_line=by_line, room=PACK_BYTES_MAX - self._offset - len(header)
        )
        yield writer
        told = writer.end()
        made = Entry(name, method, writer.crc, writer.packed, writer.size, self._offset)
        self._file.seek(made.offset)
        self._file.write(local_header(made))
        self._file.seek(made.end)
        self._offset = made.end
        self._entries.append(made)
        self._files.append({"name": name, **told})
        if writer.line_digests is not None:
            self.add(f"{name}.lines", bytes(writer.line_digests), packed=False)

    def add(self, name: str, data: bytes, *, packed: bool = True) -> None:
        with self.entry(name, packed=packed) as writer:
            writer.write(data)

    def finish(self, fields: dict[str, Any], sign: Callable[[bytes], bytes]) -> FinishedArchive:
        """`fields`: of the manifest, beside the files."""
        files, digest = list(self._files), self.contents_digest
        manifest = msgspec.json.format(
            msgspec.json.encode(
                {"format": FORMAT, "version": VERSION, **fields, "contents_sha256": digest, "files": files}
            ),
            indent=1,
        )
        self.add(MANIFEST, manifest, packed=False)
        self.add(SIGNATURE, sign(signed_bytes(manifest)), packed=False)
        start = self._offset
        for entry in self._entries:
            self._file.write(central_header(entry))
        self._file.write(end_record(self._entries, start))
        self._file.flush()
        return FinishedArchive(self._file.tell(), hashlib.sha256(manifest).hexdigest())
