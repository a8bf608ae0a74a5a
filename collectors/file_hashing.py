"""SHA-256 of finished files, in a thread of its own (drive_reading.py), below a share of one core that all
reading of files has together (reading_pace.py)."""

from __future__ import annotations

import hashlib
import os
import queue
import time
from typing import Final

import msgspec

from collectors.drive_reading import GONE_ERRORS, DriveJob, DriveReader, Worker
from collectors.file_changes import FileFacts
from collectors.reading_pace import OF_THE_AGENT, ReadingPace

_PIECE_BYTES: Final = 1024 * 1024
_REST_AFTER_S: Final = 0.005

OFF: Final = "hash skipped: hashing is switched off"
TOO_LARGE: Final = "hash skipped: the file is larger than hash_max_bytes"
TOO_MANY: Final = "hash skipped: too many files are waiting for theirs"
TOO_LATE: Final = "hash skipped: it was not ready in time"
CHANGED: Final = "hash skipped: the file changed while it was read"
CHANGED_BEFORE: Final = "hash skipped: the file changed before it could be read"
GONE: Final = "hash skipped: the file was gone before it could be read"
NO_ANSWER: Final = "hash skipped: the drive does not answer"
NOT_READABLE: Final = "hash skipped: the file could not be read"
_NAME: Final = "hashing"
ABANDONED: Final = f"a {_NAME} thread was left waiting for a drive that does not answer"


class HashResult(msgspec.Struct, frozen=True):
    """What became of a job: a hash, or a gap that says why there is none."""

    sha256: str | None = None
    facts: FileFacts | None = None
    """From the descriptor that was hashed."""
    gap: str | None = None


HashJob = DriveJob[HashResult]
"""One file to hash."""


class FileHasher(DriveReader[HashResult]):
    """See DriveReader. The file is open about 2 % of the time when it lies in the page cache."""

    def __init__(
        self,
        cpu_share: float,
        max_bytes: int,
        most_waiting: int = 20_000,
        pace: ReadingPace = OF_THE_AGENT,
    ) -> None:
        self._cpu_share = cpu_share
        self._pace = pace
        self._max_bytes = max_bytes
        self.cpu_seconds = 0.0
        """CPU time that hashing has used."""
        super().__init__(_NAME, most_waiting)

    def submit(self, job: HashJob) -> bool:
        """False when too many are waiting; it is counted, and the file goes without a hash."""
        if self._max_bytes == 0:
            job.result = HashResult(gap=OFF)
            return False
        if job.facts.size <= self._max_bytes:
            try:
                self._jobs.put_nowait(job)
            except queue.Full:
                job.result = HashResult(gap=TOO_MANY)
        else:
            job.result = HashResult(gap=TOO_LARGE)
        if job.result is not None and job.result.gap is not None:
            self._dropped[job.result.gap] += 1
        return job.result is None

    def count_late(self) -> None:
        """The owner gave a job up because it took too long."""
        self._dropped[TOO_LATE] += 1

    def _no_answer(self) -> HashResult:
        return HashResult(gap=NO_ANSWER)

    def _gap_of(self, result: HashResult) -> str | None:
        return result.gap

    def _started(self, worker: Worker) -> None:
        worker.state = _Hashing()

    def _process(self, job: HashJob, worker: Worker) -> HashResult | None:
        hashing: _Hashing = worker.state
        digest = hashlib.sha256()
        offset = 0
        result: HashResult | None = None
        while result is None and not self._stop.is_set():
            if job.cancelled:
                return HashResult(gap=GONE)
            result, offset = self._advance(job, worker, digest, offset)
            used = time.thread_time() - hashing.rested_at
            if used >= _REST_AFTER_S:
                self._stop.wait(self._pace.rest_s(used, self._cpu_share))
                hashing.rested_at = self.cpu_seconds = time.thread_time()
        return result

    def _advance(
        self, job: HashJob, worker: Worker, digest: hashlib._Hash, offset: int
    ) -> tuple[HashResult | None, int]:
        """Hashes one more piece: (the result, if that was the last one or none can be had; how far it is)."""
        piece: memoryview = worker.state.piece
        is_open = False
        try:
            with worker.opened(job) as (fd, facts):
                is_open = True
                if facts.content_id != job.facts.content_id and (offset or job.as_was):
                    return HashResult(gap=CHANGED if offset else CHANGED_BEFORE), offset
                job.facts = facts
                if facts.size > self._max_bytes:
                    return HashResult(facts=facts, gap=TOO_LARGE), offset
                read = os.preadv(fd, [piece], offset)
        except OSError as error:
            is_gone = not is_open and error.errno in GONE_ERRORS
            return HashResult(gap=GONE if is_gone else NOT_READABLE), offset
        digest.update(piece[:read])
        offset += read
        if offset >= facts.size:
            return HashResult(sha256=digest.hexdigest(), facts=facts), offset
        return (HashResult(gap=CHANGED) if read == 0 else None), offset


class _Hashing:
    """Of one thread: a buffer, and the CPU time at which it last rested."""

    def __init__(self) -> None:
        self.piece = memoryview(bytearray(_PIECE_BYTES))
        self.rested_at = time.thread_time()
