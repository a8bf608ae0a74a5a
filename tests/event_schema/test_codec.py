"""Events to JSON and back; what is not an event is refused with the field's name."""

from __future__ import annotations

import msgspec
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_schema.codec import EVENT_BYTES_MAX, decode_event, encode_event
from event_schema.errors import SchemaError
from event_schema.ocsf_events import Event, FileSystemActivity
from event_schema.ocsf_network import MAIL_FILES_MAX, MAIL_RECIPIENTS_MAX
from event_schema.ocsf_objects import Executable, FileType, Process
from event_schema.ocsf_transfer_events import EmailActivity
from event_schema.printable import printable_name
from event_schema.short_paths import short_path
from event_schema.struct_base import NAME_CHARACTERS
from tests.event_schema.sample_events import EVIDENCE, FILE, sample_events


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


def renamed_by(path: bytes, program: bytes) -> FileSystemActivity:
    """A rename from and to the path, all else set."""
    event = next(e for e in sample_events() if isinstance(e, FileSystemActivity) and e.file_result)
    name, text = printable_name(path.rpartition(b"/")[2]), printable_name(path)
    file = msgspec.structs.replace(event.file, name=name, path=text)
    executable = Executable(
        name=printable_name(program.rpartition(b"/")[2]),
        type_id=FileType.REGULAR,
        path=printable_name(program),
    )
    process = Process(pid=1, name=executable.name[:NAME_CHARACTERS], file=executable, auid=1)
    actor = msgspec.structs.replace(event.actor, process=process)
    return msgspec.structs.replace(event, file=file, file_result=file, actor=actor)


def undecodable(length: int, name: bytes) -> bytes:
    """A path of folders with names as long as Linux has them."""
    folders = (b"/" + b"\xff" * 255) * 16
    return folders[: length - 1 - len(name)] + b"/" + name


def test_a_rename_with_the_longest_paths_that_linux_has_goes_whole() -> None:
    path = undecodable(4095, b"\xff" * 251 + b".csv")
    event = renamed_by(path, b"/usr/bin/mv")
    assert decode_event(encode_event(event)) == event


@pytest.mark.parametrize("length", [4095, 4095 + 256])
def test_an_event_too_large_with_whole_paths_keeps_their_beginnings_and_the_files_name(length: int) -> None:
    path = undecodable(length, b"\xff" * 251 + b".csv")
    event = renamed_by(path, path)
    assert len(orjson.dumps(msgspec.to_builtins(event))) > EVENT_BYTES_MAX
    read = decode_event(encode_event(event))
    assert isinstance(read, FileSystemActivity)
    assert read.file.name == event.file.name
    short, whole = read.file.path or "", event.file.path or ""
    beginning, mark, name = short.partition("/…/")
    assert (mark, name) == ("/…/", event.file.name)
    assert whole.startswith(beginning + "/")
    assert len(beginning) > 5000
    assert read.file_result == read.file
    assert read.unmapped.evidence.gap == f"{EVIDENCE.gap}; long paths shortened"


@given(st.text(alphabet="/ab字\\"), st.integers(8, 60))
def test_a_shortened_path_fits_and_ends_as_the_whole_one(path: str, characters: int) -> None:
    short = short_path(path, characters)
    assert len(short) <= characters
    if len(path) <= characters:
        assert short == path
    else:
        head, mark, tail = short.partition("…")
        assert mark
        assert path.startswith(head.removesuffix("/"))
        assert path.endswith(tail)


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


def test_a_mail_with_as_many_long_names_as_there_may_be_is_told_with_its_largest_attachments() -> None:
    mail = next(event for event in sample_events() if isinstance(event, EmailActivity))
    files = tuple(
        msgspec.structs.replace(
            FILE, name="\U00020000" * 251 + f"{n:04}", path=None, size=n, mime_type="\U00020000" * 512
        )
        for n in range(MAIL_FILES_MAX)
    )
    domains = tuple("*@" + f"{n:03}." + "d" * 251 for n in range(MAIL_RECIPIENTS_MAX))
    event = msgspec.structs.replace(mail, email=msgspec.structs.replace(mail.email, to=domains, files=files))
    read = decode_event(encode_event(event))
    assert isinstance(read, EmailActivity)
    sizes = [file.size for file in read.email.files or ()]
    assert sizes == list(range(MAIL_FILES_MAX - 1, MAIL_FILES_MAX - 1 - len(sizes), -1))
    assert len(sizes) == 32
    assert read.email.to == domains[:24]
    assert "only 24 domains and the 32 largest" in (read.unmapped.evidence.gap or "")
