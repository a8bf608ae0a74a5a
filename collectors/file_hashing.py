"""SHA-256 of finished files in a thread of its own, which nobody has to wait for.

- CPU: the thread's own CPU time is kept below a share of one core; it runs at the lowest priority, and
  reads from the disk when nobody else does.
- The file is open only while a piece of it is read (about 2 % of the time when it lies in the page
  cache), so that the user can unmount the device. Each piece is read from a new descriptor, which must
  show the same file, unchanged, or the hash is given up.
- Size and hash come from the same descriptors; access times stay as they are. FIFOs, devices and links are
  never opened, nor is what another mount put in the file's place, nor anything outside the watched place.
- A drive can stop answering: a call to it then lasts until somebody pulls it out. Its thread is left to
  itself, to end when it can, and another one goes on with the other drives.
"""

from __future__ import annotations

import ctypes
import errno
import hashlib
import os
import platform
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from collectors.file_changes import FileFacts, facts_of
from collectors.linux.beneath import Root

_PIECE_BYTES: Final = 1024 * 1024
_REST_AFTER_S: Final = 0.005
_GONE: Final = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EXDEV, errno.ESTALE, errno.ENODEV)
"""Also where a link or another mount stands in the way now."""
_IOPRIO_SET: Final = {"x86_64": 251, "aarch64": 30, "riscv64": 30}
_IOPRIO_IDLE: Final = 3 << 13

OFF: Final = "hash skipped: hashing is switched off"
TOO_LARGE: Final = "hash skipped: the file is larger than hash_max_bytes"
TOO_MANY: Final = "hash skipped: too many files are waiting for theirs"
TOO_LATE: Final = "hash skipped: it was not ready in time"
CHANGED: Final = "hash skipped: the file changed while it was read"
GONE: Final = "hash skipped: the file was gone before it could be read"
NO_ANSWER: Final = "hash skipped: the drive does not answer"
ABANDONED: Final = "a hashing thread was left waiting for a drive that does not answer"
SILENT_AFTER_S: Final = 3.0
"""One piece takes some milliseconds; on a stick that is being written to it can take a second."""
ABANDON_AFTER_S: Final = 10.0
_MOST_ABANDONED: Final = 4
_CLOSE_WITHIN_S: Final = 0.3
NOT_READABLE: Final = "hash skipped: the file could not be read"


class HashResult(msgspec.Struct, frozen=True):
    """What became of a job: a hash, or a gap that says why there is none."""

    sha256: str | None = None
    facts: FileFacts | None = None
    """From the descriptor that was hashed."""
    gap: str | None = None


class HashJob:
    """One file to hash. The owner may change `path` when the file is renamed, and set `cancelled`."""

    __slots__ = ("cancelled", "facts", "path", "result", "root")

    def __init__(self, root: Root, path: str, facts: FileFacts) -> None:
        self.root = root
        self.path = path
        self.facts = facts
        self.cancelled = False
        self.result: HashResult | None = None


class _Worker:
    """One hashing thread. `at`: since when (monotonic) it reads from which file; None between pieces."""

    def __init__(self, run: Callable[[_Worker], None]) -> None:
        self.at: tuple[float, HashJob] | None = None
        self.is_abandoned = False
        self.thread = threading.Thread(target=run, args=(self,), name="file-hashing", daemon=True)


class FileHasher:
    """Takes jobs, gives them back with their result. `fileno` is readable when some are done."""

    def __init__(self, cpu_share: float, max_bytes: int, most_waiting: int = 20_000) -> None:
        self._cpu_share = cpu_share
        self._max_bytes = max_bytes
        self._jobs: queue.Queue[HashJob] = queue.Queue(most_waiting)
        self._done: queue.SimpleQueue[HashJob] = queue.SimpleQueue()
        self._dropped: Counter[str] = Counter()
        self._stop = threading.Event()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._lock = threading.Lock()
        self._abandoned: list[_Worker] = []
        self._worker = _Worker(self._run)
        self._worker.thread.start()
        self.cpu_seconds = 0.0
        """CPU time that hashing has used."""

    def fileno(self) -> int:
        return self._wake

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

    def done(self) -> list[HashJob]:
        """The jobs that were finished since the last call."""
        try:
            os.eventfd_read(self._wake)
        except BlockingIOError:
            return []
        finished = []
        while True:
            try:
                finished.append(self._done.get_nowait())
            except queue.Empty:
                return finished

    def count_late(self) -> None:
        """The owner gave a job up because it took too long."""
        self._dropped[TOO_LATE] += 1

    def dropped(self) -> Mapping[str, int]:
        """Files that went without a hash, by reason."""
        return self._dropped

    def close(self) -> None:
        """Ends the thread; what waits is left without a result. May be called twice."""
        self._stop.set()
        self._worker.thread.join(_CLOSE_WITHIN_S)
        with self._lock:
            if self._worker.thread.is_alive():
                self._abandon()
            # No thread that is left touches the descriptor.
            if self._wake >= 0:
                os.close(self._wake)
                self._wake = -1

    def silent(self) -> frozenset[Root]:
        """The places that have not answered for some seconds."""
        with self._lock:
            waiting = [worker.at for worker in (self._worker, *self._abandoned)]
        now = time.monotonic()
        return frozenset(at[1].root for at in waiting if at is not None and now - at[0] > SILENT_AFTER_S)

    def look_after(self) -> None:
        """To be called now and then: goes on with other drives while one has not answered for long."""
        with self._lock:
            at = self._worker.at
            if at is None or time.monotonic() - at[0] < ABANDON_AFTER_S:
                return
            if len(self._abandoned) >= _MOST_ABANDONED:
                # Each of them holds a drive. Files go without a hash until one answers.
                return
            self._abandon()
            self._finish(at[1], HashResult(gap=NO_ANSWER))
            self._worker = _Worker(self._run)
            self._worker.thread.start()

    def _abandon(self) -> None:
        if not self._worker.is_abandoned:
            self._worker.is_abandoned = True
            self._abandoned.append(self._worker)
            self._dropped[ABANDONED] += 1

    def _finish(self, job: HashJob, result: HashResult) -> None:
        job.result = result
        if result.gap is not None and not job.cancelled:
            self._dropped[result.gap] += 1
        self._done.put(job)
        os.eventfd_write(self._wake, 1)

    def _run(self, worker: _Worker) -> None:
        try:
            self._hash_until_stopped(worker)
        finally:
            with self._lock:
                worker.at = None
                if worker in self._abandoned:
                    self._abandoned.remove(worker)

    def _hash_until_stopped(self, worker: _Worker) -> None:
        _yield_to_users()
        piece = memoryview(bytearray(_PIECE_BYTES))
        rested_at = time.thread_time()
        while not self._stop.is_set():
            try:
                job = self._jobs.get(timeout=0.2)
            except queue.Empty:
                continue
            digest = hashlib.sha256()
            offset = 0
            result = HashResult(gap=NO_ANSWER) if job.root in self.silent() else None
            while result is None and not self._stop.is_set():
                if job.cancelled:
                    result = HashResult(gap=GONE)
                    break
                worker.at = (time.monotonic(), job)
                result, offset = self._advance(job, digest, offset, piece)
                worker.at = None
                used = time.thread_time() - rested_at
                if used >= _REST_AFTER_S:
                    self._stop.wait(used * (1 / self._cpu_share - 1))
                    rested_at = time.thread_time()
                    self.cpu_seconds = rested_at
            with self._lock:
                if worker.is_abandoned:
                    return
                if result is not None:
                    self._finish(job, result)

    def _advance(
        self, job: HashJob, digest: hashlib._Hash, offset: int, piece: memoryview
    ) -> tuple[HashResult | None, int]:
        """Hashes one more piece: (the result, if that was the last one or none can be had; how far it is)."""
        try:
            fd = job.root.open_regular(job.path, job.facts.device, job.facts.inode)
        except OSError as error:
            return HashResult(gap=GONE if error.errno in _GONE else NOT_READABLE), offset
        try:
            facts = facts_of(os.fstat(fd))
            if facts.content_id != job.facts.content_id and offset:
                return HashResult(gap=CHANGED), offset
            job.facts = facts
            if facts.size > self._max_bytes:
                return HashResult(facts=facts, gap=TOO_LARGE), offset
            read = os.preadv(fd, [piece], offset)
        except OSError:
            return HashResult(gap=NOT_READABLE), offset
        finally:
            os.close(fd)
        digest.update(piece[:read])
        offset += read
        if offset >= facts.size:
            return HashResult(sha256=digest.hexdigest(), facts=facts), offset
        return (HashResult(gap=CHANGED) if read == 0 else None), offset


def _yield_to_users() -> None:
    """Lowest CPU priority, idle I/O priority, for the calling thread alone."""
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)
    number = _IOPRIO_SET.get(platform.machine())
    if number is not None:
        ctypes.CDLL(None).syscall(number, 1, 0, _IOPRIO_IDLE)
