"""Events to JSON bytes and back. Encoding by orjson; decoding validates every field (msgspec).

Field order is the struct's; the same event always gives the same bytes.
"""

from __future__ import annotations

import msgspec
import orjson

from event_schema.errors import SchemaError
from event_schema.ocsf_events import Event
from event_schema.short_paths import with_short_paths

EVENT_BYTES_MAX = 64 * 1024
"""Longest encoded event. An undecodable byte of a path takes five ("\\\\xff"): two paths of 4,095 such bytes
take 44 KB; as a rename by a program whose own path is as long it would be 67 KB, and has them shortened."""
_SHORT_PATHS = (8192, 2048)
"""Characters that a path may have in an event that is too large otherwise: three of the first kind fit with
all else as long as it gets on Linux, those of the second with all else as long as it may be."""

_decoder = msgspec.json.Decoder(Event)


def encode_event(event: Event) -> bytes:
    """UTF-8 JSON of one event, with shortened paths where it is over EVENT_BYTES_MAX with whole ones.

    Raises SchemaError if it is over even so, or holds lone surrogates.
    """
    data = _encode(event)
    for characters in _SHORT_PATHS:
        if len(data) <= EVENT_BYTES_MAX:
            return data
        data = _encode(with_short_paths(event, characters))
    if len(data) > EVENT_BYTES_MAX:
        raise SchemaError(f"event is {len(data)} bytes, more than {EVENT_BYTES_MAX}")
    return data


def _encode(event: Event) -> bytes:
    try:
        return orjson.dumps(msgspec.to_builtins(event))
    except (TypeError, UnicodeEncodeError) as error:
        raise SchemaError(f"event cannot be encoded: {error}") from error


def decode_event(data: bytes | memoryview | msgspec.Raw) -> Event:
    """One event from JSON. Raises SchemaError that names the field."""
    size = memoryview(data).nbytes
    if size > EVENT_BYTES_MAX:
        raise SchemaError(f"event is {size} bytes, more than {EVENT_BYTES_MAX}")
    try:
        event: Event = _decoder.decode(data)
    except UnicodeDecodeError as error:
        raise SchemaError(f"event is not UTF-8 at byte {error.start}") from error
    except msgspec.DecodeError as error:
        raise SchemaError(f"event: {error}") from error
    return event
