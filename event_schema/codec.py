"""Events to JSON bytes and back. Encoding by orjson; decoding validates every field (msgspec).

Field order is the struct's; the same event always gives the same bytes.
"""

from __future__ import annotations

import msgspec
import orjson

from event_schema.errors import SchemaError
from event_schema.ocsf_events import Event

EVENT_BYTES_MAX = 64 * 1024
"""Longest encoded event. A full one with two 4,096-byte paths of undecodable bytes is about 40 KiB."""

_decoder = msgspec.json.Decoder(Event)


def encode_event(event: Event) -> bytes:
    """UTF-8 JSON of one event. Raises SchemaError if it is over EVENT_BYTES_MAX or holds lone surrogates."""
    try:
        data = orjson.dumps(msgspec.to_builtins(event))
    except (TypeError, UnicodeEncodeError) as error:
        raise SchemaError(f"event cannot be encoded: {error}") from error
    if len(data) > EVENT_BYTES_MAX:
        raise SchemaError(f"event is {len(data)} bytes, more than {EVENT_BYTES_MAX}")
    return data


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
