"""Labels of finished files, beside their hash: read the same way (drive_reading.py), in a queue of their own.

What parses is a confined process (labels/); it holds no descriptor, but asks this thread for pieces, and for
rests: the share of a core is one that all who read files have together (reading_pace.py). It, and what one
file may cost, are settings of the labels. After a minute without files the
process is given back.
"""

from __future__ import annotations

import os
import queue
import time
from typing import Final

import msgspec

from collectors.drive_reading import GONE_ERRORS, DriveJob, DriveReader, Worker
from collectors.labels import FileLabels, Labeller, LabelSettings
from collectors.labels.file_labels import failed
from collectors.reading_pace import OF_THE_AGENT, ReadingPace
from event_schema.ocsf_labels import ClassificationStatus

TOO_MANY: Final = "labels skipped: too many files are waiting for theirs"
TOO_LATE: Final = "labels skipped: they were not ready in time"
CHANGED: Final = "labels skipped: the file changed while it was read"
CHANGED_BEFORE: Final = "labels skipped: the file changed before it could be read"
GONE: Final = "labels skipped: the file was gone before it could be read"
NO_ANSWER: Final = "labels skipped: the drive does not answer"
NOT_READABLE: Final = "labels skipped: the file could not be read"
PARTIAL: Final = "labels are partial"
_REST_AFTER_S: Final = 60.0


class LabelResult(msgspec.Struct, frozen=True):
    """What became of a job: labels, and a gap that says what is missing in them."""

    labels: FileLabels | None = None
    gap: str | None = None


LabelJob = DriveJob[LabelResult]
"""One file to label."""


class FileLabelling(DriveReader[LabelResult]):
    """See DriveReader."""

    def __init__(
        self, settings: LabelSettings, most_waiting: int = 20_000, pace: ReadingPace = OF_THE_AGENT
    ) -> None:
        self._settings = settings
        self._pace = pace
        super().__init__("labelling", most_waiting)

    def submit(self, job: LabelJob) -> bool:
        """False when too many are waiting; it is counted, and the file goes without labels."""
        try:
            self._jobs.put_nowait(job)
        except queue.Full:
            job.result = LabelResult(gap=TOO_MANY)
            self._dropped[TOO_MANY] += 1
            return False
        return True

    def count_late(self) -> None:
        """The owner gave a job up because it took too long."""
        self._dropped[TOO_LATE] += 1

    def describe(self) -> str | None:
        """How the process that reads is confined; None as long as there was none."""
        held = getattr(self._worker.state, "held", None)
        return ", ".join(held) if held else None

    def _no_answer(self) -> LabelResult:
        return LabelResult(gap=NO_ANSWER)

    def _gap_of(self, result: LabelResult) -> str | None:
        labels = result.labels
        if labels is None or labels.status is ClassificationStatus.FAIL:
            return result.gap
        return None if result.gap is None else PARTIAL

    def _started(self, worker: Worker) -> None:
        worker.state = Labeller(self._settings, self._rest)
        worker.idle_since = time.monotonic()

    def _rest(self, used_s: float) -> None:
        self._stop.wait(self._pace.rest_s(used_s, self._settings.cpu_share))

    def _between(self, worker: Worker) -> None:
        if time.monotonic() - worker.idle_since > _REST_AFTER_S:
            worker.state.rest()

    def _stopped(self, worker: Worker) -> None:
        if worker.state is not None:
            worker.state.rest()

    def _process(self, job: LabelJob, worker: Worker) -> LabelResult | None:
        labeller: Labeller = worker.state
        source = _Pieces(job, worker)
        labels = failed(NOT_READABLE) if job.cancelled else labeller.label(source)
        worker.idle_since = time.monotonic()
        if self._stop.is_set() and source.gap is None and labels.gap is not None:
            return None
        if source.gap is not None:
            return LabelResult(gap=source.gap)
        return LabelResult(labels, None if labels.gap is None else f"labels: {labels.gap}")


class _Pieces:
    """A Source that opens the file for each piece, and gives up when it is not the same any more."""

    def __init__(self, job: LabelJob, worker: Worker) -> None:
        self._job, self._worker = job, worker
        self._content: tuple[int, int, int] | None = None
        self.gap: str | None = None

    def size(self) -> int:
        try:
            with self._worker.opened(self._job) as (_, facts):
                if self._job.as_was and facts.content_id != self._job.facts.content_id:
                    self.gap = CHANGED_BEFORE
                    raise OSError(CHANGED_BEFORE)
                self._content = facts.content_id
                return facts.size
        except OSError as error:
            self.gap = self.gap or (GONE if error.errno in GONE_ERRORS else NOT_READABLE)
            raise

    def read(self, offset: int, length: int) -> bytes:
        if self._job.cancelled or self.gap is not None:
            raise OSError("given up")
        try:
            with self._worker.opened(self._job) as (fd, facts):
                if facts.content_id != self._content:
                    self.gap = CHANGED
                    raise OSError(CHANGED)
                return os.pread(fd, length, offset)
        except OSError as error:
            self.gap = self.gap or (GONE if error.errno in GONE_ERRORS else NOT_READABLE)
            raise
