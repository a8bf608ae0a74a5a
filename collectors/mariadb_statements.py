"""Joins what server_audit and the slow log say of one statement.

The audit log knows who, which tables and whether it worked; the slow log how many rows and bytes. Both name
the connection, and both are written when the statement ends: they belong together where connection and
fingerprint are the same. Not the time: `SET timestamp` changes it in the slow log. What stands in one log
only waits until the other one has been read so far: JOIN_S where its end was reached, LATE_MS of its own
time before. A statement that failed counts if the slow log has rows of it: they went out before it did.

The slow log can be forged by whoever sends a statement. So where there is an audit log, an entry is only
believed of a connection and a user that stand there too; of a statement that does not, it is "possible".
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Final, Literal

import msgspec

from collectors.database_statements import Session, Statement
from collectors.mariadb_logs import AuditLine, SlowEntry
from collectors.sql_exports import DUMP_PROGRAMS, Method, is_mysqldump, way_out
from collectors.sql_fingerprint import TABLES_MAX, Fingerprint, TableFinder, fingerprint
from collectors.sql_tokens import tokens_of
from collectors.statement_reports import Hold

JOIN_S: Final = 1.5
LATE_MS: Final = 3_000
CONNECTIONS_MAX: Final = 5_000
WAITING_MAX: Final = 5_000
NOT_AUDITED: Final = "not in the audit log: whoever sends statements can forge the slow log"
DOUBTFUL: Final = "follows a broken entry of the audit log: whoever may try to log in can write so"
FORGED: Final = "entry of the slow log whose connection and user the audit log does not have"
NO_ROWS: Final = "not in the slow log: its rows are not known"
_SYSTEM: Final = ("mysql.", "information_schema.", "performance_schema.", "sys.")
_ANSWERS: Final = frozenset({"select", "with", "table", "values", "handler", "("})
_INSIDE: Final = frozenset({"insert", "replace", "create", "update", "delete"})
_REMEMBERED_CHARACTERS: Final = 1_000
_END_CHARACTERS: Final = 16
"""The last words of a statement that was cut may have become others."""


class Joined(msgspec.Struct, frozen=True):
    statement: Statement
    holds: tuple[Hold, ...]


class _Sense(msgspec.Struct, frozen=True):
    """What a statement is, by its text."""

    fingerprint: Fingerprint
    method: Method
    is_export: bool
    server_file: str | None


class _Read(msgspec.Struct, frozen=True):
    """A statement that reads, as one log has it."""

    at_ms: int
    user: str
    client: str
    connection: int
    database: str
    fingerprint: Fingerprint
    method: Method
    is_export: bool
    server_file: str | None
    holds: tuple[Hold, ...]
    until_s: float
    tables: tuple[str, ...] = ()
    rows: int | None = None
    bytes: int | None = None
    has_failed: bool = False
    may_be_cut: bool = False
    is_doubtful: bool = False


class _Connection:
    __slots__ = ("client", "hold", "query", "tables", "user")

    def __init__(self, user: str, client: str) -> None:
        self.user, self.client = user, client
        self.query = 0
        self.tables: dict[str, None] = {}
        self.hold: Hold | None = None


class MariadbStatements:
    """`program_of`: the client's name for itself, by connection. `is_audited`, `is_slow`: which logs are."""

    def __init__(self, program_of: Callable[[int], str | None], *, is_audited: bool, is_slow: bool) -> None:
        self._program_of, self._is_audited, self._is_slow = program_of, is_audited, is_slow
        self._finder = TableFinder("mysql")
        self._connections: OrderedDict[int, _Connection] = OrderedDict()
        self._audited: OrderedDict[int, list[_Read]] = OrderedDict()
        self._slow: OrderedDict[int, list[_Read]] = OrderedDict()
        self.audited_waiting = self.slow_waiting = 0
        """Statements that wait for the other log."""
        self.forged = 0
        self.audit_at_ms = self.slow_at_ms = 0
        """How far the logs are read, in their own times."""

    def audit(self, line: AuditLine, hold: Hold, now_s: float) -> Iterator[Joined]:
        """Takes the hold."""
        self.audit_at_ms = line.at_ms
        if line.is_doubtful and line.operation != "QUERY":
            _release((hold,))
            return
        connection = self._connection(line)
        if line.operation == "READ":
            self._table(connection, line, hold)
            return
        tables = tuple(connection.tables) if connection.query == line.query else ()
        holds = (hold,) if connection.hold is None else (connection.hold, hold)
        connection.tables, connection.hold = {}, None
        read = None
        if line.operation == "QUERY":
            read = _read(line.text, line.at_ms, line, holds, now_s + JOIN_S, tables)
        if read is None:
            _release(holds)
            return
        read = msgspec.structs.replace(
            read, has_failed=bool(line.error), may_be_cut=line.may_be_cut, is_doubtful=line.is_doubtful
        )
        mate = self._take_mate(self._slow, read)
        if mate is None and self._is_slow:
            yield from self._wait(self._audited, read)
        else:
            yield from self._told(read, mate)

    def slow(self, entry: SlowEntry, hold: Hold, now_s: float) -> Iterator[Joined]:
        """Takes the hold."""
        self.slow_at_ms = at_ms = entry.at_ms + entry.took_ms
        read = _read(entry.text.removesuffix(";"), at_ms, entry, (hold,), now_s + JOIN_S, ())
        if read is None:
            _release((hold,))
            return
        read = msgspec.structs.replace(read, rows=entry.rows, bytes=entry.bytes)
        mate = self._take_mate(self._audited, read)
        if mate is not None:
            yield from self._told(mate, read)
        elif self._is_audited:
            yield from self._wait(self._slow, read)
        else:
            yield self._joined(None, read)

    def complete(
        self, now_s: float | None, *, audit_at_end: bool = True, slow_at_end: bool = True
    ) -> Iterator[Joined]:
        """What waited long enough for the other log; None: all that waits."""
        for waiting, is_at_end, other_ms in (
            (self._audited, slow_at_end, self.slow_at_ms),
            (self._slow, audit_at_end, self.audit_at_ms),
        ):
            for connection, reads in list(waiting.items()):
                while reads and _is_over(reads[0], now_s, other_ms, is_at_end=is_at_end):
                    yield from self._alone(waiting, reads.pop(0))
                if not reads:
                    del waiting[connection]

    def _alone(self, waiting: OrderedDict[int, list[_Read]], read: _Read) -> Iterator[Joined]:
        self._waits(waiting, -1)
        if waiting is self._audited:
            yield from self._told(read, None)
            return
        known = self._connections.get(read.connection)
        if known is not None and known.user == read.user:
            yield self._joined(None, read)
            return
        self.forged += 1
        _release(read.holds)

    def _connection(self, line: AuditLine) -> _Connection:
        known = self._connections.get(line.connection)
        if known is None or line.operation == "CONNECT":
            if known is not None and known.hold is not None:
                _release((known.hold,))
            known = self._connections[line.connection] = _Connection(line.user, line.client)
            if len(self._connections) > CONNECTIONS_MAX:
                _, oldest = self._connections.popitem(last=False)
                if oldest.hold is not None:
                    _release((oldest.hold,))
        else:
            self._connections.move_to_end(line.connection)
        return known

    def _table(self, connection: _Connection, line: AuditLine, hold: Hold) -> None:
        if connection.query != line.query:
            if connection.hold is not None:
                _release((connection.hold,))
            connection.query, connection.tables, connection.hold = line.query, {}, hold
        elif connection.hold is None:
            connection.hold = hold
        else:
            _release((hold,))
        if len(connection.tables) < TABLES_MAX:
            connection.tables[f"{line.database}.{line.table}"] = None

    def _wait(self, waiting: OrderedDict[int, list[_Read]], read: _Read) -> Iterator[Joined]:
        waiting.setdefault(read.connection, []).append(read)
        self._waits(waiting, 1)
        if self.audited_waiting + self.slow_waiting > WAITING_MAX:
            oldest = next(each for each in (self._audited, self._slow) if each)
            connection, reads = next(iter(oldest.items()))
            yield from self._alone(oldest, reads.pop(0))
            if not reads:
                del oldest[connection]

    def _waits(self, waiting: OrderedDict[int, list[_Read]], more: int) -> None:
        if waiting is self._audited:
            self.audited_waiting += more
        else:
            self.slow_waiting += more

    def _take_mate(self, waiting: OrderedDict[int, list[_Read]], read: _Read) -> _Read | None:
        reads = waiting.get(read.connection, [])
        for number, other in enumerate(reads):
            if _same(other, read):
                del reads[number]
                self._waits(waiting, -1)
                if not reads:
                    del waiting[read.connection]
                return other
        return None

    def _told(self, audited: _Read, slow: _Read | None) -> Iterator[Joined]:
        if audited.has_failed and not (slow is not None and slow.rows):
            _release(audited.holds if slow is None else (*audited.holds, *slow.holds))
        else:
            yield self._joined(audited, slow)

    def _joined(self, audited: _Read | None, slow: _Read | None) -> Joined:
        read = audited or slow
        assert read is not None
        if audited is not None and slow is not None:
            read = msgspec.structs.replace(
                audited, rows=slow.rows, bytes=slow.bytes, holds=(*audited.holds, *slow.holds)
            )
        program = self._program_of(read.connection)
        method: Method = read.method
        if method == "select" and (read.is_export or program in DUMP_PROGRAMS):
            method = "dump"
        gap = None
        if audited is None:
            gap = NOT_AUDITED if self._is_audited else None
        elif slow is None and audited.is_doubtful:
            gap = DOUBTFUL
        elif slow is None and self._is_slow:
            gap = NO_ROWS
        tables = tuple(table for table in read.tables if not table.startswith(_SYSTEM))
        statement = Statement(
            at_ms=read.at_ms,
            session=Session(
                uid=str(read.connection),
                user=read.user,
                database=read.database,
                client=None if read.client in {"localhost", ""} else read.client,
                program=program,
            ),
            fingerprint=read.fingerprint,
            method=method,
            observed_by="slow_log" if audited is None else "server_audit",
            tables=tables or self._qualified(read),
            rows=read.rows,
            bytes=read.bytes,
            is_export=read.is_export or method == "dump",
            server_file=read.server_file,
            fidelity=_fidelity(audited, slow, self._is_audited),
            gap=gap,
        )
        return Joined(statement, read.holds)

    def _qualified(self, read: _Read) -> tuple[str, ...]:
        found = self._finder.tables(read.fingerprint)
        return tuple(
            name if "." in name or not read.database else f"{read.database}.{name}" for name in found
        )


def is_of_the_system(tables: tuple[str, ...]) -> bool:
    return bool(tables) and all(table.lower().startswith(_SYSTEM) for table in tables)


def _fidelity(
    audited: _Read | None, slow: _Read | None, is_audited: bool
) -> Literal["exact", "likely", "possible"]:
    if audited is None:
        return "possible" if is_audited else "likely"
    if audited.is_doubtful and slow is None:
        return "possible"
    return "exact" if slow is None else "likely"


def _read(
    text: str,
    at_ms: int,
    line: AuditLine | SlowEntry,
    holds: tuple[Hold, ...],
    until_s: float,
    tables: tuple[str, ...],
) -> _Read | None:
    """None for what reads nothing."""
    sense = _sense_again(text) if len(text) <= _REMEMBERED_CHARACTERS else _sense(text)
    if sense is None:
        return None
    return _Read(
        at_ms=at_ms,
        user=line.user,
        client=line.client,
        connection=line.connection,
        database=line.database,
        fingerprint=sense.fingerprint,
        method=sense.method,
        is_export=sense.is_export,
        server_file=sense.server_file,
        holds=holds,
        until_s=until_s,
        tables=tables,
    )


def _sense(text: str) -> _Sense | None:
    tokens = list(tokens_of(text, "mysql"))
    first = tokens[0].text.lower() if tokens else ""
    way = way_out(tokens)
    words = {token.text.lower() for token in tokens if token.kind == "word"}
    method: Method = "select"
    if first in _INSIDE and "returning" not in words:
        method = "other"
        if "select" not in words:
            return None
    elif first not in _ANSWERS | _INSIDE:
        return None
    return _Sense(
        fingerprint(tokens),
        method if way is None else way.method,
        way is not None or is_mysqldump(text),
        None if way is None else way.server_file,
    )


_sense_again: Final = lru_cache(maxsize=1_024)(_sense)
"""Each statement stands in both logs."""


def _is_over(read: _Read, now_s: float | None, other_ms: int, *, is_at_end: bool) -> bool:
    if now_s is None:
        return True
    return now_s >= read.until_s if is_at_end else other_ms > read.at_ms + LATE_MS


def _same(one: _Read, other: _Read) -> bool:
    """Also where one of them was cut."""
    if one.fingerprint.uid == other.fingerprint.uid:
        return True
    texts = [read.fingerprint.text.lower().removesuffix("…") for read in (one, other)]
    shorter = min(map(len, texts))
    if one.may_be_cut or other.may_be_cut:
        shorter = max(min(shorter, _END_CHARACTERS), shorter - _END_CHARACTERS)
    elif not (one.fingerprint.text.endswith("…") or other.fingerprint.text.endswith("…")):
        return False
    return texts[0][:shorter] == texts[1][:shorter]


def _release(holds: tuple[Hold, ...]) -> None:
    for progress, line in holds:
        progress.release(line)
