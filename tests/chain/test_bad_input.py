"""Bad records through the whole chain: real HTTPS, real log, real pipeline, all running.

Each is set aside with a message that names the place, or refused with an answer that says why; the good
records around it are stored, and nothing stops.
"""

from __future__ import annotations

import sqlite3
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import httpx
import msgspec
import pytest
import zstandard

from event_schema import wire
from event_schema.codec import encode_event
from event_schema.ocsf_events import Event
from event_schema.request_signing import RECORDS_CONTENT_TYPE, sign_request
from event_schema.wire import WireRecord
from tests.chain.conftest import LEAVER, people_file
from tests.chain.stored import taken_in
from tests.server.pipeline.endpoint import Endpoint, copied_file
from tests.server.up.enrolled_agent import EnrolledAgent
from tests.server.up.up_process import UpProcess, leaver, leaver_json

HOUR = 3_600_000


def _now() -> int:
    return time.time_ns() // 1_000_000


def _file(name: str, *, later: int = 0, account: str = "bob") -> Event:
    return copied_file(_now() + later, name=name, account=account)


def _signed(endpoint: Endpoint, record: WireRecord, **changes: object) -> WireRecord:
    """The agent itself says this: only the change is at fault, the signature is right."""
    new = msgspec.structs.replace(record, **changes)
    signed = wire._signed_bytes(new.agent, new.kind, new.epoch, new.first_seq, new.count, new.value)
    return msgspec.structs.replace(new, signature=endpoint.key.sign(signed))


def _with_content(endpoint: Endpoint, content: bytes) -> WireRecord:
    return _with_value(endpoint, zstandard.compress(content))


def _with_value(endpoint: Endpoint, value: bytes) -> WireRecord:
    return _signed(endpoint, endpoint.record([_file("bad")]), value=value)


def _small_claim_bomb() -> bytes:
    """A frame that says it holds 1,000 bytes; its 8,000 run-length blocks hold 1 GB."""
    size, blocks = 128 * 1024, 8000
    header = b"\x28\xb5\x2f\xfd" + bytes([2 << 6, 13 << 3]) + struct.pack("<I", 1000)
    body = [struct.pack("<I", size << 3 | 1 << 1 | (i == blocks - 1))[:3] + b" " for i in range(blocks)]
    return header + b"".join(body)


def truncated(endpoint: Endpoint) -> WireRecord:
    record = endpoint.record([_file("bad")])
    return _signed(endpoint, record, value=record.value[:-20])


def empty(endpoint: Endpoint) -> WireRecord:
    return _with_value(endpoint, b"")


def bomb(endpoint: Endpoint) -> WireRecord:
    return _with_content(endpoint, b" " * (256 << 20))


def bomb_that_says_it_is_small(endpoint: Endpoint) -> WireRecord:
    return _with_value(endpoint, _small_claim_bomb())


def oversized_content(endpoint: Endpoint) -> WireRecord:
    return _with_content(endpoint, b" " * (wire.CONTENT_BYTES_MAX + 1))


def oversized_event(endpoint: Endpoint) -> WireRecord:
    event = encode_event(_file("bad")).replace(b"bad", b"x" * 70_000)
    return endpoint.raw_record([event])


def wrongly_signed(endpoint: Endpoint) -> WireRecord:
    return msgspec.structs.replace(endpoint.record([_file("bad")]), signature=bytes(64))


def signed_for_other_numbers(endpoint: Endpoint) -> WireRecord:
    return msgspec.structs.replace(endpoint.record([_file("bad")]), first_seq=500)


def wrong_schema(endpoint: Endpoint) -> WireRecord:
    return _signed(endpoint, endpoint.record([_file("bad")]), schema="2")


def wrong_kind(endpoint: Endpoint) -> WireRecord:
    return _signed(endpoint, endpoint.record([_file("bad")]), kind="rumour")


def wrong_count(endpoint: Endpoint) -> WireRecord:
    return _signed(endpoint, endpoint.record([_file("bad")]), count=3)


def undeclared_field(endpoint: Endpoint) -> WireRecord:
    event = encode_event(_file("bad")).replace(b'{"class_uid"', b'{"cmd_line":"scp x","class_uid"')
    return endpoint.raw_record([event])


def event_class_of_nobody(endpoint: Endpoint) -> WireRecord:
    return endpoint.raw_record([b'{"class_uid":9999}'])


def not_utf8(endpoint: Endpoint) -> WireRecord:
    return endpoint.raw_record([encode_event(_file("bad")).replace(b"bad", b"\xc4\xe3")])


def no_json(endpoint: Endpoint) -> WireRecord:
    return _with_content(endpoint, b"\xff\xfe[not json")


def future_dated(endpoint: Endpoint) -> WireRecord:
    return endpoint.record([_file("bad", later=2 * HOUR)])


WHOLE = -1
CASES: list[tuple[Callable[[Endpoint], WireRecord], int, str, str]] = [
    (truncated, WHOLE, "truncated", "value ends after"),
    (empty, WHOLE, "truncated", "value is no zstd frame"),
    (bomb, WHOLE, "oversized", "value says it holds 268435456 bytes, more than 4194304"),
    (bomb_that_says_it_is_small, WHOLE, "bad_content", "value does not decompress"),
    (oversized_content, WHOLE, "oversized", "value says it holds 4194305 bytes"),
    (oversized_event, 0, "bad_event", "event 0 of 1 (seq 1): event is 1406"),
    (wrongly_signed, WHOLE, "bad_signature", "on records from 1 is wrong"),
    (signed_for_other_numbers, WHOLE, "bad_signature", "on records from 500 is wrong"),
    (wrong_schema, WHOLE, "wrong_schema", "header schema is '2', not '1'"),
    (wrong_kind, WHOLE, "bad_header", "header kind 'rumour' is unknown"),
    (wrong_count, WHOLE, "count_mismatch", "header says 3 events, content holds 1"),
    (
        undeclared_field,
        0,
        "bad_event",
        "event 0 of 1 (seq 1): event: Object contains unknown field `cmd_line`",
    ),
    (event_class_of_nobody, 0, "bad_event", "Invalid value 9999 - at `$.class_uid`"),
    (not_utf8, 0, "not_utf8", "event 0 of 1 (seq 1): event is not UTF-8 at byte"),
    (no_json, WHOLE, "bad_content", "content is no JSON array"),
    (future_dated, 0, "future_dated", "event 0 (seq 1) is 7"),
]


@pytest.mark.parametrize(
    ("bad", "event_index", "reason", "words"), CASES, ids=[case[0].__name__ for case in CASES]
)
def test_a_bad_record_is_set_aside_with_its_place_and_its_neighbours_are_stored(
    running: UpProcess,
    client: httpx.Client,
    bad: Callable[[Endpoint], WireRecord],
    event_index: int,
    reason: str,
    words: str,
) -> None:
    agent = EnrolledAgent(client, running.data, bad.__name__.replace("_", "-"))
    before = agent.endpoint.record([_file("before")])
    wrong = bad(agent.endpoint)
    after = agent.endpoint.record([_file("after")])
    assert agent.send([before, wrong, after]).status_code == 200
    found = taken_in(running.data, agent.endpoint.name)
    assert found.reasons == [(event_index, reason)]
    assert words in found.dead[0]["message"]
    assert found.files == {0: "before", 2: "after"}
    kept = wrong.value if event_index == WHOLE else found.dead[0]["data"]
    assert found.dead[0]["size"] >= len(found.dead[0]["data"])
    assert found.dead[0]["data"] == kept[: 64 * 1024]
    if event_index == WHOLE:
        # Its number is missing: that is a finding about the agent, too.
        assert found.findings["gap"][:2] == (
            f"events 1 to 1 of epoch {agent.endpoint.epoch} never came",
            1,
        )
    else:
        assert found.accounted == "0-2"


def test_bad_events_inside_a_record_leave_their_neighbours_in_it_untouched(
    running: UpProcess, client: httpx.Client
) -> None:
    agent = EnrolledAgent(client, running.data, "mixed")
    good = [encode_event(_file(f"good-{n}")) for n in range(3)]
    record = agent.endpoint.raw_record(
        [
            good[0],
            good[1].replace(b"good-1", b"\xff\xfe"),
            b'{"class_uid":1001}',
            encode_event(_file("early", later=HOUR)),
            good[2],
        ]
    )
    assert agent.send([record]).status_code == 200
    found = taken_in(running.data, "mixed")
    assert found.reasons == [(1, "not_utf8"), (2, "bad_event"), (3, "future_dated")]
    assert found.files == {0: "good-0", 4: "good-2"}
    assert (found.accounted, found.duplicates) == ("0-4", 0)
    # A record that is sent again brings neither its events nor its dead letters again.
    assert agent.send([record]).status_code == 200
    again = taken_in(running.data, "mixed")
    assert (again.files, again.duplicates) == (found.files, 5)


def test_duplicated_records_count_once(running: UpProcess, client: httpx.Client) -> None:
    agent = EnrolledAgent(client, running.data, "duplicated")
    first, second = (agent.endpoint.record([_file(f"{n}-{i}") for i in range(3)]) for n in range(2))
    assert agent.send([first, first, second]).status_code == 200
    assert agent.send([second]).status_code == 200
    found = taken_in(running.data, "duplicated")
    assert sorted(found.files) == list(range(6))
    assert (found.accounted, found.duplicates, found.dead, found.findings) == ("0-5", 6, (), {})


def test_reordered_records_are_all_stored_and_the_gap_between_is_resolved(
    running: UpProcess, client: httpx.Client
) -> None:
    agent = EnrolledAgent(client, running.data, "reordered")
    records = [agent.endpoint.record([_file(f"file-{n}")]) for n in range(4)]
    assert agent.send([records[2], records[0]]).status_code == 200
    found = taken_in(running.data, "reordered")
    assert found.findings["gap"][1:] == (1, False)
    assert agent.send([records[3], records[1]]).status_code == 200
    found = taken_in(running.data, "reordered")
    assert found.files == {n: f"file-{n}" for n in range(4)}
    assert found.accounted == "0-3"
    assert found.findings["gap"][2]
    assert found.dead == ()


def test_a_gap_is_a_finding_that_names_the_missing_numbers(running: UpProcess, client: httpx.Client) -> None:
    agent = EnrolledAgent(client, running.data, "gapped")
    assert agent.send_events([_file("first")]).status_code == 200
    agent.endpoint.next_seq = 8
    assert agent.send_events([_file("last")]).status_code == 200
    found = taken_in(running.data, "gapped")
    assert found.files == {0: "first", 8: "last"}
    assert found.findings["gap"] == (f"events 1 to 7 of epoch {agent.endpoint.epoch} never came", 7, False)
    assert found.dead == ()


def test_a_damaged_row_of_the_log_is_set_aside_by_its_offset_and_the_next_one_is_read(
    running: UpProcess, client: httpx.Client
) -> None:
    agent = EnrolledAgent(client, running.data, "damaged")
    assert agent.send_events([_file("before")]).status_code == 200
    with closing(sqlite3.connect(running.data / "log.db", isolation_level=None)) as log:
        log.execute("BEGIN IMMEDIATE")
        (offset,) = log.execute("SELECT next_offset FROM bounds").fetchone()
        log.execute("INSERT INTO records VALUES (?, ?, ?)", (offset, _now(), b"\x98\xa7damaged"))
        log.execute("UPDATE bounds SET next_offset = ?", (offset + 1,))
        log.execute("COMMIT")
    assert agent.send_events([_file("after")]).status_code == 200
    found = taken_in(running.data, "damaged")
    assert (found.files, found.accounted) == ({0: "before", 1: "after"}, "0-1")
    listed = leaver_json("dead-letters", "list", "--limit", "1", data=running.data)
    (letter,) = listed["dead_letters"]
    assert (letter["offset"], letter["agent"], letter["reason"]) == (offset, None, "bad_header")
    assert f"row {offset} of the embedded log is no record" in letter["message"]


def _body_refusals(agent: EnrolledAgent) -> Iterator[tuple[bytes, int, str]]:
    good = wire.encode_request([agent.endpoint.record([_file("never")])])
    yield good[:-30], 400, "bad_content"
    yield b'[{"not": "MessagePack"}]', 400, "bad_content"
    yield msgspec.msgpack.encode([["only", "three", "fields"]]), 400, "bad_content"
    too_long = msgspec.structs.replace(
        agent.endpoint.record([_file("never")]), value=bytes(wire.VALUE_BYTES_MAX + 1)
    )
    yield msgspec.msgpack.encode([too_long]), 400, "bad_content"
    not_utf8 = wire.encode_request([agent.endpoint.record([_file("never")])])
    yield (
        not_utf8.replace(agent.endpoint.name.encode(), b"\xff" * len(agent.endpoint.name)),
        400,
        "bad_content",
    )
    yield wire.encode_request([Endpoint("another").record([_file("never")])]), 400, "wrong_agent"
    yield bytes(wire.REQUEST_BYTES_MAX + 1), 413, "oversized"


def test_a_body_that_cannot_be_read_is_refused_with_a_reason_and_the_next_one_is_taken(
    running: UpProcess, client: httpx.Client
) -> None:
    agent = EnrolledAgent(client, running.data, "bodies")
    for body, status, reason in _body_refusals(agent):
        headers = sign_request(
            agent.endpoint.key, agent="bodies", method="POST", path="/v1/records", body=body
        )
        answer = client.post(
            "/v1/records", content=body, headers=headers | {"content-type": RECORDS_CONTENT_TYPE}
        )
        assert (answer.status_code, answer.json()["reason"]) == (status, reason), answer.text
        assert len(answer.json()["error"]) > 20
    agent.endpoint.next_seq = 0
    assert agent.send_events([_file("good")]).status_code == 200
    found = taken_in(running.data, "bodies")
    assert (found.files, found.dead, found.findings) == ({0: "good"}, (), {})


def test_a_request_signed_with_another_key_is_refused_and_nothing_of_it_is_kept(
    running: UpProcess, client: httpx.Client
) -> None:
    agent = EnrolledAgent(client, running.data, "wrong-key")
    key = agent.endpoint.key
    agent.endpoint.key = Endpoint().key
    refused = agent.send_events([_file("forged")])
    assert (refused.status_code, refused.json()["reason"]) == (401, "unauthorised")
    agent.endpoint.key, agent.endpoint.next_seq = key, 0
    assert agent.send_events([_file("true")]).status_code == 200
    found = taken_in(running.data, "wrong-key")
    assert (found.files, found.dead) == ({0: "true"}, ())


def test_a_people_file_with_duplicate_ids_and_impossible_dates_is_reported_by_row_and_the_rest_is_in(
    running: UpProcess, tmp_path: Path
) -> None:
    people = tmp_path / "hr.csv"
    rows = "E3,Cy,cy,,,2026-02-30,\nE4,Di,di,,,,\nE4,Dup,dup,,,,\nE5,Ed,ed,,,,\n"
    text = "id,name,accounts,department,time zone,notice date,last working day\n" + rows
    people.write_bytes(b"\xef\xbb\xbf" + text.encode())
    done = leaver("people", "import", "--yes", "--skip-bad-rows", str(people), data=running.data)
    assert done.returncode == 3
    assert "2026-02-30" in done.stdout
    assert "line 3" in done.stdout
    known = {person["id"] for person in leaver_json("people", "list", data=running.data)}
    assert {"E1", "E2", "E4", "E5"} <= known
    assert "E3" not in known


def test_after_all_of_it_nothing_was_restarted_and_a_leavers_copy_gives_an_alert(
    running: UpProcess, client: httpx.Client
) -> None:
    agent = EnrolledAgent(client, running.data, "witness")
    assert people_file().count(LEAVER) == 1
    assert agent.send_events([_file("customers.csv", account=LEAVER)]).status_code == 200
    taken_in(running.data, "witness")
    listed = leaver_json("alerts", "list", data=running.data)
    alerts = listed["alerts"] if isinstance(listed, dict) else listed
    assert [alert["events"] for alert in alerts] == [1]
    status = leaver_json("status", data=running.data)
    assert {part["restarts"] for part in status["process"]["parts"].values()} == {0}
    assert running.errors == []
