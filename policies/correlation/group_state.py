"""One group's state as bytes, and back: what a database keeps a row of.

1 byte      version of the format: 1
zstandard   MessagePack array [group key, [complete_from, quiet_until, entries, days]]; see state.py
"""

from __future__ import annotations

from typing import Final

import msgspec
import zstandard

from policies.correlation.correlator import GroupKey
from policies.correlation.group_window import Kept
from policies.correlation.state import StateError

_VERSION: Final = b"\x01"
_BYTES_MAX: Final = 64 << 20
_LEVEL: Final = 1
_decoder: Final = msgspec.msgpack.Decoder(tuple[GroupKey, Kept])


def encode_group(key: GroupKey, kept: Kept) -> bytes:
    # One compressor is not for several threads, and the pipeline, looking back and deleting all come here.
    compressor = zstandard.ZstdCompressor(level=_LEVEL)
    return _VERSION + compressor.compress(msgspec.msgpack.encode((key, kept)))


def decode_group(saved: bytes) -> tuple[GroupKey, Kept]:
    """Raises StateError."""
    if saved[:1] != _VERSION:
        raise StateError("this is no group's state, or one of another version")
    try:
        plain = zstandard.ZstdDecompressor().decompress(saved[1:], max_output_size=_BYTES_MAX)
        return _decoder.decode(plain)
    except (zstandard.ZstdError, msgspec.DecodeError, RecursionError) as error:
        raise StateError(f"a group's state is damaged: {error}") from error


def days_of(kept: Kept) -> tuple[int, int] | None:
    """The first and the last day of its events; None: it has none."""
    days = [entry.day for entry in kept.entries] or [each.day for each in kept.days]
    return (min(days), max(days)) if days else None


def without_days_before(kept: Kept, oldest: int) -> Kept:
    """Without the events of older days, whose windows are known to be not whole then."""
    entries = [entry for entry in kept.entries if entry.day >= oldest]
    days = [each for each in kept.days if each.day >= oldest]
    complete_from = kept.complete_from
    if len(entries) < len(kept.entries):
        last = max(entry.time for entry in kept.entries if entry.day < oldest)
        complete_from = max(last + 1, complete_from or last + 1)
    elif len(days) < len(kept.days):
        complete_from = max(oldest, complete_from or oldest)
    return Kept(complete_from, kept.quiet_until, entries, days)
