"""Finished files on their way to events: each waits, for a bounded time, for its hash, labels and author.

The kernel's audit record of an act arrives some milliseconds after the act itself, and a hash and labels take
as long as they take. Nothing here waits for any beyond its bound, and no file waits for another one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

import msgspec

from collectors.authors import Authors
from collectors.file_changes import ObservedBy
from collectors.file_hashing import GONE, TOO_LATE, FileHasher, HashJob, HashResult
from collectors.file_labelling import TOO_LATE as LABELS_TOO_LATE
from collectors.file_labelling import FileLabelling, LabelJob, LabelResult
from collectors.finished_files import FinishedFile, Unreported
from collectors.path_index import PathIndex
from collectors.steady_clock import SteadyClock
from collectors.storage_cursor import MOST_DONE, Cursor, file_id
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
    label_job: LabelJob | None = None

    @property
    def waits(self) -> bool:
        """Whether something is still being computed."""
        return any(job is not None and job.result is None for job in (self.job, self.label_job))


class StorageReports:
    """Use from one thread."""

    def __init__(
        self,
        source: EventSource,
        hasher: FileHasher,
        authors: Authors,
        hash_wait_s: float,
        clock: SteadyClock,
        labelling: FileLabelling | None = None,
    ) -> None:
        self._clock = clock
        self._labelling = labelling
        self._source = source
        self._hasher = hasher
        self._authors = authors
        self._hash_wait_ms = int(hash_wait_s * 1000)
        self._soon: deque[_Report] = deque()
        self._reading: dict[int, _Report] = {}
        self._of_job: dict[HashJob | LabelJob, int] = {}
        self._by_path: dict[str, int] = {}
        self._count = 0
        self._paths = PathIndex()
        self.done: deque[tuple[int, str]] = deque(maxlen=MOST_DONE)
        """When the files changed that were reported last (ms), and their file_id."""

    def resume(self, cursor: Cursor | None) -> None:
        """What was told before, and may be found once more: it all changed before now."""
        now_ms = self._clock.wall_ms(self._clock.now_ms())
        self.done.extend((now_ms, each) for each in (() if cursor is None else cursor.done))

    def __len__(self) -> int:
        return len(self._soon) + len(self._reading)

    def oldest_ms(self) -> int | None:
        """When the earliest act may have happened that is not an event yet."""
        waiting = [*self._soon, *self._reading.values()]
        return min((report.earliest_ms for report in waiting), default=None)

    def unreported(self) -> list[Unreported]:
        """New files that wait."""
        waiting = [each.finished for each in (*self._soon, *self._reading.values())]
        new = [each for each in waiting if each.activity is FileActivity.CREATE]
        return [(each.held_ns is not None, each.path) for each in new]

    def add(self, finished: FinishedFile, place: WatchedPlace, now_ms: int) -> None:
        """Takes one act."""
        report = _Report(
            finished,
            place.volume,
            place.watcher.observed_by,
            place,
            ready_ms=now_ms + AUTHOR_WAIT_MS,
            earliest_ms=place.earliest_ms(finished),
        )
        facts = finished.facts
        if (
            finished.activity in _HASHED
            and not finished.is_deleted
            and facts is not None
            and facts.type_id is FileType.REGULAR
        ):
            taken: list[HashJob | LabelJob] = []
            report.job = HashJob(place.root, finished.path, facts)
            if self._hasher.submit(report.job):
                taken.append(report.job)
            if self._labelling is not None:
                report.label_job = LabelJob(place.root, finished.path, facts)
                if self._labelling.submit(report.label_job):
                    taken.append(report.label_job)
            if taken:
                # Though they may be done by now: `ready` hears of each that was taken.
                report.ready_ms = now_ms + self._hash_wait_ms
                self._read(report, taken)
                return
        self._soon.append(report)

    def renamed(self, old_path: str, new_path: str, *, is_folder: bool) -> None:
        """A file that waits for its hash or labels has another name now: it is to be read there."""
        if not is_folder:
            self._move(old_path, new_path)
            return
        for path in list(self._paths.below(old_path)):
            self._move(path, new_path + path[len(old_path) :])

    def ready(self, now_ms: int) -> list[Event]:
        """The events of all that waits no longer."""
        events: list[Event] = []
        jobs: list[HashJob | LabelJob] = [*self._hasher.done()]
        if self._labelling is not None:
            jobs += self._labelling.done()
        for job in jobs:
            number = self._of_job.pop(job, None)
            if number is not None and not self._reading[number].waits:
                events.append(self._event(self._take(number)))
        while self._soon and self._soon[0].ready_ms <= now_ms:
            events.append(self._event(self._soon.popleft()))
        while self._reading:
            number, report = next(iter(self._reading.items()))
            if report.ready_ms > now_ms:
                break
            events.append(self._give_up(number, TOO_LATE, LABELS_TOO_LATE, count=True))
        return events

    def give_up(
        self, no_hash: str, no_labels: str, only: Callable[[WatchedPlace], bool] = lambda _: True
    ) -> list[Event]:
        """The events of these places as they are, because nothing more can be read there."""
        numbers = [number for number, report in self._reading.items() if only(report.place)]
        events = [self._give_up(number, no_hash, no_labels) for number in numbers]
        kept: deque[_Report] = deque()
        for report in self._soon:
            if only(report.place):
                events.append(self._event(report))
            else:
                kept.append(report)
        self._soon = kept
        return events

    def _read(self, report: _Report, jobs: list[HashJob | LabelJob]) -> None:
        self._count += 1
        self._reading[self._count] = report
        for job in jobs:
            self._of_job[job] = self._count
        self._by_path[report.finished.path] = self._count
        self._paths.add(report.finished.path)

    def _move(self, path: str, new_path: str) -> None:
        number = self._by_path.pop(path, None)
        if number is None:
            return
        self._paths.discard(path)
        report = self._reading[number]
        for job in (report.job, report.label_job):
            if job is not None:
                job.path = new_path
        self._by_path[new_path] = number
        self._paths.add(new_path)

    def _take(self, number: int) -> _Report:
        report = self._reading.pop(number)
        for job in (report.job, report.label_job):
            if job is not None:
                self._of_job.pop(job, None)
        if report.job is not None and self._by_path.get(report.job.path) == number:
            del self._by_path[report.job.path]
            self._paths.discard(report.job.path)
        return report

    def _give_up(self, number: int, no_hash: str, no_labels: str, *, count: bool = False) -> Event:
        """Its event with what there is. `count`: what is missing is late."""
        report = self._take(number)
        for job in (report.job, report.label_job):
            if job is not None:
                job.cancelled = True
        # Asked once each: the reading threads may answer at this very moment.
        result = None if report.job is None else report.job.result
        label_result = None if report.label_job is None else report.label_job.result
        if report.job is not None and result is None:
            result = HashResult(gap=no_hash)
            if count:
                self._hasher.count_late()
        if report.label_job is not None and label_result is None:
            label_result = LabelResult(gap=no_labels)
            if count and self._labelling is not None:
                self._labelling.count_late()
        return self._told(report, result, label_result)

    def _event(self, report: _Report) -> Event:
        return self._told(
            report,
            None if report.job is None else report.job.result,
            None if report.label_job is None else report.label_job.result,
        )

    def _told(self, report: _Report, result: HashResult | None, label_result: LabelResult | None) -> Event:
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
        if label_result is not None:
            gaps.append(label_result.gap)
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
            labels=None if label_result is None else label_result.labels,
            gap="; ".join(filter(None, gaps)) or None,
        )
