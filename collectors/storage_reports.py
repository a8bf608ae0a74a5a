"""Finished files on their way to events: each waits, for a bounded time, for its hash and its author.

The kernel's audit record of an act arrives some milliseconds after the act itself, and a hash takes as
long as it takes. Nothing here waits for either beyond its bound, and no file waits for another one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

import msgspec

from collectors.authors import Authors
from collectors.file_changes import ObservedBy
from collectors.file_hashing import GONE, TOO_LATE, FileHasher, HashJob, HashResult
from collectors.finished_files import FinishedFile
from collectors.path_index import PathIndex
from collectors.steady_clock import SteadyClock
from collectors.storage_cursor import MOST_DONE, file_id
from collectors.storage_events import EventSource, Volume, file_event
from collectors.watched_place import WatchedPlace
from event_schema.ocsf_events import Event, FileActivity
from event_schema.ocsf_objects import FileType

AUTHOR_WAIT_MS: Final = 300
"""For acts that are finished at once; the others have waited until they came to rest."""
_HASHED: Final = (FileActivity.CREATE, FileActivity.UPDATE)


class _Report(msgspec.Struct, eq=False):
    finished: FinishedFile
    volume: Volume
    observed_by: ObservedBy
    place: WatchedPlace
    ready_ms: int
    earliest_ms: int
    job: HashJob | None = None


class StorageReports:
    """Use from one thread."""

    def __init__(
        self,
        source: EventSource,
        hasher: FileHasher,
        authors: Authors,
        hash_wait_s: float,
        clock: SteadyClock,
    ) -> None:
        self._clock = clock
        self._source = source
        self._hasher = hasher
        self._authors = authors
        self._hash_wait_ms = int(hash_wait_s * 1000)
        self._soon: deque[_Report] = deque()
        self._hashing: dict[HashJob, _Report] = {}
        self._by_path: dict[str, HashJob] = {}
        self._paths = PathIndex()
        self.done: deque[tuple[int, str]] = deque(maxlen=MOST_DONE)
        """When the files changed that were reported last (ms), and their file_id."""

    def __len__(self) -> int:
        return len(self._soon) + len(self._hashing)

    def oldest_ms(self) -> int | None:
        """When the earliest act may have happened that is not an event yet."""
        waiting = [*self._soon, *self._hashing.values()]
        return min((report.earliest_ms for report in waiting), default=None)

    def add(self, finished: FinishedFile, place: WatchedPlace, now_ms: int) -> None:
        """Takes one act."""
        report = _Report(
            finished,
            place.volume,
            place.watcher.observed_by,
            place,
            ready_ms=now_ms + AUTHOR_WAIT_MS,
            earliest_ms=place.earliest_ms(finished.at_ms),
        )
        facts = finished.facts
        if (
            finished.activity in _HASHED
            and not finished.is_deleted
            and facts is not None
            and facts.type_id is FileType.REGULAR
        ):
            report.job = HashJob(place.root, finished.path, facts)
            if self._hasher.submit(report.job):
                report.ready_ms = now_ms + self._hash_wait_ms
                self._hashing[report.job] = report
                self._by_path[finished.path] = report.job
                self._paths.add(finished.path)
                return
        self._soon.append(report)

    def renamed(self, old_path: str, new_path: str, *, is_folder: bool) -> None:
        """A file that waits for its hash has another name now: it is to be read there."""
        if not is_folder:
            self._move(old_path, new_path)
            return
        for path in list(self._paths.below(old_path)):
            self._move(path, new_path + path[len(old_path) :])

    def ready(self, now_ms: int) -> list[Event]:
        """The events of all that waits no longer."""
        events: list[Event] = []
        for job in self._hasher.done():
            report = self._take(job)
            if report is not None:
                events.append(self._event(report, job.result))
        while self._soon and self._soon[0].ready_ms <= now_ms:
            report = self._soon.popleft()
            events.append(self._event(report, None if report.job is None else report.job.result))
        while self._hashing:
            job, report = next(iter(self._hashing.items()))
            if report.ready_ms > now_ms:
                break
            job.cancelled = True
            self._hasher.count_late()
            self._take(job)
            events.append(self._event(report, HashResult(gap=TOO_LATE)))
        return events

    def give_up(self, why: str, only: Callable[[WatchedPlace], bool] = lambda _: True) -> list[Event]:
        """The events of these places as they are, because nothing more can be read there."""
        events: list[Event] = []
        for job, report in list(self._hashing.items()):
            if only(report.place):
                job.cancelled = True
                self._take(job)
                events.append(self._event(report, job.result or HashResult(gap=why)))
        kept: deque[_Report] = deque()
        for report in self._soon:
            if only(report.place):
                events.append(self._event(report, None if report.job is None else report.job.result))
            else:
                kept.append(report)
        self._soon = kept
        return events

    def _move(self, path: str, new_path: str) -> None:
        job = self._by_path.pop(path, None)
        if job is not None:
            self._paths.discard(path)
            job.path = new_path
            self._by_path[new_path] = job
            self._paths.add(new_path)

    def _take(self, job: HashJob) -> _Report | None:
        report = self._hashing.pop(job, None)
        if report is not None and self._by_path.get(job.path) is job:
            del self._by_path[job.path]
            self._paths.discard(job.path)
        return report

    def _event(self, report: _Report, result: HashResult | None) -> Event:
        finished = report.finished
        sha256 = None
        gaps = [finished.gap]
        if result is not None:
            sha256 = result.sha256
            if result.facts is not None:
                finished = msgspec.structs.replace(finished, facts=result.facts)
            if result.gap == GONE and report.place.is_there():
                finished = msgspec.structs.replace(finished, is_deleted=True)
            gaps.append(result.gap)
        if finished.facts is not None and finished.new_path is None:
            changed_ms = finished.facts.changed_ns // 1_000_000
            self.done.append((changed_ms, file_id(finished.path, finished.facts)))
        return file_event(
            self._source,
            msgspec.structs.replace(finished, at_ms=self._clock.wall_ms(finished.at_ms)),
            report.volume,
            self._authors.final(finished),
            report.observed_by,
            sha256=sha256,
            gap="; ".join(filter(None, gaps)) or None,
        )
