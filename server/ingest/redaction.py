"""Takes events out of a record's value: `null` in their places, all others byte by byte as they were."""

from __future__ import annotations

from collections.abc import Collection

import msgspec
import zstandard

from event_schema.wire import WireRecord, unpack_content

_raw_list_decoder = msgspec.json.Decoder(list[msgspec.Raw])
NOTHING = b"null"


def raw_events(record: WireRecord) -> list[bytes]:
    """The events of a record as they came, `null` where one was taken out. Raises WireError,
    msgspec.DecodeError, UnicodeDecodeError."""
    return [bytes(raw) for raw in _raw_list_decoder.decode(unpack_content(record))]


def without_events(record: WireRecord, indexes: Collection[int]) -> WireRecord:
    """Raises like `raw_events`. The signature stays, though it is that of the record as it was."""
    gone = frozenset(indexes)
    parts = [NOTHING if index in gone else raw for index, raw in enumerate(raw_events(record))]
    value = zstandard.ZstdCompressor(level=3, write_content_size=True).compress(
        b"[" + b",".join(parts) + b"]"
    )
    return msgspec.structs.replace(record, value=value)
