"""Records as Kafka key, headers and value: nothing is lost on the way, and nothing else is let in."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_schema.kafka_headers import HEADERS, HeaderFault, from_kafka, to_kafka
from event_schema.wire import WireRecord

ASCII = st.characters(min_codepoint=33, max_codepoint=126)
NUMBERS = st.integers(0, 2**63 - 1)
RECORDS = st.builds(
    WireRecord,
    agent=st.text(ASCII, min_size=1, max_size=64),
    schema=st.text(ASCII, min_size=1, max_size=8),
    kind=st.text(ASCII, min_size=1, max_size=16),
    epoch=st.text(ASCII, min_size=1, max_size=16),
    first_seq=NUMBERS,
    count=NUMBERS,
    signature=st.binary(max_size=64),
    value=st.binary(max_size=200),
)
GOOD = WireRecord("pc-7", "1", "events", "0" * 16, 5, 2, b"s" * 64, b"value")


@given(RECORDS)
def test_a_record_comes_back_as_it_was(record: WireRecord) -> None:
    assert from_kafka(*to_kafka(record)) == record


@given(
    st.none() | st.binary(max_size=80),
    st.lists(st.tuples(st.sampled_from(HEADERS) | st.text(max_size=9), st.none() | st.binary(max_size=80))),
    st.none() | st.binary(max_size=80),
)
def test_whatever_lies_there_is_a_valid_record_or_a_fault(
    key: bytes | None, headers: list[tuple[str, bytes | None]], value: bytes | None
) -> None:
    try:
        record = from_kafka(key, headers, value)
    except HeaderFault as fault:
        assert str(fault)
    else:
        assert msgspec.convert(msgspec.to_builtins(record), WireRecord) == record


@given(st.dictionaries(st.sampled_from(HEADERS), st.binary(max_size=80), min_size=1), st.binary(max_size=80))
def test_a_changed_header_is_a_fault_or_still_a_valid_record(changes: dict[str, bytes], key: bytes) -> None:
    headers = [(name, changes.get(name, content)) for name, content in to_kafka(GOOD)[1]]
    try:
        record = from_kafka(key, headers, b"value")
    except HeaderFault as fault:
        assert any(name in str(fault) for name in (*changes, "key"))
    else:
        assert msgspec.convert(msgspec.to_builtins(record), WireRecord) == record


@pytest.mark.parametrize("name", HEADERS)
def test_a_missing_double_or_empty_handed_header_is_named(name: str) -> None:
    key, headers, value = to_kafka(GOOD)
    with pytest.raises(HeaderFault, match=f"header {name} is missing"):
        from_kafka(key, [header for header in headers if header[0] != name], value)
    with pytest.raises(HeaderFault, match=f"header {name} is there twice"):
        from_kafka(key, [*headers, (name, b"1")], value)
    without: list[tuple[str, bytes | None]] = [(n, None if n == name else c) for n, c in headers]
    with pytest.raises(HeaderFault, match=f"header {name} has no value"):
        from_kafka(key, without, value)


@pytest.mark.parametrize(
    "number",
    [b"", b"-1", b"+1", b" 1", b"1_0", b"1.0", b"0x1", "١".encode(), b"9223372036854775808", b"1" * 99],
)
def test_a_number_is_plain_decimal_below_2_to_the_63(number: bytes) -> None:
    key, headers, value = to_kafka(GOOD)
    changed = [(name, number if name == "count" else content) for name, content in headers]
    with pytest.raises(HeaderFault, match="header count is no decimal number"):
        from_kafka(key, changed, value)


def test_other_headers_are_let_pass_and_read_for_nothing() -> None:
    key, headers, value = to_kafka(GOOD)
    assert from_kafka(key, [("traceparent", b"\xff"), *headers, ("traceparent", None)], value) == GOOD


def test_a_value_over_the_limit_is_not_taken() -> None:
    key, headers, _ = to_kafka(GOOD)
    with pytest.raises(HeaderFault, match="value is 1048577 bytes, more than 1048576"):
        from_kafka(key, headers, bytes((1 << 20) + 1))
