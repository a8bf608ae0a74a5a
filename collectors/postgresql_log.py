"""PostgreSQL's own log, written as jsonlog or csvlog, and what pgaudit says in it. Pure.

jsonlog: one JSON object a line. csvlog: 26 columns from version 14 on (timestamp, user, database, pid,
"host:port", session id, …), which may hold ends of lines inside quotes. pgaudit's message:

    AUDIT: SESSION,statement,substatement,CLASS,COMMAND,TYPE,object,statement text,parameters[,rows]

in CSV too; rows stand there with pgaudit.log_rows, the object with pgaudit.log_relation.
"""

from __future__ import annotations

import csv
import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from collectors.database_statements import Session
from collectors.log_progress import LogProgress
from collectors.statement_reports import Hold

RECORD_BYTES_MAX: Final = 2 << 20
"""A longer line or record is read as far as that. It may take five times as much memory for a moment."""
_CSV_LINES_MAX: Final = 20_000
_CSV_COLUMNS: Final = 26
_CSV_BEGIN: Final = re.compile(rb"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} [^,\"\s]{1,10},")
_JSON_BEGIN: Final = b'{"timestamp":"'
_LOCAL: Final = "[local]"
_FIELD: Final = r'(?:"([^"]*+(?:""[^"]*+)*+)"|([^",]*+))'
_AUDIT: Final = re.compile(
    r"AUDIT: (SESSION|OBJECT),(\d+),(\d+),([A-Z]+),([A-Z ]*)," + f"{_FIELD},{_FIELD},", re.DOTALL
)
_REST: Final = re.compile(rf"{_FIELD},{_FIELD}(?:,(\d+))?", re.DOTALL)
_OFFSET: Final = re.compile(r"([+-])(\d\d)(?::?(\d\d))?")


class LogRecord(msgspec.Struct, frozen=True):
    """One entry. `is_cut`: its rest was too long to be read."""

    at_ms: int
    session: Session
    message: str
    query_id: int
    is_cut: bool = False


class AuditRecord(msgspec.Struct, frozen=True):
    """What pgaudit says. `text` is the statement with its literals: it must not leave this process."""

    statement_id: tuple[int, int]
    category: str
    command: str
    relation: str | None
    text: str
    rows: int | None
    is_cut: bool = False


class _JsonRecord(msgspec.Struct, frozen=True):
    timestamp: str
    session_id: str = ""
    message: str = ""
    user: str = ""
    dbname: str = ""
    remote_host: str | None = None
    remote_port: int | None = None
    application_name: str | None = None
    query_id: int = 0


_json: Final = msgspec.json.Decoder(_JsonRecord)
_ESCAPE_CHARACTERS: Final = 12
"""A line that is cut inside an escape, or a pair of them, is read without it."""


def json_record(line: bytes, zone: tzinfo | None, *, is_cut: bool = False) -> LogRecord | None:
    """None for what is no record. zone: of the log's times, where they do not tell; None is the machine's."""
    text = line.decode("utf-8", "replace")
    for less in range(_ESCAPE_CHARACTERS if is_cut else 1):
        try:
            found = _json.decode(f'{text[: len(text) - less]}"}}' if is_cut else text)
            at_ms = milliseconds(found.timestamp, zone)
        except (msgspec.DecodeError, ValueError, OverflowError):
            continue
        host = found.remote_host
        session = Session(
            uid=found.session_id,
            user=found.user,
            database=found.dbname,
            client=None if host == _LOCAL else host,
            port=None if host == _LOCAL else _port(found.remote_port),
            program=found.application_name,
        )
        return LogRecord(at_ms, session, found.message, found.query_id, is_cut)
    return None


class RecordReader:
    """Makes records of the log's lines. The lines of a record are held until its receiver releases them."""

    def __init__(self, is_csv: bool, zone: tzinfo | None) -> None:
        self._is_csv, self._zone = is_csv, zone
        self._lines: list[bytes] = []
        self._holds: list[Hold] = []
        self._size = 0
        self._is_inside = False
        self.unreadable = 0
        self.cut = 0

    def take(self, line: bytes, progress: LogProgress) -> tuple[LogRecord, tuple[Hold, ...]] | None:
        """The record that ends with the line that `progress` took last, if one does."""
        hold = Hold(progress, progress.line)
        if self._is_csv:
            return self._take_csv(line, hold)
        is_cut = len(line) >= RECORD_BYTES_MAX
        self.cut += is_cut
        record = json_record(line, self._zone, is_cut=is_cut)
        if record is None:
            self.unreadable += 1
            # A server that was killed leaves half a line, and the next one writes behind it.
            at = line.rfind(_JSON_BEGIN, 1)
            record = json_record(line[at:], self._zone) if at > 0 else None
        if record is None:
            return None
        progress.hold(progress.line)
        return record, (hold,)

    def _take_csv(self, line: bytes, hold: Hold) -> tuple[LogRecord, tuple[Hold, ...]] | None:
        if not self._lines and not _CSV_BEGIN.match(line):
            # The rest of what was cut, or of a record whose beginning we did not see.
            self.unreadable += 1
            return None
        hold.progress.hold(hold.line)
        self._is_inside ^= line.count(b'"') % 2 == 1
        self._lines.append(line)
        self._holds.append(hold)
        self._size += len(line) + 1
        is_too_long = self._size > RECORD_BYTES_MAX or len(self._lines) > _CSV_LINES_MAX
        if self._is_inside and not is_too_long:
            return None
        text = b"\n".join(self._lines)[:RECORD_BYTES_MAX]
        holds = tuple(self._holds)
        is_cut, self._is_inside = self._is_inside, False
        self._lines, self._holds, self._size = [], [], 0
        self.cut += is_cut
        record = csv_record(text, self._zone, is_cut=is_cut)
        if record is None:
            self.unreadable += 1
            for progress, number in holds:
                progress.release(number)
            return None
        # One line stands for all of a record: they are read again together.
        for progress, number in holds[1:]:
            progress.release(number)
        return record, holds[:1]


def csv_record(text: bytes, zone: tzinfo | None, *, is_cut: bool) -> LogRecord | None:
    csv.field_size_limit(2 * RECORD_BYTES_MAX)
    try:
        (fields,) = csv.reader([text.decode("utf-8", "replace")], strict=False)
        at_ms = milliseconds(fields[0], zone)
        message = fields[13]
        query_id = 0 if is_cut else int(fields[25])
    except (csv.Error, ValueError, IndexError, OverflowError):
        return None
    host, _, port = fields[4].rpartition(":")
    is_local = fields[4] == _LOCAL or not host
    session = Session(
        uid=fields[5],
        user=fields[1],
        database=fields[2],
        client=None if is_local else host,
        port=None if is_local or not port.isdigit() else _port(int(port)),
        program=None if is_cut else fields[22],
    )
    return LogRecord(at_ms, session, message, query_id, is_cut)


def audit_record(message: str, *, is_cut: bool = False) -> AuditRecord | None:
    """None where pgaudit did not say it."""
    begins = _AUDIT.match(message)
    if begins is None:
        return None
    relation = begins.group(8) or begins.group(9)
    facts = (int(begins.group(2)), int(begins.group(3)))
    category, command = begins.group(4), begins.group(5)
    rest = None if is_cut else _REST.fullmatch(message, begins.end())
    if rest is None:
        text = message[begins.end() :].removeprefix('"').replace('""', '"')
        return AuditRecord(facts, category, command, relation or None, text, None, is_cut=True)
    quoted, plain = rest.group(1), rest.group(2)
    text = plain if quoted is None else quoted.replace('""', '"')
    rows = rest.group(5)
    return AuditRecord(facts, category, command, relation or None, text, None if rows is None else int(rows))


def milliseconds(stamp: str, zone: tzinfo | None) -> int:
    """Of "2026-11-22 01:57:43.974 CST": since 1970 UTC. Raises ValueError."""
    time, _, name = stamp.rpartition(" ")
    naive = datetime.fromisoformat(time)
    offset = _OFFSET.fullmatch(name)
    if name in {"UTC", "GMT"}:
        zone = UTC
    elif offset is not None:
        away = timedelta(hours=int(offset.group(2)), minutes=int(offset.group(3) or 0))
        zone = timezone(away if offset.group(1) == "+" else -away)
    at = naive.astimezone() if zone is None else naive.replace(tzinfo=zone)
    return max(0, round(at.timestamp() * 1000))


def zone_of(name: str) -> tzinfo | None:
    """The named time zone; None for the machine's own, which the empty name is. Raises ValueError."""
    if not name:
        return None
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(f"log_time_zone: there is no time zone {name!r}") from error


def _port(port: int | None) -> int | None:
    return port if port is not None and 0 <= port <= 65535 else None
