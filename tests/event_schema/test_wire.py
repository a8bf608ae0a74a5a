"""Wire records: what is signed comes back, and what was touched is refused with its reason."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest
import zstandard
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from event_schema import wire
from event_schema.codec import encode_event
from event_schema.wire import Rejected, WireError, WireRecord, pack_events, unpack_content
from tests.event_schema.sample_events import sample_events

KEY = Ed25519PrivateKey.generate()
EVENTS = sample_events()


def record() -> WireRecord:
    return wire.pack_events(
        KEY, agent="laptop-7", epoch="0" * 16, first_seq=40, events=[encode_event(e) for e in EVENTS]
    )


def read(found: WireRecord) -> wire.DecodedEvents:
    """All checks, in the order in which the server makes them."""
    wire.check_header(found)
    wire.verify_signature(found, KEY.public_key())
    return wire.decode_events(found)


def with_value(value: bytes, count: int = 1) -> WireRecord:
    """Signed by the agent itself, so only the content can be at fault."""
    good = wire.pack_events(KEY, agent="laptop-7", epoch="0" * 16, first_seq=0, events=[b"{}"] * count)
    signed = wire._signed_bytes(good.agent, good.kind, good.epoch, good.first_seq, good.count, value)
    return msgspec.structs.replace(good, value=value, signature=KEY.sign(signed))


def test_events_come_back_equal_and_in_order() -> None:
    decoded = read(record())
    assert list(decoded.events) == EVENTS
    assert decoded.faults == ()


def test_records_come_back_equal_from_a_request() -> None:
    records = [record(), record()]
    assert wire.decode_request(wire.encode_request(records)) == records


@pytest.mark.parametrize(
    "change",
    [
        {"agent": "laptop-8"},
        {"epoch": "1" * 16},
        {"first_seq": 41},
        {"count": 5},
        {"kind": "loss"},
        {"signature": b"\1" * 64},
        {"signature": b""},
        {"value": b"\x28\xb5\x2f\xfd"},
    ],
)
def test_a_record_of_which_anything_was_changed_has_a_wrong_signature(change: dict[str, object]) -> None:
    with pytest.raises(WireError) as caught:
        read(msgspec.structs.replace(record(), **change))
    assert caught.value.reason is Rejected.BAD_SIGNATURE


@pytest.mark.parametrize(
    ("change", "reason", "said"),
    [
        ({"schema": "2"}, Rejected.WRONG_SCHEMA, "schema"),
        ({"agent": "Laptop 7"}, Rejected.BAD_HEADER, "agent"),
        ({"epoch": "xyz"}, Rejected.BAD_HEADER, "epoch"),
        ({"kind": "gossip"}, Rejected.BAD_HEADER, "kind"),
        ({"count": 0}, Rejected.BAD_HEADER, "count"),
        ({"count": 201}, Rejected.BAD_HEADER, "count"),
        ({"first_seq": 2**63 - 2, "count": 9}, Rejected.BAD_HEADER, "count"),
        ({"value": b"0" * (wire.VALUE_BYTES_MAX + 1)}, Rejected.OVERSIZED, "value"),
    ],
)
def test_a_header_at_fault_is_named(change: dict[str, object], reason: Rejected, said: str) -> None:
    with pytest.raises(WireError, match=said) as caught:
        read(msgspec.structs.replace(record(), **change))
    assert caught.value.reason is reason


def _bomb() -> bytes:
    return zstandard.ZstdCompressor().compress(b" " * (64 << 20))


def _silent_bomb() -> bytes:
    """Says nothing of its size, and holds 64 MiB."""
    stream = zstandard.ZstdCompressor(write_content_size=False).compressobj()
    return stream.compress(b" " * (64 << 20)) + stream.flush()


def _truncated() -> bytes:
    return zstandard.ZstdCompressor().compress(bytes(range(256)) * 8)[:-20]


def _followed() -> bytes:
    return zstandard.ZstdCompressor().compress(b"[{}]") + b"more"


@pytest.mark.parametrize(
    ("value", "reasons"),
    [
        (_bomb, {Rejected.OVERSIZED}),
        (_silent_bomb, {Rejected.BAD_CONTENT}),
        (_truncated, {Rejected.TRUNCATED}),
        (_followed, {Rejected.BAD_CONTENT}),
        (lambda: b"", {Rejected.TRUNCATED}),
        (lambda: b"{not zstd, but long enough}", {Rejected.BAD_CONTENT}),
        (lambda: zstandard.compress(b"[1,"), {Rejected.BAD_CONTENT}),
        (lambda: zstandard.compress(b'{"a":1}'), {Rejected.BAD_CONTENT}),
        (lambda: zstandard.compress(b"[{},{}]"), {Rejected.COUNT_MISMATCH}),
    ],
    ids=["bomb", "silent bomb", "truncated", "followed", "empty", "no frame", "no json", "no array", "count"],
)
def test_content_at_fault_is_refused_whole(value: Callable[[], bytes], reasons: set[Rejected]) -> None:
    with pytest.raises(WireError) as caught:
        read(with_value(value()))
    assert caught.value.reason in reasons


def test_a_frame_that_states_no_size_is_refused_in_words_and_not_as_2_to_the_64_bytes() -> None:
    stream = zstandard.ZstdCompressor(write_content_size=False).compressobj()
    value = stream.compress(b"[{}]") + stream.flush()
    with pytest.raises(WireError, match="does not state its content's size") as caught:
        read(with_value(value))
    assert caught.value.reason is Rejected.BAD_CONTENT
    assert "18446744073709551615" not in str(caught.value)


def test_one_bad_event_does_not_hide_its_neighbours() -> None:
    good = encode_event(EVENTS[0])
    found = wire.pack_events(
        KEY,
        agent="laptop-7",
        epoch="0" * 16,
        first_seq=100,
        events=[good, b'{"class_uid":1001}', good, good.replace(b"laptop-7", b"\xff\xfe")],
    )
    decoded = read(found)
    assert [event is not None for event in decoded.events] == [True, False, True, False]
    assert [(fault.index, fault.reason) for fault in decoded.faults] == [
        (1, Rejected.BAD_EVENT),
        (3, Rejected.NOT_UTF8),
    ]
    assert "seq 101" in decoded.faults[0].message


def test_too_many_records_for_a_request_are_refused() -> None:
    with pytest.raises(ValueError, match="1001 records"):
        wire.encode_request([record()] * 1001)
    with pytest.raises(WireError) as caught:
        wire.decode_request(msgspec.msgpack.encode([record()] * 1001))
    assert caught.value.reason is Rejected.OVERSIZED


@pytest.mark.parametrize("body", [b"", b"\x81", b"\x91\x91\x01", b"[1]"])
def test_a_request_that_is_no_array_of_records_is_refused(body: bytes) -> None:
    with pytest.raises(WireError) as caught:
        wire.decode_request(body)
    assert caught.value.reason is Rejected.BAD_CONTENT


def test_many_threads_pack_at_once_and_every_record_reads_back() -> None:
    key = Ed25519PrivateKey.generate()
    events = [b'{"n":%d,"text":"%s"}' % (number, b"abcdefgh" * 40) for number in range(100)]

    def pack(epoch: int) -> int:
        content = b"[" + b",".join(events) + b"]"
        for first in range(0, 4000, 100):
            record = pack_events(key, agent="a", epoch=f"{epoch:016x}", first_seq=first, events=events)
            assert unpack_content(record) == content
        return epoch

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(pack, range(8))) == list(range(8))


def test_a_message_that_quotes_an_endpoint_has_no_control_characters_and_an_end() -> None:
    hostile = b'{"class_uid":1001,"\\u001b]0;owned\\u0007\\u202e' + b"x" * 10_000 + b'":1}'
    # An undeclared field's name is quoted, whatever it is.
    record = pack_events(
        Ed25519PrivateKey.generate(), agent="a", epoch="0" * 16, first_seq=0, events=[hostile]
    )
    (fault,) = wire.decode_events(record).faults
    assert "\\x1b]0;owned\\x07\\u202exxx" in fault.message
    assert fault.message.isprintable()
    assert len(fault.message) < 700
    error = WireError(Rejected.BAD_CONTENT, "\x1b[2J" * 1000)
    assert str(error).startswith("\\x1b[2J\\x1b[2J")
    assert len(str(error)) <= 501
