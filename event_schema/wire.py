r"""The wire format: what stands in one record of the log between agent and server.

A record has an agent (the log's key), a header and a value.

| header | meaning |
|---|---|
| schema | "1"; anything else is refused whole |
| kind | events, loss or heartbeat |
| epoch | 16 lower-case hex digits, random for each spool: a cloned or rebuilt agent shows |
| first_seq | sequence number of the first event; for a heartbeat the number that comes next |
| count | events: 1–200, one number each; loss: how many numbers it covers; heartbeat: 0 |
| signature | Ed25519, 64 bytes, by the key that the agent made at enrolment |

Value: one zstd frame that states its content size. Inside, UTF-8 JSON: for `events` an array of
`count` events (ocsf_events.py), else one control object (control_records.py).

The signature covers, joined by "\n": "leaver-record-1", agent, kind, epoch, first_seq, count, and the
SHA-256 (hex) of the value as it travels. So it is checked before anything is decompressed.

Invariants: numbers of one (agent, epoch) start at 0 and have no gap; a record sent again has the same
numbers for the same events, though perhaps cut differently; the order on the log is the order of the
numbers. Limits: agent 64 characters of [a-z0-9._-], 1 MiB a value, 4 MiB decompressed, 64 KiB an
event, 200 events a record, 1,000 records and 16 MiB a request.

Over HTTPS a request's body is a MessagePack array of records, each an array in the order of
`WireRecord`'s fields. On Kafka the agent is the record's key, the other fields are record headers
(numbers in decimal ASCII), and the batch is not compressed again.
"""

from __future__ import annotations

import hashlib
import re
import threading
from enum import StrEnum
from typing import Annotated

import msgspec
import zstandard
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from msgspec import Meta

from event_schema.codec import decode_event
from event_schema.errors import SchemaError, shown
from event_schema.ocsf_events import Event

WIRE_SCHEMA = "1"
EVENTS_PER_RECORD_MAX = 200
VALUE_BYTES_MAX = 1 << 20
CONTENT_BYTES_MAX = 4 << 20
RECORDS_PER_REQUEST_MAX = 1000
REQUEST_BYTES_MAX = 16 << 20
AGENT_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}\Z")
EPOCH = re.compile(r"[0-9a-f]{16}\Z")


class RecordKind(StrEnum):
    EVENTS = "events"
    LOSS = "loss"
    HEARTBEAT = "heartbeat"


class Rejected(StrEnum):
    """Why a record, or one event of it, is set aside. Closed list: metrics and dead letters use it."""

    WRONG_SCHEMA = "wrong_schema"
    BAD_HEADER = "bad_header"
    UNKNOWN_AGENT = "unknown_agent"
    REVOKED_AGENT = "revoked_agent"
    BAD_SIGNATURE = "bad_signature"
    OVERSIZED = "oversized"
    TRUNCATED = "truncated"
    BAD_CONTENT = "bad_content"
    NOT_UTF8 = "not_utf8"
    COUNT_MISMATCH = "count_mismatch"
    BAD_EVENT = "bad_event"
    FUTURE_DATED = "future_dated"


class WireError(ValueError):
    """A record cannot be read. `reason` counts it; the message names the place."""

    def __init__(self, reason: Rejected, message: str) -> None:
        super().__init__(shown(message))
        self.reason = reason


class WireRecord(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One record of the log, signed. Fields as in this file's table."""

    agent: Annotated[str, Meta(max_length=64)]
    schema: Annotated[str, Meta(max_length=8)]
    kind: Annotated[str, Meta(max_length=16)]
    epoch: Annotated[str, Meta(max_length=16)]
    first_seq: Annotated[int, Meta(ge=0, le=2**63 - 1)]
    count: Annotated[int, Meta(ge=0, le=2**63 - 1)]
    signature: Annotated[bytes, Meta(max_length=64)]
    value: Annotated[bytes, Meta(max_length=VALUE_BYTES_MAX)]


class EventFault(msgspec.Struct, frozen=True):
    """One event of a record that cannot be read; its neighbours can."""

    index: int
    reason: Rejected
    message: str
    data: bytes


class DecodedEvents(msgspec.Struct, frozen=True):
    """A record's events by index; `events[i]` is None where `faults` has an entry with index i."""

    events: tuple[Event | None, ...]
    faults: tuple[EventFault, ...]


class _OfThread(threading.local):
    """A compressor is not thread-safe (two threads in one crash the process), and dear to make."""

    def __init__(self) -> None:
        self.compressor = zstandard.ZstdCompressor(level=3, write_content_size=True)


_of_thread = _OfThread()
_request_decoder = msgspec.msgpack.Decoder(list[WireRecord])
_raw_list_decoder = msgspec.json.Decoder(list[msgspec.Raw])
_event_list_decoder = msgspec.json.Decoder(list[Event])


def pack_events(
    key: Ed25519PrivateKey, *, agent: str, epoch: str, first_seq: int, events: list[bytes]
) -> WireRecord:
    """A signed record of 1–200 encoded events (codec.encode_event) with consecutive numbers.

    Raises ValueError when there are too many, or they exceed CONTENT_BYTES_MAX or VALUE_BYTES_MAX.
    """
    if not 1 <= len(events) <= EVENTS_PER_RECORD_MAX:
        raise ValueError(f"{len(events)} events in a record, not 1 to {EVENTS_PER_RECORD_MAX}")
    content = b"[" + b",".join(events) + b"]"
    return _pack(key, agent, RecordKind.EVENTS, epoch, first_seq, len(events), content)


def pack_control(
    key: Ed25519PrivateKey,
    *,
    agent: str,
    kind: RecordKind,
    epoch: str,
    first_seq: int,
    count: int,
    content: bytes,
) -> WireRecord:
    """A signed loss or heartbeat record; content from control_records.encode_control."""
    return _pack(key, agent, kind, epoch, first_seq, count, content)


def _pack(
    key: Ed25519PrivateKey,
    agent: str,
    kind: RecordKind,
    epoch: str,
    first_seq: int,
    count: int,
    content: bytes,
) -> WireRecord:
    if len(content) > CONTENT_BYTES_MAX:
        raise ValueError(f"content is {len(content)} bytes, more than {CONTENT_BYTES_MAX}")
    value = _of_thread.compressor.compress(content)
    if len(value) > VALUE_BYTES_MAX:
        raise ValueError(f"value is {len(value)} bytes, more than {VALUE_BYTES_MAX}")
    signature = key.sign(_signed_bytes(agent, kind, epoch, first_seq, count, value))
    return WireRecord(agent, WIRE_SCHEMA, kind, epoch, first_seq, count, signature, value)


def _signed_bytes(
    agent: str, kind: str, epoch: str, first_seq: int, count: int, value: bytes, digest: str | None = None
) -> bytes:
    digest = digest or hashlib.sha256(value).hexdigest()
    return "\n".join(("leaver-record-1", agent, kind, epoch, str(first_seq), str(count), digest)).encode()


def check_header(record: WireRecord) -> RecordKind:
    """The record's kind. Raises WireError (WRONG_SCHEMA, BAD_HEADER, OVERSIZED)."""
    if record.schema != WIRE_SCHEMA:
        raise WireError(Rejected.WRONG_SCHEMA, f"header schema is {record.schema!r}, not {WIRE_SCHEMA!r}")
    if not AGENT_NAME.match(record.agent):
        raise WireError(Rejected.BAD_HEADER, f"agent name {record.agent!r} is not 1-64 of [a-z0-9._-]")
    if not EPOCH.match(record.epoch):
        raise WireError(Rejected.BAD_HEADER, f"header epoch {record.epoch!r} is not 16 hex digits")
    try:
        kind = RecordKind(record.kind)
    except ValueError:
        raise WireError(Rejected.BAD_HEADER, f"header kind {record.kind!r} is unknown") from None
    low, high = {
        RecordKind.EVENTS: (1, EVENTS_PER_RECORD_MAX),
        RecordKind.LOSS: (1, 2**63 - 1),
        RecordKind.HEARTBEAT: (0, 0),
    }[kind]
    if not low <= record.count <= high or record.first_seq + record.count > 2**63 - 1:
        raise WireError(Rejected.BAD_HEADER, f"header count {record.count} does not fit kind {kind}")
    if len(record.value) > VALUE_BYTES_MAX:
        raise WireError(
            Rejected.OVERSIZED, f"value is {len(record.value)} bytes, more than {VALUE_BYTES_MAX}"
        )
    return kind


def verify_signature(record: WireRecord, key: Ed25519PublicKey, *, digest: str | None = None) -> None:
    """Raises WireError(BAD_SIGNATURE) unless `key` signed exactly this record. `digest`: SHA-256 (hex) of the
    value that was signed, where the record holds another one by now."""
    signed = _signed_bytes(
        record.agent, record.kind, record.epoch, record.first_seq, record.count, record.value, digest
    )
    try:
        key.verify(record.signature, signed)
    except InvalidSignature:
        raise WireError(
            Rejected.BAD_SIGNATURE, f"signature of {record.agent} on records from {record.first_seq} is wrong"
        ) from None


def unpack_content(record: WireRecord) -> bytes:
    """The decompressed content, at most CONTENT_BYTES_MAX. Raises WireError."""
    try:
        frame = zstandard.get_frame_parameters(record.value)
    except zstandard.ZstdError as error:
        reason = Rejected.TRUNCATED if len(record.value) < 18 else Rejected.BAD_CONTENT
        raise WireError(reason, f"value is no zstd frame: {error}") from error
    if frame.content_size == zstandard.CONTENTSIZE_UNKNOWN:
        raise WireError(Rejected.BAD_CONTENT, "value is a zstd frame that does not state its content's size")
    if frame.content_size > CONTENT_BYTES_MAX:
        raise WireError(
            Rejected.OVERSIZED,
            f"value says it holds {frame.content_size} bytes, more than {CONTENT_BYTES_MAX}",
        )
    # A decompressor is not thread-safe, and costs 1 µs to make.
    stream = zstandard.ZstdDecompressor(max_window_size=CONTENT_BYTES_MAX * 2).decompressobj()
    try:
        content = stream.decompress(record.value)
    except zstandard.ZstdError as error:
        raise WireError(Rejected.BAD_CONTENT, f"value does not decompress: {error}") from error
    if not stream.eof or len(content) != frame.content_size:
        raise WireError(Rejected.TRUNCATED, f"value ends after {len(content)} of {frame.content_size} bytes")
    if stream.unused_data:
        raise WireError(Rejected.BAD_CONTENT, f"{len(stream.unused_data)} bytes follow the zstd frame")
    return content


def decode_events(record: WireRecord) -> DecodedEvents:
    """The record's events, validated. Raises WireError when the record cannot be read at all;
    a single event that cannot be read becomes an EventFault beside its readable neighbours."""
    return decode_content(record, unpack_content(record))


def decode_content(record: WireRecord, content: bytes) -> DecodedEvents:
    """As decode_events, of what unpack_content gave."""
    try:
        events = _event_list_decoder.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _decode_one_by_one(record, content)
    _check_count(record, len(events))
    return DecodedEvents(tuple(events), ())


def _decode_one_by_one(record: WireRecord, content: bytes) -> DecodedEvents:
    try:
        raws = _raw_list_decoder.decode(content)
    except UnicodeDecodeError as error:
        raise WireError(Rejected.NOT_UTF8, f"content is not UTF-8 at byte {error.start}") from error
    except msgspec.DecodeError as error:
        raise WireError(Rejected.BAD_CONTENT, f"content is no JSON array: {error}") from error
    _check_count(record, len(raws))
    events: list[Event | None] = []
    faults: list[EventFault] = []
    for index, raw in enumerate(raws):
        try:
            events.append(decode_event(raw))
        except SchemaError as error:
            events.append(None)
            data = bytes(raw)
            reason = Rejected.NOT_UTF8 if "UTF-8" in str(error) else Rejected.BAD_EVENT
            message = f"event {index} of {record.count} (seq {record.first_seq + index}): {error}"
            faults.append(EventFault(index, reason, message, data))
    return DecodedEvents(tuple(events), tuple(faults))


def _check_count(record: WireRecord, found: int) -> None:
    if found != record.count:
        raise WireError(Rejected.COUNT_MISMATCH, f"header says {record.count} events, content holds {found}")


def encode_request(records: list[WireRecord]) -> bytes:
    """Body of an HTTPS request. Raises ValueError over RECORDS_PER_REQUEST_MAX or REQUEST_BYTES_MAX."""
    body = msgspec.msgpack.encode(records)
    if len(records) > RECORDS_PER_REQUEST_MAX or len(body) > REQUEST_BYTES_MAX:
        raise ValueError(f"{len(records)} records of {len(body)} bytes do not fit one request")
    return body


def decode_request(body: bytes) -> list[WireRecord]:
    """Records of an HTTPS request. Raises WireError(OVERSIZED or BAD_CONTENT)."""
    if len(body) > REQUEST_BYTES_MAX:
        raise WireError(Rejected.OVERSIZED, f"request is {len(body)} bytes, more than {REQUEST_BYTES_MAX}")
    try:
        records = _request_decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise WireError(Rejected.BAD_CONTENT, f"request is no array of records: {error}") from error
    if len(records) > RECORDS_PER_REQUEST_MAX:
        raise WireError(
            Rejected.OVERSIZED, f"request has {len(records)} records, more than {RECORDS_PER_REQUEST_MAX}"
        )
    return records
