"""SHA-256 of finished files in a thread of its own, which nobody has to wait for.

- CPU: the thread's own CPU time is kept below a share of one core; it runs at the lowest priority, and
  reads from the disk when nobody else does.
- The file is open only while a piece of it is read (about 2 % of the time when it lies in the page
  cache), so that the user can unmount the device. Each piece is read from a new descriptor, which must
  show the same file, unchanged, or the hash is given up.
- Size and hash come from the same descriptors; access times stay as they are. FIFOs, devices and links are
  never opened, nor is what another mount put in the file's place, nor anything outside the watched place.
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
from collections.abc import Mapping
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
        self._thread = threading.Thread(target=self._run, name="file-hashing", daemon=True)
        self._thread.start()
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
        self._thread.join()
        if self._wake >= 0:
            os.close(self._wake)
            self._wake = -1

    def _run(self) -> None:
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
            while job.result is None and not self._stop.is_set():
                offset = self._advance(job, digest, offset, piece)
                used = time.thread_time() - rested_at
                if used >= _REST_AFTER_S:
                    self._stop.wait(used * (1 / self._cpu_share - 1))
                    rested_at = time.thread_time()
                    self.cpu_seconds = rested_at
            if job.result is not None:
                if job.result.gap is not None and not job.cancelled:
                    self._dropped[job.result.gap] += 1
                self._done.put(job)
                os.eventfd_write(self._wake, 1)

    def _advance(self, job: HashJob, digest: hashlib._Hash, offset: int, piece: memoryview) -> int:
        """Hashes one more piece; sets the job's result when that was the last one, or none can be had."""
        if job.cancelled:
            job.result = HashResult(gap=GONE)
            return offset
        try:
            fd = job.root.open_regular(job.path, job.facts.device, job.facts.inode)
        except OSError as error:
            job.result = HashResult(gap=GONE if error.errno in _GONE else NOT_READABLE)
            return offset
        try:
            facts = facts_of(os.fstat(fd))
            if facts.content_id != job.facts.content_id and offset:
                job.result = HashResult(gap=CHANGED)
                return offset
            job.facts = facts
            if facts.size > self._max_bytes:
                job.result = HashResult(facts=facts, gap=TOO_LARGE)
                return offset
            read = os.preadv(fd, [piece], offset)
        except OSError:
            job.result = HashResult(gap=NOT_READABLE)
            return offset
        finally:
            os.close(fd)
        digest.update(piece[:read])
        offset += read
        if offset >= facts.size:
            job.result = HashResult(sha256=digest.hexdigest(), facts=facts)
        elif read == 0:
            job.result = HashResult(gap=CHANGED)
        return offset


def _yield_to_users() -> None:
    """Lowest CPU priority, idle I/O priority, for the calling thread alone."""
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)
    number = _IOPRIO_SET.get(platform.machine())
    if number is not None:
        ctypes.CDLL(None).syscall(number, 1, 0, _IOPRIO_IDLE)
