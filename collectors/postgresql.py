"""PostgreSQL: who takes how much out of which tables, from the server's log with pgaudit.

Orchestration only. The log's format: postgresql_log; records to statements: pgaudit_statements; rows of COPY:
postgresql_rows; what is told, and how: statement_reports. Runs on the database server's own machine.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar, Final

import msgspec

from collectors.contract import Advice, Observation
from collectors.database_config import PostgresqlConfig
from collectors.database_statements import Statement, StatementEvents, reads_nothing
from collectors.log_progress import LogProgress
from collectors.log_requirements import need_account, need_log, need_package
from collectors.log_series import LogSeries
from collectors.pgaudit_statements import Complete, PgauditStatements
from collectors.postgresql_log import RECORD_BYTES_MAX, RecordReader, audit_record, zone_of
from collectors.statement_telling import StatementTelling
from event_schema.ocsf_account_events import DatastoreActivity
from event_schema.ocsf_endpoint_events import FileSystemActivity
from event_schema.ocsf_objects import Host
from event_schema.printable import printable_name

if TYPE_CHECKING:
    from collectors.postgresql_rows import CopiedRows

__all__ = ["PostgresqlCollector", "PostgresqlConfig"]

_TURN_S: Final = 0.4
"""While nothing is written to it: each turn costs a look at the file."""
WAITING_MAX: Final = 1_000
UNREADABLE: Final = "log entry could not be read"
TOO_LONG: Final = "log entry too long to be read whole"
LOST_PLACE: Final = "the log went on elsewhere: entries may be missing"
ROWS_LATE: Final = "rows of COPY were not known in time"
NO_ACCOUNT: Final = "rows of COPY and FETCH are not known without an account_file"


class PostgresqlCollector:
    """See Collector. `clock` is monotonic seconds."""

    name: ClassVar[str] = "postgresql"
    emits: ClassVar[tuple[type, ...]] = (DatastoreActivity, FileSystemActivity)

    def __init__(
        self,
        config: PostgresqlConfig,
        host: Host,
        version: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config, self._clock = config, clock
        self._events = StatementEvents(self.name, version, host)
        self._closing = threading.Event()
        self._dropped: Counter[str] = Counter()
        self._reading: _Reading | None = None

    def check_supported(self) -> None:
        config = self._config
        need_package("sqlglot")
        need_log(config.log, "[collectors.postgresql] log")
        if config.account_file:
            need_package("psycopg")
            need_account(config.account_file)

    def observe(self, resume_from: str | None, stop: threading.Event) -> Iterator[Observation | None]:
        self._closing.clear()
        self._reading = reading = _Reading(self._config, self._events, resume_from, self._clock)
        try:
            while not (stop.is_set() or self._closing.is_set()):
                yield from reading.turn()
                yield None
                if reading.is_quiet:
                    stop.wait(_TURN_S)
            if not self._closing.is_set():
                yield from reading.rest()
        finally:
            self._release()

    def dropped(self) -> Mapping[str, int]:
        total = Counter(self._dropped)
        if self._reading is not None:
            total.update(self._reading.dropped())
        return dict(total)

    def detail(self) -> str | None:
        return None if self._reading is None else self._reading.describe()

    def advice(self) -> Iterator[Advice]:
        """What the server still has to be told, for `doctor`. Asks it with the account."""
        from collectors.postgresql_settings import advice  # noqa: PLC0415 - only doctor needs it

        yield from advice(self._config)

    def close(self) -> None:
        self._closing.set()
        self._release()

    def _release(self) -> None:
        reading, self._reading = self._reading, None
        if reading is not None:
            reading.close()
            self._dropped.update(reading.dropped())


def _copied_rows(account_file: str) -> CopiedRows:
    # psycopg is only needed with an account.
    from collectors.postgresql_rows import CopiedRows  # noqa: PLC0415

    return CopiedRows(account_file)


class _Waiting(msgspec.Struct, frozen=True):
    complete: Complete
    until_s: float


class _Reading:
    """One run of observe."""

    def __init__(
        self,
        config: PostgresqlConfig,
        events: StatementEvents,
        resume_from: str | None,
        clock: Callable[[], float],
    ) -> None:
        self._config, self._clock = config, clock
        self._progress = progress = LogProgress(resume_from)
        self._series = LogSeries(config.log, progress.start, line_bytes_max=RECORD_BYTES_MAX)
        progress.begin_at(self._series.position())
        self._records = RecordReader(config.log.endswith(".csv"), zone_of(config.log_time_zone))
        self._statements = PgauditStatements()
        self._rows = _copied_rows(config.account_file) if config.account_file else None
        self._waiting: deque[_Waiting] = deque()
        self._lost = 0
        self._audited = 0
        self._late = 0
        self.is_quiet = False
        self._telling = StatementTelling(
            events,
            [progress],
            progress.cursor,
            large_rows=config.large_rows,
            unsummed_users=config.unsummed_users,
            hash_max_bytes=config.hash_max_bytes,
        )

    def turn(self) -> Iterator[Observation]:
        lines = self._series.take()
        self.is_quiet = not lines and self._series.is_at_end
        if self._series.lost_places > self._lost:
            self._lost = self._series.lost_places
            self._progress.lost()
        for line in lines:
            self._take(line.content, line.cursor)
            if self._telling.reports.is_full:
                yield from self._telling.observations(self._clock())
        now_s = self._clock()
        self._settle(self._statements.complete(now_s))
        self._ask_for_rows(now_s)
        yield from self._telling.observations(now_s)

    def rest(self) -> Iterator[Observation]:
        self._settle(self._statements.complete(None))
        self._ask_for_rows(None)
        yield from self._telling.rest()

    def dropped(self) -> Mapping[str, int]:
        counts = {
            **self._telling.dropped(),
            UNREADABLE: self._records.unreadable,
            TOO_LONG: self._records.cut,
            LOST_PLACE: self._series.lost_places,
        }
        return {reason: count for reason, count in counts.items() if count}

    def describe(self) -> str:
        parts = [f"reads {printable_name(str(self._series.path))}"]
        if not self._audited:
            parts.append("nothing of pgaudit in it since it began to read")
        if self._rows is None:
            parts.append(NO_ACCOUNT)
        elif self._rows.trouble is not None:
            parts.append(f"rows of COPY are not known: {printable_name(self._rows.trouble)}")
        elif not self._rows.looks:
            parts.append("rows of COPY are not known yet: the server has not answered")
        if self._late:
            parts.append(f"{self._late} times {ROWS_LATE}")
        return "; ".join(parts)

    def close(self) -> None:
        self._series.close()
        self._telling.close()
        if self._rows is not None:
            self._rows.close()

    def _take(self, content: bytes, cursor: str) -> None:
        self._progress.took(cursor)
        entry = self._records.take(content, self._progress)
        if entry is None:
            return
        record, holds = entry
        now_s = self._clock()
        audit = audit_record(record.message, is_cut=record.is_cut)
        if audit is not None:
            self._audited += 1
            self._settle(self._statements.add(record, audit, holds, now_s))
            return
        for progress, line in holds:
            progress.release(line)
        if record.message.startswith("disconnection: "):
            uid = record.session.uid
            self._settle(self._statements.ended(uid))
            if all(each.complete.statement.session.uid != uid for each in self._waiting):
                self._telling.reports.ended(uid, now_s)

    def _settle(self, completes: Iterable[Complete]) -> None:
        for complete in completes:
            statement = complete.statement
            if complete.query_id is None:
                self._tell(complete, statement)
            elif self._rows is None:
                self._tell(complete, msgspec.structs.replace(statement, gap=NO_ACCOUNT))
            elif all(progress.is_told(line) for progress, line in complete.holds):
                self._tell(complete, statement)
            else:
                self._waiting.append(_Waiting(complete, self._clock() + self._config.rows_wait_s))

    def _ask_for_rows(self, now_s: float | None) -> None:
        """now_s None: whoever still waits does so no longer."""
        for _ in range(len(self._waiting)):
            each = self._waiting.popleft()
            complete, statement = each.complete, each.complete.statement
            rows = None
            if self._rows is not None and complete.query_id is not None:
                session = statement.session
                is_last = now_s is None or now_s >= each.until_s
                rows = self._rows.take(session.user, session.database, complete.query_id, of_anyone=is_last)
            if rows is not None:
                self._tell(complete, msgspec.structs.replace(statement, rows=rows))
            elif now_s is None or now_s >= each.until_s or len(self._waiting) >= WAITING_MAX:
                self._late += 1
                self._tell(complete, msgspec.structs.replace(statement, gap=ROWS_LATE))
            else:
                self._waiting.append(each)

    def _tell(self, complete: Complete, statement: Statement) -> None:
        if self._is_left_out(complete, statement):
            for progress, line in complete.holds:
                progress.release(line)
            return
        self._telling.add(statement, complete.holds, self._clock(), is_fetch=complete.is_fetch)

    def _is_left_out(self, complete: Complete, statement: Statement) -> bool:
        user = statement.session.user
        if self._rows is not None and user == self._rows.user:
            # What we ask ourselves. Whatever else that account reads is told.
            return all(table.endswith(".pg_stat_statements") for table in statement.tables)
        if statement.is_export or complete.is_fetch or (statement.rows or 0) >= self._config.large_rows:
            return False
        if reads_nothing(statement):
            return True
        return user in self._config.unsummed_users or statement.rows == 0
