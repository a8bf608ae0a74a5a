"""MariaDB and MySQL: who takes how much out of which tables, from the audit log and the slow query log.

Orchestration only. The logs' formats: mariadb_logs; one statement of two logs: mariadb_statements; the
client's program: mariadb_account; what is told, and how: statement_reports. Runs on the database server's own
machine. Cursor: {"audit": LogProgress' cursor, "slow": the same of the slow log, or null}.
"""

from __future__ import annotations

import os.path
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Final

import msgspec

from collectors.contract import Advice, Observation, Unsupported
from collectors.database_config import MariadbConfig
from collectors.database_statements import Statement, StatementEvents, reads_nothing
from collectors.log_progress import LogProgress
from collectors.log_requirements import need_account, need_log, need_package
from collectors.log_series import LogSeries
from collectors.log_tail import Line
from collectors.mariadb_logs import LINE_BYTES_MAX, AuditReader, SlowEntry, SlowReader
from collectors.mariadb_statements import FORGED, Joined, MariadbStatements, is_of_the_system
from collectors.postgresql_log import zone_of
from collectors.statement_reports import Hold
from collectors.statement_telling import StatementTelling
from event_schema.ocsf_account_events import DatastoreActivity
from event_schema.ocsf_endpoint_events import FileSystemActivity
from event_schema.ocsf_objects import Host
from event_schema.printable import printable_name

if TYPE_CHECKING:
    from collectors.mariadb_account import Programs

__all__ = ["MariadbCollector", "MariadbConfig"]

_TURN_S: Final = 0.4
"""While nothing is written to it: each turn costs a look at the file."""
_STEP_MS: Final = 1_000
_LEAD_MAX: Final = 500
UNREADABLE: Final = "log entry could not be read"
TOO_LONG: Final = "log entry too long to be read whole"
LOST_PLACE: Final = "the log went on elsewhere: entries may be missing"
NO_SLOW_LOG: Final = "rows and bytes are not known without slow_log"
NO_ACCOUNT: Final = "client programs are not known without an account_file"


class MariadbCollector:
    """See Collector. `clock` is monotonic seconds."""

    name: ClassVar[str] = "mariadb"
    emits: ClassVar[tuple[type, ...]] = (DatastoreActivity, FileSystemActivity)

    def __init__(
        self,
        config: MariadbConfig,
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
        if not (config.audit_log or config.slow_log):
            raise Unsupported("say where the logs are: [collectors.mariadb] audit_log and slow_log")
        for path in filter(None, (config.audit_log, config.slow_log)):
            need_log(path, "[collectors.mariadb]")
        if config.account_file:
            need_package("pymysql")
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
        from collectors.mariadb_settings import advice  # noqa: PLC0415 - only doctor needs it

        yield from advice(self._config)

    def close(self) -> None:
        self._closing.set()
        self._release()

    def _release(self) -> None:
        reading, self._reading = self._reading, None
        if reading is not None:
            reading.close()
            self._dropped.update(reading.dropped())


class _Cursor(msgspec.Struct, frozen=True):
    audit: str | None = None
    slow: str | None = None


class _Log:
    """One of the two logs, and how far it is read."""

    def __init__(self, path: str, resume_from: str | None) -> None:
        self.progress = LogProgress(resume_from)
        self.series = LogSeries(path, self.progress.start, line_bytes_max=LINE_BYTES_MAX)
        self.progress.begin_at(self.series.position())
        self._lost = 0

    def take(self) -> list[Line]:
        lines = self.series.take()
        if self.series.lost_places > self._lost:
            self._lost = self.series.lost_places
            self.progress.lost()
        return lines


class _Reading:
    """One run of observe."""

    def __init__(
        self,
        config: MariadbConfig,
        events: StatementEvents,
        resume_from: str | None,
        clock: Callable[[], float],
    ) -> None:
        self._config, self._clock = config, clock
        resumed = _decoded(resume_from)
        self._audit = _Log(config.audit_log, resumed.audit) if config.audit_log else None
        self._slow = _Log(config.slow_log, resumed.slow) if config.slow_log else None
        self._audit_reader, self._slow_reader = AuditReader(zone_of(config.log_time_zone)), SlowReader()
        self._programs = _programs(config.account_file) if config.account_file else None
        self._statements = MariadbStatements(
            self._program_of, is_audited=self._audit is not None, is_slow=self._slow is not None
        )
        self.is_quiet = False
        self._logs = [log for log in (self._audit, self._slow) if log is not None]
        self._telling = StatementTelling(
            events,
            [log.progress for log in self._logs],
            self._cursor,
            large_rows=config.large_rows,
            unsummed_users=config.unsummed_users,
            hash_max_bytes=config.hash_max_bytes,
        )

    def turn(self) -> Iterator[Observation]:
        for log in self._to_read():
            for line in log.take():
                if log is self._audit:
                    self._take_audit(line, log)
                else:
                    self._take_slow(line, log)
                if self._telling.reports.is_full:
                    yield from self._telling.observations(self._clock())
        self.is_quiet = all(log.series.is_at_end for log in self._logs)
        now_s = self._clock()
        if self.is_quiet:
            self._slow_entry(self._slow_reader.quiet(now_s), now_s)
        at_end = {
            name: log is None or log.series.is_at_end
            for name, log in (("audit_at_end", self._audit), ("slow_at_end", self._slow))
        }
        self._settle(self._statements.complete(now_s, **at_end))
        yield from self._telling.observations(now_s)

    def rest(self) -> Iterator[Observation]:
        self._slow_entry(self._slow_reader.quiet(None), self._clock())
        self._settle(self._statements.complete(None))
        yield from self._telling.rest()

    def dropped(self) -> Mapping[str, int]:
        counts = {
            **self._telling.dropped(),
            UNREADABLE: self._audit_reader.unreadable + self._slow_reader.unreadable,
            TOO_LONG: sum(log.series.too_long for log in self._logs),
            LOST_PLACE: sum(log.series.lost_places for log in self._logs),
            FORGED: self._statements.forged,
        }
        return {reason: count for reason, count in counts.items() if count}

    def describe(self) -> str:
        parts = [f"reads {printable_name(str(log.series.path))}" for log in self._logs]
        if self._slow is None:
            parts.append(NO_SLOW_LOG)
        if self._programs is None:
            parts.append(NO_ACCOUNT)
        elif self._programs.trouble is not None:
            parts.append(f"client programs are not known: {printable_name(self._programs.trouble)}")
        return "; ".join(parts)

    def close(self) -> None:
        for log in self._logs:
            log.series.close()
        self._telling.close()
        if self._programs is not None:
            self._programs.close()

    def _to_read(self) -> Sequence[_Log]:
        """When there is much to read, after a pause of the agent, the two logs are read in step: by their own
        times, and so that few statements wait. Users of the server can change the times of the slow log."""
        audit, slow = self._audit, self._slow
        if audit is None or slow is None:
            return self._logs
        statements = self._statements
        lead_ms = statements.audit_at_ms - statements.slow_at_ms
        if not slow.series.is_at_end and (lead_ms > _STEP_MS or statements.audited_waiting > _LEAD_MAX):
            return (slow,)
        if not audit.series.is_at_end and (lead_ms < -_STEP_MS or statements.slow_waiting > _LEAD_MAX):
            return (audit,)
        return self._logs

    def _take_audit(self, line: Line, log: _Log) -> None:
        log.progress.took(line.cursor)
        record = self._audit_reader.take(line.content)
        if record is None:
            return
        now_s = self._clock()
        if record.operation == "CONNECT" and self._programs is not None:
            self._programs.ask()
        log.progress.hold(log.progress.line)
        self._settle(self._statements.audit(record, Hold(log.progress, log.progress.line), now_s))
        if record.operation == "DISCONNECT" and self._slow is None:
            self._telling.reports.ended(str(record.connection), now_s)

    def _take_slow(self, line: Line, log: _Log) -> None:
        log.progress.took(line.cursor)
        now_s = self._clock()
        self._slow_entry(self._slow_reader.take(line.content, log.progress, now_s), now_s)

    def _slow_entry(self, entry: tuple[SlowEntry, Hold] | None, now_s: float) -> None:
        if entry is not None:
            self._settle(self._statements.slow(*entry, now_s))

    def _settle(self, found: Iterable[Joined]) -> None:
        for each in found:
            statement = self._with_path(each.statement)
            if self._is_left_out(statement):
                for progress, line in each.holds:
                    progress.release(line)
            else:
                self._telling.add(statement, each.holds, self._clock())

    def _is_left_out(self, statement: Statement) -> bool:
        if is_of_the_system(statement.tables) and not statement.server_file:
            return True
        if (statement.rows or 0) >= self._config.large_rows:
            return False
        if reads_nothing(statement) and statement.method in {"select", "dump"}:
            # Dump programs, too, ask for variables.
            return True
        if statement.is_export:
            return False
        return statement.session.user in self._config.unsummed_users or statement.rows == 0

    def _with_path(self, statement: Statement) -> Statement:
        """A path that is not absolute begins in the database's own folder."""
        path = statement.server_file
        if path is None or path.startswith("/"):
            return statement
        whole = os.path.normpath(f"{self._config.data_dir}/{statement.session.database}/{path}")
        return msgspec.structs.replace(statement, server_file=whole)

    def _program_of(self, connection: int) -> str | None:
        return None if self._programs is None else self._programs.program_of(connection)

    def _cursor(self) -> str:
        cursors = [None if log is None else log.progress.cursor() for log in (self._audit, self._slow)]
        return msgspec.json.encode(_Cursor(*cursors)).decode()


def _programs(account_file: str) -> Programs:
    # PyMySQL is only needed with an account.
    from collectors.mariadb_account import Programs  # noqa: PLC0415

    return Programs(account_file)


def _decoded(cursor: str | None) -> _Cursor:
    try:
        return msgspec.json.decode(cursor or "{}", type=_Cursor)
    except msgspec.DecodeError:
        return _Cursor()
