"""Which statements are told, and how: exports and large results each, all other reads as sums of a minute.

- Exports of one session that follow each other closely (a dump's tables, a script's copies) are one report.
- FETCHes of one session count as one result: 200 times 1,000 rows are 200,000.
- A sum is of one user, database, set of tables, program, address and fidelity; at most SUMS_MAX at a time.
  What is over that goes into one sum of its user without tables, and then is counted as dropped. Whoever
  catches up reads days within a minute: there a new minute of the log empties the full table early.

Nothing here reads a clock: `now_s` is monotonic, and given.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from collectors.database_statements import Session, Statement, joined, sum_of
from collectors.log_progress import LogProgress
from collectors.sql_fingerprint import TABLES_MAX

SUMS_MAX: Final = 2_000
GROUPS_MAX: Final = 500
TOGETHER_MAX: Final = 64
QUIET_S: Final = 1.0
LONGEST_S: Final = 30.0
SUMS_EVERY_S: Final = 60.0
TOO_MANY_SUMS: Final = "too many different reads within a minute"
_SHORTENED: Final = "too many different reads within a minute: their tables were left out"


class Hold(NamedTuple):
    """A line of a log that is not told yet."""

    progress: LogProgress
    line: int


class Report(msgspec.Struct, frozen=True):
    """`holds`: the lines that the statement was read from; empty for a sum. `is_told`: not where it only ends
    there."""

    statement: Statement
    holds: tuple[Hold, ...] = ()
    is_told: bool = True


class _Group:
    """Statements of one session that are told together."""

    def __init__(self, now_s: float) -> None:
        self.statements: list[Statement] = []
        self.holds: list[Hold] = []
        self.since_s = self.last_s = now_s

    @property
    def tables(self) -> int:
        return len({table for each in self.statements for table in each.tables})

    def is_done(self, now_s: float) -> bool:
        return now_s - self.last_s >= QUIET_S or now_s - self.since_s >= LONGEST_S


class _Sum:
    def __init__(self, first: Statement) -> None:
        self.largest = first
        self.count = first.weight
        self.rows, self.bytes = first.rows, first.bytes

    def add(self, statement: Statement) -> None:
        self.count += statement.weight
        self.rows = sum_of((self.rows, statement.rows))
        self.bytes = sum_of((self.bytes, statement.bytes))
        if (statement.rows or 0) > (self.largest.rows or 0):
            self.largest = statement


class StatementReports:
    """`large_rows`: a result of so many rows or more counts as an export. `unsummed_users`: accounts whose
    small results nobody wants to know."""

    def __init__(self, large_rows: int, unsummed_users: Sequence[str] = ()) -> None:
        self._large_rows, self._unsummed_users = large_rows, frozenset(unsummed_users)
        self._groups: dict[tuple[str, str], _Group] = {}
        self._sums: dict[tuple[object, ...], _Sum] = {}
        self._sums_due_s: float | None = None
        self._first_minute = 0
        self.is_full = False
        """Tell the sums before the next statement comes."""
        self._dropped: Counter[str] = Counter()
        self._ready: list[Report] = []

    def dropped(self) -> Mapping[str, int]:
        return self._dropped

    def is_single(self, statement: Statement) -> bool:
        """Whether it is told by itself."""
        if statement.is_export:
            return True
        return statement.method == "select" and (statement.rows or 0) >= self._large_rows

    def single(self, statement: Statement, holds: Sequence[Hold], now_s: float) -> None:
        """An export or a large result; `holds` until it is told."""
        self._group(statement, holds, now_s, "export" if statement.method != "select" else "select")

    def fetched(self, statement: Statement, holds: Sequence[Hold], now_s: float) -> None:
        """A part of a cursor's result. Whether it is large shows with the others."""
        self._group(statement, holds, now_s, "fetch")

    def summed(self, statement: Statement, now_s: float) -> None:
        """A small read."""
        if self._sums_due_s is None:
            self._sums_due_s = now_s + SUMS_EVERY_S
            self._first_minute = statement.at_ms // 60_000
        self.is_full = len(self._sums) >= SUMS_MAX and statement.at_ms // 60_000 != self._first_minute
        session = statement.session
        who = (session.user, session.database, session.program, session.client, statement.fidelity)
        key: tuple[object, ...] = (*who, statement.at_ms // 60_000, statement.method, statement.tables)
        if key not in self._sums and len(self._sums) >= SUMS_MAX and not self.is_full:
            key = (*who, statement.at_ms // 60_000, statement.method, None)
            statement = msgspec.structs.replace(statement, tables=(), gap=_SHORTENED)
            if key not in self._sums and len(self._sums) >= 2 * SUMS_MAX:
                self._dropped[TOO_MANY_SUMS] += 1
                return
        known = self._sums.get(key)
        if known is None:
            self._sums[key] = _Sum(statement)
        else:
            known.add(statement)

    def ended(self, session: str, now_s: float) -> None:
        """The session is over: nothing more will join its statements."""
        for key in [key for key in self._groups if key[0] == session]:
            self._tell(key)

    def ready(self, now_s: float) -> list[Report]:
        """What is complete by now, but for the sums."""
        for key in [key for key, group in self._groups.items() if group.is_done(now_s)]:
            self._tell(key)
        ready, self._ready = self._ready, []
        return ready

    def sums(self, now_s: float) -> list[Report] | None:
        """The sums of the last minute when it is over, else None."""
        if self._sums_due_s is None or (now_s < self._sums_due_s and not self.is_full):
            return None
        return self._take_sums()

    def rest(self) -> tuple[list[Report], list[Report]]:
        """Everything, at the end: what stands by itself, and the sums."""
        for key in list(self._groups):
            self._tell(key)
        ready, self._ready = self._ready, []
        return ready, self._take_sums()

    def _group(self, statement: Statement, holds: Sequence[Hold], now_s: float, kind: str) -> None:
        key = (statement.session.uid, kind)
        group = self._groups.get(key)
        if group is not None and (
            group.tables + len(statement.tables) > TABLES_MAX
            or _differs(group.statements[-1].session, statement.session)
            or statement.server_file is not None
        ):
            self._tell(key)
            group = None
        if group is None:
            if len(self._groups) >= GROUPS_MAX:
                self._tell(next(iter(self._groups)))
            group = self._groups[key] = _Group(now_s)
        group.statements.append(statement)
        group.holds.extend(holds)
        group.last_s = now_s
        if statement.server_file is not None or len(group.statements) >= TOGETHER_MAX:
            self._tell(key)

    def _tell(self, key: tuple[str, str]) -> None:
        group = self._groups.pop(key)
        statement = joined(group.statements)
        if key[1] == "fetch":
            statement = msgspec.structs.replace(
                statement, is_export=(statement.rows or 0) >= self._large_rows
            )
        elif key[1] == "select":
            statement = msgspec.structs.replace(statement, is_export=True)
        is_told = statement.is_export or statement.session.user not in self._unsummed_users
        self._ready.append(Report(statement, tuple(group.holds), is_told=is_told))

    def _take_sums(self) -> list[Report]:
        self._sums_due_s, self.is_full = None, False
        sums, self._sums = self._sums, {}
        return [
            Report(
                msgspec.structs.replace(
                    each.largest, rows=each.rows, bytes=each.bytes, weight=each.count, is_export=False
                )
            )
            for each in sums.values()
        ]


def _differs(one: Session, other: Session) -> bool:
    return (one.user, one.database) != (other.user, other.database)
