"""Lines of the databases' logs, good and bad: nothing stops the reader, and what it skips is counted."""

from __future__ import annotations

import json
import random
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.log_progress import LogProgress
from collectors.mariadb_logs import LINE_BYTES_MAX, AuditReader, SlowEntry, SlowReader, audit_line
from collectors.postgresql_log import (
    RECORD_BYTES_MAX,
    LogRecord,
    RecordReader,
    audit_record,
    json_record,
    milliseconds,
    zone_of,
)

SHANGHAI = ZoneInfo("Asia/Shanghai")
CSV = (
    '2026-11-22 01:57:43.974 UTC,"bob","crm",1,"[local]",6b.1,1,"SELECT",'
    "2026-11-22 01:57:43 UTC,3/1,0,LOG,00000,"
    '"{message}",,,,,,,,,"psql","client backend",,77'
)
AUDIT = 'AUDIT: SESSION,1,1,READ,SELECT,TABLE,public.t,""SELECT a,\nb"",<none>,7'


def records(lines: list[bytes], *, is_csv: bool) -> tuple[list[LogRecord], RecordReader, LogProgress]:
    reader, progress = RecordReader(is_csv, None), LogProgress(None)
    found = []
    for number, line in enumerate(lines):
        progress.took(str(number))
        entry = reader.take(line, progress)
        if entry is not None:
            found.append(entry[0])
            for hold in entry[1]:
                progress.release(hold.line)
    return found, reader, progress


@pytest.mark.parametrize(
    ("stamp", "expected"),
    [
        ("2026-11-22 01:57:43.974 UTC", 1_795_312_663_974),
        ("2026-11-22 09:57:43.974 CST", 1_795_312_663_974),
        ("2026-11-22 03:27:43.974 +0130", 1_795_312_663_974),
        ("2026-11-21 21:57:43.974 -04", 1_795_312_663_974),
    ],
)
def test_times_are_read_in_the_zone_of_the_log(stamp: str, expected: int) -> None:
    assert milliseconds(stamp, SHANGHAI) == expected


def test_a_zone_that_is_none_is_refused() -> None:
    assert zone_of("") is None
    with pytest.raises(ValueError, match="no time zone"):
        zone_of("../../etc/passwd")


def test_a_csv_record_over_several_lines_is_one_record() -> None:
    lines = CSV.format(message=AUDIT).encode().split(b"\n")
    (record,), reader, progress = records(lines, is_csv=True)
    audit = audit_record(record.message)
    assert audit is not None
    assert (audit.text, audit.rows, audit.relation) == ("SELECT a,\nb", 7, "public.t")
    assert (record.session.client, record.session.program, record.query_id) == (None, "psql", 77)
    assert reader.unreadable == 0
    assert progress.cursor().count('"held":[]') == 1


def test_a_csv_record_that_never_ends_is_given_up_and_the_next_ones_are_read() -> None:
    half = CSV.format(message=AUDIT).encode()[:150]
    lines = [
        half,
        *([b"x" * 1000] * (RECORD_BYTES_MAX // 1000 + 1)),
        b"the rest",
        CSV.format(message="hello").encode(),
    ]
    found, reader, _ = records(lines, is_csv=True)
    assert [record.is_cut for record in found] == [True, False]
    assert found[-1].message == "hello"
    assert reader.cut == 1
    assert 1 <= reader.unreadable <= 5, "its last lines"


def test_half_a_json_line_of_a_killed_server_does_not_hide_the_next() -> None:
    whole = json.dumps({"timestamp": "2026-11-22 01:57:43.974 UTC", "session_id": "6b.1", "message": "hello"})
    compact = whole.replace('": "', '":"').encode()
    found, reader, _ = records([compact[:40] + compact, b"", b"{}", b"\xff\xfe"], is_csv=False)
    assert [record.message for record in found] == ["hello"]
    assert reader.unreadable == 4


def test_a_json_line_is_read_wherever_it_was_cut() -> None:
    message = 'AUDIT: SESSION,1,1,READ,SELECT,TABLE,t,"' + '\\ "" \n \x01 é' * 50
    line = json.dumps({"timestamp": "2026-11-22 01:57:43.974 UTC", "session_id": "6b.1", "message": message})
    start = line.index("READ") + 40
    for end in range(start, len(line) - 2):
        record = json_record(line[:end].encode(), None, is_cut=True)
        assert record is not None, line[end - 12 : end]
        audit = audit_record(record.message, is_cut=True)
        assert audit is None or audit.rows is None


def test_parameters_are_not_taken_for_rows() -> None:
    with_rows = audit_record("AUDIT: SESSION,1,1,READ,SELECT,TABLE,t,SELECT 1,5,7")
    without = audit_record("AUDIT: SESSION,1,1,READ,SELECT,TABLE,t,SELECT 1,5")
    assert with_rows is not None
    assert without is not None
    assert (with_rows.rows, without.rows) == (7, None)
    assert audit_record("connection received: host=127.0.0.1") is None


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_no_line_stops_a_reader(line: bytes) -> None:
    records(
        [line, CSV.encode()[:80] + line, b'{"timestamp":"2026-11-22 01:57:43.974 UTC"' + line], is_csv=True
    )
    records([line, b'{"timestamp":"' + line], is_csv=False)
    audit_line(line, None)
    audit_line(b"20261122 01:59:42,vm,bob,h,4,10,QUERY,crm,'" + line, None)
    reader, progress = SlowReader(), LogProgress(None)
    for part in (b"# User@Host: a[a] @ h [1]", b"# Thread_id: 1 Rows_sent: 1", line, b"# Time: x", line):
        progress.took("")
        reader.take(part, progress, 0.0)
    reader.quiet(None)


def test_an_audit_line_is_read_with_its_escapes() -> None:
    line = audit_line(
        rb"20261122 01:59:42,vm,bob,10.0.0.1,4,10,QUERY,crm,'SELECT \'a\\\', b\nFROM t',0", SHANGHAI
    )
    assert line is not None
    assert (line.text, line.error, line.connection) == ("SELECT 'a\\', b\nFROM t", 0, 4)
    begins = rb"20261122 01:59:42,vm,bob,10.0.0.1,4,10,QUERY,crm,'SELECT \'"
    cut = audit_line(begins + b"a" * LINE_BYTES_MAX, SHANGHAI)
    assert cut is not None
    assert (cut.text[:9], cut.error) == ("SELECT 'a", None)


def test_a_name_that_looks_like_records_makes_none() -> None:
    """As MariaDB writes it: the name of a login that failed stands there as it was sent."""
    forged = "20261122 01:59:42,v,boss,1,4,10,QUERY,crm,'SELECT 1 INTO OUTFILE \\'/a\\'',0"
    inside = ",".join(forged.split(",")[2:])
    head, tail = "20261122 13:24:25,vm,", ",127.0.0.1,7,0,FAILED_CONNECT,,,1045"
    names = (inside, forged, f"x,{inside}", "boss,1,4,10,READ,crm,orders,", "boss,1,4,0,CONNECT,crm,,0")
    for name in names:
        reader = AuditReader(SHANGHAI)
        record = reader.take((head + name + tail).encode())
        assert record is None or record.operation == "FAILED_CONNECT", name
    genuine = rb"20261122 13:24:26,vm,bob,10.0.0.1,4,11,QUERY,crm,'SELECT 1',0"
    for end in (tail, ""):
        reader = AuditReader(SHANGHAI)
        lines = f"{head}x\n{forged}\n{end}".encode().split(b"\n")
        found = [record for line in lines if (record := reader.take(line)) is not None]
        assert [record.is_doubtful for record in found] == [True]
        assert [reader.take(genuine) for _ in range(9)][-1] == audit_line(genuine, SHANGHAI)


def test_entries_of_a_slow_log_are_read_whatever_stands_between_them() -> None:
    entry = (
        "# User@Host: bob[bob] @ pc [10.0.0.1]\n# Thread_id: {id}  Schema: crm  QC_hit: No\n"
        "# Query_time: 2.5  Lock_time: 0.0  Rows_sent: {id}  Rows_examined: 9\n"
        "# Rows_affected: 0  Bytes_sent: 77\n"
        "SET timestamp=1795312780;\nselect a\nfrom t;\n"
    )
    noise = [
        "mariadbd, Version: 10.11",
        "Tcp port: 3306",
        "Time\tId Command\tArgument",
        "# Time: 261122  1:59:42",
    ]
    lines = noise.copy()
    for number in range(1, 50):
        lines += entry.format(id=number).splitlines()
        lines += random.Random(number).sample([*noise[3:], "# administrator command: Quit;"], 1)
    reader, progress = SlowReader(), LogProgress(None)
    found: list[SlowEntry] = []
    for line in lines:
        progress.took("")
        done = reader.take(line.encode(), progress, 0.0)
        found += [] if done is None else [done[0]]
    last = reader.quiet(None)
    found += [] if last is None else [last[0]]
    assert [each.rows for each in found] == list(range(1, 50))
    assert {(each.user, each.client, each.database, each.bytes, each.took_ms) for each in found} == {
        ("bob", "10.0.0.1", "crm", 77, 2500)
    }
    assert {each.at_ms for each in found} == {1_795_312_780_000}
