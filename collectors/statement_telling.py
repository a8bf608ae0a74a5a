"""From statements to observations: what both database collectors do once their log is understood."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain

from collectors.contract import Observation
from collectors.database_statements import Statement, StatementEvents
from collectors.exported_files import ExportedFiles
from collectors.file_hashing import FileHasher
from collectors.log_progress import LogProgress
from collectors.statement_reports import Hold, Report, StatementReports
from event_schema.ocsf_events import Event

HASH_CPU_SHARE = 0.25


class StatementTelling:
    """Close it: a thread hashes. `cursor` encodes where all the logs stand."""

    def __init__(
        self,
        events: StatementEvents,
        progresses: Sequence[LogProgress],
        cursor: Callable[[], str],
        *,
        large_rows: int,
        unsummed_users: Sequence[str],
        hash_max_bytes: int,
    ) -> None:
        self._events, self._progresses, self._cursor = events, progresses, cursor
        self._told = cursor()
        self.reports = StatementReports(large_rows, unsummed_users)
        self._hasher = FileHasher(HASH_CPU_SHARE, hash_max_bytes)
        self._files = ExportedFiles(self._hasher)

    def add(
        self, statement: Statement, holds: Sequence[Hold], now_s: float, *, is_fetch: bool = False
    ) -> None:
        """A complete statement. What was told in an earlier run is left out."""
        if self.reports.is_single(statement) or is_fetch:
            if all(progress.is_told(line) for progress, line in holds):
                self._release(holds)
            elif is_fetch and not statement.is_export:
                self.reports.fetched(statement, holds, now_s)
            else:
                self.reports.single(statement, holds, now_s)
            return
        if not any(progress.is_summed(line) for progress, line in holds):
            self.reports.summed(statement, now_s)
        for progress, line in holds:
            progress.into_sum(line)

    def observations(self, now_s: float) -> Iterator[Observation]:
        """What can be told by now."""
        events = list(self._tell(self.reports.ready(now_s)))
        sums = self.reports.sums(now_s)
        if sums is not None:
            events += self._tell(sums)
            self._flushed()
        events += self._file_events()
        yield from self._with_cursors(events)

    def rest(self) -> Iterator[Observation]:
        """Everything that is known, at the end."""
        single, sums = self.reports.rest()
        events = list(self._tell(chain(single, sums)))
        self._flushed()
        events += self._file_events(at_end=True)
        yield from self._with_cursors(events)

    def dropped(self) -> Mapping[str, int]:
        return {**self._hasher.dropped(), **self._files.dropped(), **self.reports.dropped()}

    def close(self) -> None:
        self._hasher.close()

    def _tell(self, reports: Iterable[Report]) -> Iterator[Event]:
        for report in reports:
            self._release(report.holds)
            statement = report.statement
            if statement.server_file is not None:
                self._files.add(statement, statement.server_file)
            if report.is_told:
                yield self._events.statement(statement)

    def _file_events(self, *, at_end: bool = False) -> list[Event]:
        return [
            self._events.exported_file(each.statement, each.path, each.size, each.sha256, each.gap)
            for each in self._files.ready(at_end=at_end)
        ]

    def _with_cursors(self, events: Sequence[Event]) -> Iterator[Observation]:
        """The last of them moves the cursor: only then all of them are safe."""
        for number, event in enumerate(events, 1):
            if number == len(events):
                self._told = self._cursor()
            yield Observation(event, self._told)

    def _flushed(self) -> None:
        for progress in self._progresses:
            progress.flushed()

    def _release(self, holds: Sequence[Hold]) -> None:
        for progress, line in holds:
            progress.release(line)
