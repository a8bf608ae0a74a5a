"""Events to JSON and back; what is not an event is refused with the field's name."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_schema.codec import EVENT_BYTES_MAX, decode_event, encode_event
from event_schema.errors import SchemaError
from event_schema.ocsf_events import Event, FileSystemActivity
from event_schema.ocsf_objects import File, FileType
from event_schema.printable import printable_name
from tests.event_schema.sample_events import FILE, sample_events


@pytest.mark.parametrize("event", sample_events(), ids=lambda e: str(e.type_uid))
def test_an_event_comes_back_equal_and_encodes_the_same_again(event: Event) -> None:
    data = encode_event(event)
    assert decode_event(data) == event
    assert encode_event(decode_event(data)) == data


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"type_uid": 100199}, "type_uid"),
        ({"activity_id": 77}, "activity_id"),
        ({"severity_id": 6}, "severity_id"),
        ({"time": -1}, "time"),
        ({"time": "now"}, "time"),
        ({"cmd_line": "cp a b"}, "cmd_line"),
        ({"actor": {}}, "actor"),
        ({"file": {"name": "x", "type_id": 1, "content": "secret"}}, "content"),
        ({"file": {"name": "x" * 20_000, "type_id": 1}}, "file.name"),
        ({"class_uid": 9999}, "class_uid"),
    ],
)
def test_a_wrong_field_is_named(change: dict[str, object], said: str) -> None:
    plain = orjson.loads(encode_event(sample_events()[0])) | change
    with pytest.raises(SchemaError, match=said):
        decode_event(orjson.dumps(plain))


def test_bytes_that_are_not_utf8_are_refused_with_the_place() -> None:
    data = encode_event(sample_events()[0]).replace(b"laptop-7", b"lapt\xff\xfe-7")
    with pytest.raises(SchemaError, match="UTF-8"):
        decode_event(data)


def test_an_event_over_the_limit_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(SchemaError, match=str(EVENT_BYTES_MAX)):
        decode_event(b" " * (EVENT_BYTES_MAX + 1))


def test_the_longest_paths_that_linux_has_fit_into_an_event() -> None:
    path = printable_name(b"\xff" * 4096)
    longest = File(name=printable_name(b"\xff" * 255), type_id=FileType.REGULAR, path=path)
    event = sample_events()[3]
    assert isinstance(event, FileSystemActivity)
    plain = orjson.loads(encode_event(event))
    as_json = {"name": longest.name, "type_id": 1, "path": longest.path}
    data = orjson.dumps(plain | {"file": as_json, "file_result": as_json})
    assert decode_event(data).device == event.device
    assert FILE.path is not None


@given(st.binary(max_size=300))
def test_any_file_name_becomes_text_that_json_can_carry(name: bytes) -> None:
    text = printable_name(name.replace(b"\0", b""))
    assert text.isprintable()
    assert orjson.loads(orjson.dumps(text)) == text


@given(st.text(alphabet=st.characters(), max_size=100))
def test_any_text_even_with_lone_surrogates_becomes_text_that_json_can_carry(text: str) -> None:
    printable = printable_name(text)
    assert printable.isprintable()
    assert orjson.loads(orjson.dumps(printable)) == printable


@given(st.text(alphabet=st.characters(categories=["L", "N"]), max_size=50))
def test_a_readable_name_stays_as_it_is(name: str) -> None:
    assert printable_name(name) == name
