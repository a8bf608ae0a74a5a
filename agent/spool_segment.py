r"""One segment file of the spool: its bytes, and how to read what is left of a damaged one. Pure.

A segment is a header frame followed by entry or block frames, nothing between them. Little-endian.

| bytes | frame |
|---|---|
| 4 | magic: FF 4C 56, then 48 (header), 45 (entry) or 42 (block); FF is not UTF-8, so no text holds one |
| 4 | length of the body |
| 4 | CRC-32 of the sequence number and the body |
| 8 | sequence number: of the entry; of the first entry that the segment or the block may hold |
| … | body |

Header body: JSON {"epoch": 16 hex digits, "cursors": {collector: cursor}}: where every collector stood
when the segment was begun, so that the newest segment alone tells where to resume.
Entry body: event time (8, ms UTC), length of the collector's name (1; its highest bit is set in the first
entry of each append), name, length of the cursor (2, FFFF = none), cursor, then the encoded event (JSON) to
the end.
Block body: one zstd frame that states its content size; inside, about 64 KiB of entry frames. A segment
is written as entries and packed into blocks when it is full and still unsent: a day without the server,
at 100 events a second, fits the cap of 1 GiB that way (about 100 bytes an event instead of 1,050).

Invariants: numbers rise by one from frame to frame. Reading believes a frame only if its magic, length
and CRC hold; after damage it goes on at the next place where they do, so that damage costs exactly the
entries (or the block) that it touches.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator, Mapping

import msgspec
import zstandard

from event_schema.codec import EVENT_BYTES_MAX

HEADER_MAGIC = b"\xffLVH"
ENTRY_MAGIC = b"\xffLVE"
BLOCK_MAGIC = b"\xffLVB"
_ANY_MAGIC = re.compile(b"\xffLV[EB]")
COLLECTOR_BYTES_MAX = 64
CURSOR_BYTES_MAX = 4096
HEADER_BODY_MAX = 512 * 1024
ENTRY_BODY_MAX = 8 + 1 + COLLECTOR_BYTES_MAX + 2 + CURSOR_BYTES_MAX + EVENT_BYTES_MAX
BLOCK_CONTENT_BYTES = 64 << 10
_BLOCK_CONTENT_MAX = BLOCK_CONTENT_BYTES + ENTRY_BODY_MAX + 64

_FRAME = struct.Struct("<4sIIQ")
_SEQ = struct.Struct("<Q")
_TIME_AND_NAME = struct.Struct("<qB")
_CURSOR_LENGTH = struct.Struct("<H")
_NO_CURSOR = 0xFFFF
_BEGINS = 0x80

FRAME_BYTES = _FRAME.size


class NewEntry(msgspec.Struct, frozen=True):
    """What a collector hands to the spool. `data` is the event as codec.encode_event gives it."""

    collector: str
    time: int
    data: bytes
    cursor: str | None = None


class Entry(msgspec.Struct, frozen=True):
    """An entry as it lies in a segment. Reading from byte `end` on gives what follows it; within a block
    `end` is the block's beginning, except for its last entry."""

    seq: int
    end: int
    collector: str
    time: int
    data: bytes
    cursor: str | None
    begins: bool
    """An append: whatever stands before it was synced when it was written."""


class SegmentHeader(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    epoch: str
    cursors: dict[str, str]


_header_decoder = msgspec.json.Decoder(SegmentHeader)


def encode_header(first_seq: int, epoch: str, cursors: Mapping[str, str]) -> bytes:
    body = msgspec.json.encode(SegmentHeader(epoch, dict(cursors)))
    if len(body) > HEADER_BODY_MAX:
        raise ValueError(f"the cursors of {len(cursors)} collectors take {len(body)} bytes")
    return _frame(HEADER_MAGIC, first_seq, body)


def encode_entry(seq: int, entry: NewEntry, *, begins: bool = True) -> bytes:
    """`begins`: the first one of an append. Raises ValueError when a part is over its limit."""
    name = entry.collector.encode()
    cursor = b"" if entry.cursor is None else entry.cursor.encode()
    if not 1 <= len(name) <= COLLECTOR_BYTES_MAX:
        raise ValueError(f"collector's name is {len(name)} bytes, not 1 to {COLLECTOR_BYTES_MAX}")
    if len(cursor) > CURSOR_BYTES_MAX:
        raise ValueError(f"cursor of {entry.collector} is {len(cursor)} bytes, over {CURSOR_BYTES_MAX}")
    if not 0 < len(entry.data) <= EVENT_BYTES_MAX:
        raise ValueError(f"event of {entry.collector} is {len(entry.data)} bytes, not 1 to {EVENT_BYTES_MAX}")
    body = b"".join(
        (
            _TIME_AND_NAME.pack(entry.time, len(name) | (_BEGINS if begins else 0)),
            name,
            _CURSOR_LENGTH.pack(_NO_CURSOR if entry.cursor is None else len(cursor)),
            cursor,
            entry.data,
        )
    )
    return _frame(ENTRY_MAGIC, seq, body)


def _frame(magic: bytes, seq: int, body: bytes) -> bytes:
    crc = zlib.crc32(body, zlib.crc32(_SEQ.pack(seq)))
    return _FRAME.pack(magic, len(body), crc, seq) + body


def decode_header(data: bytes, first_seq: int) -> tuple[SegmentHeader, int] | None:
    """The header and where it ends; None if it is damaged."""
    found = _body_at(data, 0, HEADER_MAGIC, HEADER_BODY_MAX)
    if found is None or found[0] != first_seq:
        return None
    seq_and_body = found[1]
    try:
        return _header_decoder.decode(seq_and_body), FRAME_BYTES + len(seq_and_body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def read_entries(data: bytes, offset: int, *, below: int) -> Iterator[Entry]:
    """Every readable entry from `offset` on with rising numbers under `below`; damage is stepped over."""
    at, last = offset, -1
    while at < len(data):
        frame = _frame_at(data, at)
        if frame is None:
            found = _ANY_MAGIC.search(data, at + 1)
            if found is None:
                return
            at = found.start()
            continue
        entries, at = frame
        for entry in entries:
            if last < entry.seq < below:
                yield entry
                last = entry.seq


def pack_segment(data: bytes, first_seq: int, *, below: int) -> bytes | None:
    """The same segment with its entries in blocks; None if its header is damaged."""
    header = decode_header(data, first_seq)
    if header is None:
        return None
    compressor = zstandard.ZstdCompressor(level=3, write_content_size=True)
    parts, content, size, start = [data[: header[1]]], list[bytes](), 0, first_seq
    for entry in read_entries(data, header[1], below=below):
        if not content:
            start = entry.seq
        same = NewEntry(entry.collector, entry.time, entry.data, entry.cursor)
        again = encode_entry(entry.seq, same, begins=entry.begins)
        content.append(again)
        size += len(again)
        if size >= BLOCK_CONTENT_BYTES:
            parts.append(_frame(BLOCK_MAGIC, start, compressor.compress(b"".join(content))))
            content, size = [], 0
    if content:
        parts.append(_frame(BLOCK_MAGIC, start, compressor.compress(b"".join(content))))
    return b"".join(parts)


def _frame_at(data: bytes, at: int) -> tuple[list[Entry], int] | None:
    """The entries of the frame at `at`, and where it ends."""
    if data[at : at + 4] == BLOCK_MAGIC:
        return _block_at(data, at)
    entry = _entry_at(data, at)
    return None if entry is None else ([entry], entry.end)


def _block_at(data: bytes, at: int) -> tuple[list[Entry], int] | None:
    found = _body_at(data, at, BLOCK_MAGIC, _BLOCK_CONTENT_MAX)
    if found is None:
        return None
    body = found[1]
    try:
        if zstandard.get_frame_parameters(body).content_size > _BLOCK_CONTENT_MAX:
            return None
        content = zstandard.ZstdDecompressor().decompress(body)
    except zstandard.ZstdError:
        return None
    entries: list[Entry] = []
    inside = 0
    while (entry := _entry_at(content, inside)) is not None:
        inside = entry.end
        entries.append(msgspec.structs.replace(entry, end=at))
    end = at + FRAME_BYTES + len(body)
    if entries:
        entries[-1] = msgspec.structs.replace(entries[-1], end=end)
    return entries, end


def _entry_at(data: bytes, at: int) -> Entry | None:
    found = _body_at(data, at, ENTRY_MAGIC, ENTRY_BODY_MAX)
    if found is None:
        return None
    seq, body = found
    try:
        time, name_length = _TIME_AND_NAME.unpack_from(body)
        cursor_at = _TIME_AND_NAME.size + (name_length & ~_BEGINS)
        (cursor_length,) = _CURSOR_LENGTH.unpack_from(body, cursor_at)
        event_at = cursor_at + _CURSOR_LENGTH.size
        cursor = None
        if cursor_length != _NO_CURSOR:
            event_at += cursor_length
            cursor = body[event_at - cursor_length : event_at].decode()
        name = body[_TIME_AND_NAME.size : cursor_at].decode()
    except (struct.error, UnicodeDecodeError):
        return None
    begins = bool(name_length & _BEGINS)
    return Entry(seq, at + FRAME_BYTES + len(body), name, time, body[event_at:], cursor, begins)


def _body_at(data: bytes, at: int, magic: bytes, body_max: int) -> tuple[int, bytes] | None:
    """(sequence number, body) of the frame at `at`, if it is whole and its CRC holds."""
    if len(data) - at < FRAME_BYTES:
        return None
    found, length, crc, seq = _FRAME.unpack_from(data, at)
    end = at + FRAME_BYTES + length
    if found != magic or length > body_max or end > len(data):
        return None
    body = data[at + FRAME_BYTES : end]
    if zlib.crc32(body, zlib.crc32(_SEQ.pack(seq))) != crc:
        return None
    return seq, body
