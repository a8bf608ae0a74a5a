r"""The spool's register: what the far side has acknowledged, what is durable, what had to be dropped.

File `progress`: two slots of 4,096 bytes, written in turn, in place, and synced. Bytes of a slot:
magic "LVP1", CRC-32 (4, little-endian) of the rest, length (4), then JSON of `Progress`. The readable
slot with the higher generation holds.

Why in place and not a new file renamed over the old: acknowledging must work on a full disk, because
it is what frees space. Why two slots: a torn write costs one slot, never both.
"""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

SLOT_BYTES = 4096
DROPPED_RANGES_MAX = 32
_MAGIC = b"LVP1"
_SLOT = struct.Struct("<4sII")

_Number = Annotated[int, Meta(ge=0, le=2**63 - 1)]


class DroppedRange(msgspec.Struct, frozen=True, array_like=True):
    """Entries first … end-1 went to keep the spool under its cap, and nobody has been told yet."""

    first: _Number
    end: _Number
    first_time: int | None
    last_time: int | None


class Progress(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    generation: _Number
    epoch: Annotated[str, Meta(pattern="^[0-9a-f]{16}$")]
    acknowledged: _Number
    """The first number that the far side has not acknowledged."""
    durable: _Number
    """Numbers below it were on disk when this was written: missing ones are a loss, never reused."""
    lost: _Number
    """Events dropped or unreadable since the epoch began, that the far side was told of or will be."""
    dropped: Annotated[tuple[DroppedRange, ...], Meta(max_length=DROPPED_RANGES_MAX)] = ()


_decoder = msgspec.json.Decoder(Progress)


class ProgressFile:
    """The open register. One writer at a time."""

    def __init__(self, path: Path) -> None:
        """Both slots take their place on the disk now. Raises OSError."""
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        size = os.fstat(self._fd).st_size
        if size < 2 * SLOT_BYTES:
            try:
                os.pwrite(self._fd, b"\0" * (2 * SLOT_BYTES - size), size)
                os.fsync(self._fd)
            except OSError:
                self.close()
                raise

    def read(self) -> Progress | None:
        """The newest readable slot; None when there is none (a new spool, or both damaged)."""
        data = os.pread(self._fd, 2 * SLOT_BYTES, 0)
        slots = (_decode_slot(data[:SLOT_BYTES]), _decode_slot(data[SLOT_BYTES:]))
        return max((s for s in slots if s is not None), key=lambda s: s.generation, default=None)

    def write(self, progress: Progress) -> None:
        """Durable when it returns. Raises OSError."""
        body = msgspec.json.encode(progress)
        slot = _SLOT.pack(_MAGIC, zlib.crc32(body), len(body)) + body
        if len(slot) > SLOT_BYTES:
            raise ValueError(f"progress takes {len(slot)} bytes, more than a slot")
        os.pwrite(self._fd, slot.ljust(SLOT_BYTES, b"\0"), (progress.generation % 2) * SLOT_BYTES)
        os.fdatasync(self._fd)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _decode_slot(slot: bytes) -> Progress | None:
    if len(slot) < _SLOT.size:
        return None
    magic, crc, length = _SLOT.unpack_from(slot)
    body = slot[_SLOT.size : _SLOT.size + length]
    if magic != _MAGIC or len(body) != length or zlib.crc32(body) != crc:
        return None
    try:
        return _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
