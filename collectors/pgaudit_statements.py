"""Puts pgaudit's records together to statements: who read how much of what, and by which way it went out.

pgaudit writes a record for each table and each sub-statement, all with the session's statement number, and
all with the rows of the sub-statement. What a session did before tells what its FETCHes read, and that it is
a dump: LOCK TABLE … IN ACCESS SHARE MODE is what pg_dump does, whatever name it gives itself.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Final, TypeVar

import msgspec

from collectors.database_statements import Statement
from collectors.postgresql_log import AuditRecord, LogRecord
from collectors.sql_exports import DUMP_PROGRAMS, Method, Way, way_out
from collectors.sql_fingerprint import TABLES_MAX, TableFinder, fingerprint
from collectors.sql_tokens import Token, tokens_of
from collectors.statement_reports import Hold

COMPLETE_S: Final = 0.3
"""Records of one statement come at once; after so long nothing more of it is waited for."""
OPEN_MAX: Final = 5_000
SESSIONS_MAX: Final = 5_000
_HOLDS_MAX: Final = 64
_SYSTEM: Final = ("pg_catalog.", "information_schema.", "pg_toast.")
_TOLD: Final = frozenset({"READ", "WRITE", "MISC"})
_INSIDE: Final = frozenset({"create", "insert", "update", "delete", "merge", "refresh", "explain"})
"""How a statement begins whose rows stay in the database, but for RETURNING."""
TOO_LONG: Final = "the statement is too long to be read whole: its rows are not known"
NO_ROWS: Final = "rows are not logged: set pgaudit.log_rows = on"
_Value = TypeVar("_Value")


class Complete(msgspec.Struct, frozen=True):
    """A statement of which nothing more comes. `query_id`: set where only pg_stat_statements knows its rows.
    `is_fetch`: a part of a cursor's result."""

    statement: Statement
    holds: tuple[Hold, ...]
    query_id: int | None = None
    is_fetch: bool = False


class _Open:
    """The records of one statement, as far as they came."""

    def __init__(self, record: LogRecord, audit: AuditRecord, now_s: float) -> None:
        self.number = audit.statement_id[0]
        self.at_ms, self.session, self.query_id = record.at_ms, record.session, record.query_id
        self.text = audit.text
        self.commands: set[str] = set()
        self.relations: dict[str, None] = {}
        self.rows: int | None = None
        self.is_cut = False
        self.holds: list[Hold] = []
        self.last_s = now_s

    def add(self, audit: AuditRecord, record: LogRecord, holds: tuple[Hold, ...], now_s: float) -> None:
        self.last_s = now_s
        self.is_cut |= audit.is_cut
        self.commands.add(audit.command)
        if audit.command in {"COPY", "FETCH"}:
            self.query_id = record.query_id
        if audit.relation and audit.category == "READ" and len(self.relations) < TABLES_MAX:
            self.relations[audit.relation] = None
        if audit.rows is not None:
            self.rows = max(self.rows or 0, audit.rows)
        if len(self.holds) + len(holds) <= _HOLDS_MAX:
            self.holds += holds
        else:
            for progress, line in holds:
                progress.release(line)


class PgauditStatements:
    """Everything that it keeps is bounded; the oldest goes first."""

    def __init__(self) -> None:
        self._finder = TableFinder("postgres")
        self._open: OrderedDict[str, _Open] = OrderedDict()
        self._dumping: OrderedDict[str, bool] = OrderedDict()
        self._cursors: OrderedDict[str, tuple[str, ...]] = OrderedDict()

    def add(
        self, record: LogRecord, audit: AuditRecord, holds: tuple[Hold, ...], now_s: float
    ) -> Iterator[Complete]:
        """Takes the holds; they are handed on with the statement, or released."""
        uid = record.session.uid
        if audit.category not in _TOLD:
            _release(holds)
            return
        known = self._open.get(uid)
        if known is not None and known.number != audit.statement_id[0]:
            yield from self._complete(self._open.pop(uid))
            known = None
        if known is None:
            known = self._open[uid] = _Open(record, audit, now_s)
            if len(self._open) > OPEN_MAX:
                yield from self._complete(self._open.popitem(last=False)[1])
        known.add(audit, record, holds, now_s)

    def ended(self, uid: str) -> Iterator[Complete]:
        """The session is over."""
        known = self._open.pop(uid, None)
        if known is not None:
            yield from self._complete(known)
        self._dumping.pop(uid, None)
        self._cursors.pop(uid, None)

    def complete(self, now_s: float | None) -> Iterator[Complete]:
        """All of which nothing came for a while; None: all."""
        for uid, known in list(self._open.items()):
            if now_s is None or now_s - known.last_s >= COMPLETE_S:
                yield from self._complete(self._open.pop(uid))

    def _complete(self, known: _Open) -> Iterator[Complete]:
        made = self._made(known)
        if made is None:
            _release(known.holds)
        else:
            yield made

    def _made(self, known: _Open) -> Complete | None:
        uid, commands = known.session.uid, known.commands
        tokens = list(tokens_of(known.text, "postgres"))
        if "LOCK TABLE" in commands and _locks_to_read(tokens):
            _remember(self._dumping, uid, True)
        print_ = fingerprint(tokens)
        is_fetch, is_copy = "FETCH" in commands, "COPY" in commands
        tables = tuple(known.relations)
        if "DECLARE CURSOR" in commands:
            _remember(self._cursors, uid, tables or self._finder.tables(print_))
            return None
        if not (is_fetch or is_copy or "SELECT" in commands or _returns(tokens, commands)):
            return None
        if is_fetch:
            tables = self._cursors.get(uid, ())
        if not tables:
            tables = self._finder.tables(print_)
        is_dump = known.session.program in DUMP_PROGRAMS or uid in self._dumping
        way = way_out(tokens) if is_copy else None
        if not is_copy and _is_of_the_system(tables):
            return None
        if is_copy and way is None:
            # The server says so; its text is beyond what we read.
            way = Way("copy_to")
        asks_for_rows = is_fetch or (is_copy and "SELECT" not in commands)
        method: Method = "select" if way is None else way.method
        if not is_copy and not is_fetch and _stays_inside(tokens, commands):
            method = "other"
        elif is_dump and (is_copy or is_fetch):
            method = "dump"
        statement = Statement(
            at_ms=known.at_ms,
            session=known.session,
            fingerprint=print_,
            method=method,
            observed_by="pgaudit",
            tables=tables,
            rows=None if asks_for_rows or known.is_cut else known.rows,
            is_export=is_copy or method == "dump",
            server_file=None if way is None else way.server_file,
            gap=_gap(known, asks_for_rows),
        )
        query_id = known.query_id if asks_for_rows else None
        return Complete(statement, tuple(known.holds), query_id, is_fetch=is_fetch and not is_dump)


def _gap(known: _Open, asks_for_rows: bool) -> str | None:
    if known.is_cut:
        return TOO_LONG
    return NO_ROWS if known.rows is None and not asks_for_rows else None


def _locks_to_read(tokens: list[Token]) -> bool:
    words = [token.text.lower() for token in tokens if token.kind == "word"]
    return "access" in words and "share" in words


def _returns(tokens: list[Token], commands: set[str]) -> bool:
    return bool(commands & {"INSERT", "UPDATE", "DELETE", "MERGE"}) and any(
        token.kind == "word" and token.text.lower() == "returning" for token in tokens
    )


def _stays_inside(tokens: list[Token], commands: set[str]) -> bool:
    """Of several statements in one string nobody can tell which this one is: then it does not."""
    if any(token == Token("sign", ";") for token in tokens[:-1]) or _returns(tokens, commands):
        return False
    return bool(tokens) and tokens[0].kind == "word" and tokens[0].text.lower() in _INSIDE


def _is_of_the_system(tables: tuple[str, ...]) -> bool:
    return bool(tables) and all(
        table.startswith(_SYSTEM) or (table.startswith("pg_") and "." not in table) for table in tables
    )


def _release(holds: tuple[Hold, ...] | list[Hold]) -> None:
    for progress, line in holds:
        progress.release(line)


def _remember(known: OrderedDict[str, _Value], uid: str, value: _Value) -> None:
    known[uid] = value
    if len(known) > SESSIONS_MAX:
        known.popitem(last=False)
