r"""The two logs of MariaDB (and MySQL) that tell what was read. Pure.

server_audit, one line a record, local time, `\n`, `\t`, `\'`, `\\` … inside the quotes:

    20261122 01:59:42,host,user,client,connection,query,READ,database,table,
    20261122 01:59:42,host,user,client,connection,query,QUERY,database,'statement',error

A user's name stands there as the client sent it, also of a login that failed: with commas and ends of lines
in it (128 characters) it looks like records of others. So a record must be whole from its first to its last
sign, and what follows a broken one closely is `is_doubtful`.

Slow query log, several lines an entry; the statement stands there as it was sent, with its ends of lines, so
that whoever sends one can write lines that look like another entry:

    # User@Host: user[user] @ host [address]
    # Thread_id: 4  Schema: crm  QC_hit: No
    # Query_time: 0.07  Lock_time: 0.00  Rows_sent: 200000  Rows_examined: 200000
    # Rows_affected: 0  Bytes_sent: 16555884
    SET timestamp=1795312782;
    SELECT * FROM customers;
"""

from __future__ import annotations

import re
from datetime import datetime, tzinfo
from functools import lru_cache
from typing import Final

import msgspec

from collectors.log_progress import LogProgress
from collectors.sql_tokens import STATEMENT_CHARACTERS_MAX
from collectors.statement_reports import Hold

LINE_BYTES_MAX: Final = 1 << 20
QUIET_S: Final = 0.3
"""An entry of the slow log is over when the next begins, or nothing more came for so long."""
_AUDIT: Final = re.compile(
    r"(\d{8} [ \d]?\d:\d\d:\d\d),([^,]*),([^,]*),([^,]*),(\d{1,19}),(\d{1,19}),([A-Z_]+),(.*)", re.DOTALL
)
_QUERY: Final = re.compile(r"([^,]*),'(.*)',(\d{1,9})", re.DOTALL)
_CUT_QUERY: Final = re.compile(r"([^,]*),'(.*)", re.DOTALL)
_READ: Final = re.compile(r"([^,]*),([^,]*),")
_SESSION: Final = re.compile(r"[^,]*,,\d{1,9}")
_BROKEN: Final = re.compile(rb"\d{8} [ \d]?\d:\d\d:\d\d,")
_DOUBTFUL_BYTES: Final = 512
_MAYBE_CUT: Final = 1_000
"""server_audit_query_log_limit is 1024 by itself, and what is cut does not show it."""
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "b": "\b", "Z": "\x1a"}
_NUMBERS: Final = re.compile(r"([A-Z][A-Za-z_]+): ([\d.]+)")
_WHO: Final = re.compile(r"# User@Host: (.*?)\[(.*?)\] @ +(\S*) *\[(.*?)\](?: +Id: +(\d+))?")
_SCHEMA: Final = re.compile(r" Schema: (\S*)(?:  |$)")
_TIMESTAMP: Final = re.compile(r"SET timestamp=(\d{1,12})(?:\.\d+)?;")
_USE: Final = re.compile(r"use (?:`([^`]+)`|(\S+));")


class AuditLine(msgspec.Struct, frozen=True):
    """`text` is the statement of a QUERY, with its literals: it must not leave this process."""

    at_ms: int
    user: str
    client: str
    connection: int
    query: int
    operation: str
    database: str
    table: str = ""
    text: str = ""
    error: int | None = None
    """None where the line was cut."""
    may_be_cut: bool = False
    is_doubtful: bool = False
    """Whoever may try to log in may have written it."""


class SlowEntry(msgspec.Struct, frozen=True):
    """`at_ms` is when the statement began, or 0. `text` as in AuditLine."""

    at_ms: int
    took_ms: int
    user: str
    client: str
    connection: int
    database: str
    rows: int
    bytes: int | None
    text: str


def audit_line(line: bytes, zone: tzinfo | None) -> AuditLine | None:
    """None for what is no whole record. zone: of the log; None is this machine's."""
    found = _AUDIT.fullmatch(line.decode("utf-8", "replace"))
    if found is None:
        return None
    stamp, _, user, client, connection, query, operation, rest = found.groups()
    try:
        at_ms = _milliseconds(stamp, zone)
    except (ValueError, OverflowError):
        return None
    record = AuditLine(at_ms, user, client, int(connection), int(query), operation, "")
    match operation:
        case "QUERY":
            return _query(record, rest, is_cut=len(line) >= LINE_BYTES_MAX)
        case "READ":
            place = _READ.fullmatch(rest)
            return place and msgspec.structs.replace(record, database=place.group(1), table=place.group(2))
        case "CONNECT" | "DISCONNECT":
            return record if _SESSION.fullmatch(rest) else None
        case _:
            return record


def _query(record: AuditLine, rest: str, *, is_cut: bool) -> AuditLine | None:
    what = (_CUT_QUERY if is_cut else _QUERY).fullmatch(rest)
    if what is None:
        return None
    text = what.group(2)[:STATEMENT_CHARACTERS_MAX]
    return msgspec.structs.replace(
        record,
        database=what.group(1),
        text=_ESCAPE.sub(lambda each: _ESCAPES.get(each.group(1), each.group(1)), text),
        error=None if is_cut else int(what.group(3)),
        may_be_cut=len(what.group(2)) >= _MAYBE_CUT,
    )


@lru_cache(maxsize=8)
def _milliseconds(stamp: str, zone: tzinfo | None) -> int:
    naive = datetime.strptime(stamp, "%Y%m%d %H:%M:%S")  # noqa: DTZ007 - the zone is the next line's
    at = naive.astimezone() if zone is None else naive.replace(tzinfo=zone)
    return max(0, int(at.timestamp() * 1000))


class AuditReader:
    """Reads an audit log line by line."""

    def __init__(self, zone: tzinfo | None) -> None:
        self._zone = zone
        self._doubtful = 0
        self.unreadable = 0

    def take(self, line: bytes) -> AuditLine | None:
        """None for what is no whole record."""
        record = audit_line(line, self._zone)
        self._doubtful = max(0, self._doubtful - len(line) - 1)
        if record is None:
            self.unreadable += 1
            if _BROKEN.match(line):
                self._doubtful = _DOUBTFUL_BYTES
        elif self._doubtful:
            return msgspec.structs.replace(record, is_doubtful=True)
        return record


class SlowReader:
    """Puts the lines of a slow query log together. The first line of an entry is held."""

    def __init__(self) -> None:
        self._head: list[str] = []
        self._body: list[str] = []
        self._size = 0
        self._hold: Hold | None = None
        self._last_s = 0.0
        self.unreadable = 0

    def take(self, line: bytes, progress: LogProgress, now_s: float) -> tuple[SlowEntry, Hold] | None:
        """The entry that this line shows to be over, if it does."""
        text = line.decode("utf-8", "replace")
        self._last_s = now_s
        done = None
        if text.startswith(("# Time: ", "# User@Host: ")) and self._body:
            done = self._entry()
        if text.startswith("# ") and not self._body:
            if self._hold is None:
                progress.hold(progress.line)
                self._hold = Hold(progress, progress.line)
            self._head.append(text[:1000])
            del self._head[:-20]
        elif self._hold is not None and self._size < STATEMENT_CHARACTERS_MAX:
            self._body.append(text[: STATEMENT_CHARACTERS_MAX + 1 - self._size])
            self._size += len(text) + 1
        return done

    def quiet(self, now_s: float | None) -> tuple[SlowEntry, Hold] | None:
        """The last entry, when nothing came after it for a while; None: at once."""
        if self._body and (now_s is None or now_s - self._last_s >= QUIET_S):
            return self._entry()
        return None

    def _entry(self) -> tuple[SlowEntry, Hold] | None:
        head, body, hold = "\n".join(self._head), self._body, self._hold
        self._head, self._body, self._size, self._hold = [], [], 0, None
        assert hold is not None
        entry = slow_entry(head, body)
        if entry is None:
            self.unreadable += 1
            hold.progress.release(hold.line)
            return None
        return entry, hold


def slow_entry(head: str, body: list[str]) -> SlowEntry | None:
    """From the lines that begin with # and those that follow; None for what is no statement of a client."""
    who = _WHO.search(head)
    numbers = dict(_NUMBERS.findall(head))
    connection = numbers.get("Thread_id") or (who.group(5) if who is not None else None)
    if who is None or connection is None or "Rows_sent" not in numbers:
        return None
    schema = _SCHEMA.search(head)
    database = schema.group(1) if schema is not None else ""
    at_ms = 0
    while body:
        use, timestamp = _USE.fullmatch(body[0]), _TIMESTAMP.fullmatch(body[0])
        if use is not None:
            database = use.group(1) or use.group(2)
        elif timestamp is not None:
            at_ms = int(timestamp.group(1)) * 1000
        else:
            break
        body = body[1:]
        if timestamp is not None:
            break
    try:
        return SlowEntry(
            at_ms=at_ms,
            took_ms=int(float(numbers.get("Query_time", "0")) * 1000),
            user=who.group(1),
            client=who.group(4) or who.group(3),
            connection=int(connection),
            database=database,
            rows=int(numbers["Rows_sent"]),
            bytes=int(numbers["Bytes_sent"]) if "Bytes_sent" in numbers else None,
            text="\n".join(body),
        )
    except (ValueError, OverflowError):
        return None
