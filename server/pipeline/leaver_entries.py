"""What is known of a stored block's events: as it came (`event_blocks.leaver`), and later versions of it.

A zstd JSON array with an entry for each event, [corrected time, leaver fields], or null: in the block itself
where the event is a duplicate, a dead letter or erased, in a later version (`leaver_versions`) where that
look-back changed nothing. The current entry is that of the latest version that has one; versions whose
look-back is not finished do not count.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
import zstandard
from sqlalchemy import Connection, exists, select

from event_schema.leaver_fields import LeaverFields
from server.store.tables import leaver_versions, look_backs

LEAVER_BYTES_MAX = 16 << 20
_BLOCKS_A_QUERY = 500

_decoder = msgspec.json.Decoder(list[tuple[int, msgspec.Raw] | None])
_fields_decoder = msgspec.json.Decoder(LeaverFields)

Entry = tuple[int, msgspec.Raw] | None
"""Corrected time (ms UTC), and LeaverFields as JSON."""

NO_ENTRY = b"null"


class DamagedEntries(Exception):
    """What the server stored beside a block cannot be read."""


def entries_of(leaver: bytes, count: int) -> list[Entry]:
    """Raises DamagedEntries."""
    try:
        entries = _decoder.decode(unpacked(leaver))
    except (zstandard.ZstdError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DamagedEntries(f"what was known of its events: {error}") from error
    if len(entries) != count:
        raise DamagedEntries(f"{len(entries)} entries for {count} events")
    return entries


def fields_of(raw: msgspec.Raw) -> LeaverFields:
    """Raises DamagedEntries."""
    try:
        return _fields_decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DamagedEntries(f"what was known of an event: {error}") from error


def encoded_entry(time: int, fields: bytes) -> bytes:
    """`fields`: LeaverFields as JSON."""
    return b"[%d,%b]" % (time, fields)


def packed(entries: Iterable[bytes]) -> bytes:
    return zstandard.ZstdCompressor(level=1).compress(b"[" + b",".join(entries) + b"]")


def unpacked(leaver: bytes) -> bytes:
    return zstandard.ZstdDecompressor().decompress(leaver, max_output_size=LEAVER_BYTES_MAX)


def later_versions(connection: Connection, blocks: Sequence[int]) -> dict[int, list[bytes]]:
    """By block, those that count, the earliest first."""
    found: dict[int, list[bytes]] = {}
    unfinished = exists().where(
        look_backs.c.version == leaver_versions.c.version, look_backs.c.finished_at.is_(None)
    )
    for start in range(0, len(blocks), _BLOCKS_A_QUERY):
        query = (
            select(leaver_versions.c.block, leaver_versions.c.leaver)
            .where(leaver_versions.c.block.in_(blocks[start : start + _BLOCKS_A_QUERY]), ~unfinished)
            .order_by(leaver_versions.c.block, leaver_versions.c.version)
        )
        for row in connection.execute(query):
            found.setdefault(row.block, []).append(row.leaver)
    return found


def current_entries(leaver: bytes, later: Iterable[bytes], count: int) -> list[Entry]:
    """Raises DamagedEntries."""
    entries = entries_of(leaver, count)
    for version in later:
        for index, entry in enumerate(entries_of(version, count)):
            # What is gone from the block stays gone.
            if entry is not None and entries[index] is not None:
                entries[index] = entry
    return entries
