"""Reading finished files in a thread of its own, which nobody has to wait for.

- The file is open only while a piece of it is read, so that the user can unmount the device. Each piece is
  read from a new descriptor, which must show the same file, unchanged, or the job is given up.
- Size and content come from the same descriptors; access times stay as they are. FIFOs, devices and links are
  never opened, nor is what another mount put in the file's place, nor anything outside the watched place.
- A drive can stop answering: a call to it then lasts until somebody pulls it out. Its thread is left to
  itself, to end when it can, and another one goes on with the other drives.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import platform
import queue
import threading
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, Generic, TypeVar

from collectors.file_changes import FileFacts, facts_of
from collectors.linux.beneath import Root

GONE_ERRORS: Final = (
    *(errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EXDEV),
    *(errno.ESTALE, errno.ENODEV),
)
"""Also where a link or another mount stands in the way now."""
_IOPRIO_SET: Final = {"x86_64": 251, "aarch64": 30, "riscv64": 30}
_IOPRIO_IDLE: Final = 3 << 13
SILENT_AFTER_S: Final = 3.0
"""One piece takes some milliseconds; on a stick that is being written to it can take a second."""
ABANDON_AFTER_S: Final = 10.0
_MOST_ABANDONED: Final = 4
_CLOSE_WITHIN_S: Final = 0.3
_LOOK_UP_S: Final = 2.0
"""How often a thread without work wakes; `close` wakes it at once."""

_Result = TypeVar("_Result")


class DriveJob(Generic[_Result]):
    """One file to read. The owner may change `path` when the file is renamed, and set `cancelled`. `as_was`:
    only while it is what `facts` say; otherwise as it is when its turn comes."""

    __slots__ = ("as_was", "cancelled", "facts", "path", "result", "root")

    def __init__(self, root: Root, path: str, facts: FileFacts, *, as_was: bool = False) -> None:
        self.as_was = as_was
        self.root = root
        self.path = path
        self.facts = facts
        self.cancelled = False
        self.result: _Result | None = None


class Worker:
    """One reading thread. `at`: since when (monotonic) it reads from which file; None between pieces."""

    def __init__(self, run: Callable[[Worker], None], name: str) -> None:
        self.at: tuple[float, DriveJob[Any]] | None = None
        self.is_abandoned = False
        self.state: Any = None
        """What the reader keeps for each thread."""
        self.idle_since = time.monotonic()
        self.thread = threading.Thread(target=run, args=(self,), name=name, daemon=True)

    @contextmanager
    def opened(self, job: DriveJob[Any]) -> Iterator[tuple[int, FileFacts]]:
        """A descriptor for one piece, and what it shows now. OSError."""
        self.at = (time.monotonic(), job)
        try:
            fd = job.root.open_regular(job.path, job.facts.device, job.facts.inode)
            try:
                yield fd, facts_of(os.fstat(fd))
            finally:
                os.close(fd)
        finally:
            self.at = None


class DriveReader(ABC, Generic[_Result]):
    """Takes jobs, gives them back with their result. `fileno` is readable when some are done.

    What a subclass does with a file: `_process`; its words for what went wrong: `_no_result`.
    """

    def __init__(self, name: str, most_waiting: int) -> None:
        self._name = name
        self._jobs: queue.Queue[DriveJob[_Result] | None] = queue.Queue(most_waiting)
        self._done: queue.SimpleQueue[DriveJob[_Result]] = queue.SimpleQueue()
        self._dropped: Counter[str] = Counter()
        self._stop = threading.Event()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._lock = threading.Lock()
        self._abandoned: list[Worker] = []
        self._worker = Worker(self._run, f"file-{name}")
        self._worker.thread.start()

    @abstractmethod
    def _process(self, job: DriveJob[_Result], worker: Worker) -> _Result | None:
        """In the reading thread. None when the agent stops."""

    @abstractmethod
    def _no_answer(self) -> _Result:
        """The result for a drive that does not answer."""

    @abstractmethod
    def _gap_of(self, result: _Result) -> str | None:
        """What is to be counted as missing."""

    def _started(self, worker: Worker) -> None:
        """In the reading thread, before its first job."""

    def _between(self, worker: Worker) -> None:
        """In the reading thread, while nothing waits."""

    def _stopped(self, worker: Worker) -> None:
        """In the reading thread, when it ends."""

    def fileno(self) -> int:
        return self._wake

    def done(self) -> list[DriveJob[_Result]]:
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

    def dropped(self) -> Mapping[str, int]:
        """Files that went without a result, by reason."""
        return self._dropped

    def close(self) -> None:
        """Ends the thread; what waits is left without a result. May be called twice."""
        self._stop.set()
        with contextlib.suppress(queue.Full):
            self._jobs.put_nowait(None)
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
                # Each of them holds a drive. Files go without a result until one answers.
                return
            self._abandon()
            self._finish(at[1], self._no_answer())
            self._worker = Worker(self._run, f"file-{self._name}")
            self._worker.thread.start()

    def _abandon(self) -> None:
        if not self._worker.is_abandoned:
            self._worker.is_abandoned = True
            self._abandoned.append(self._worker)
            # One that is at no drive has only not been given a core yet to end on.
            if self._worker.at is not None:
                self._dropped[f"a {self._name} thread was left waiting for a drive that does not answer"] += 1

    def _finish(self, job: DriveJob[_Result], result: _Result) -> None:
        job.result = result
        gap = self._gap_of(result)
        if gap is not None and not job.cancelled:
            self._dropped[gap] += 1
        self._done.put(job)
        os.eventfd_write(self._wake, 1)

    def _run(self, worker: Worker) -> None:
        try:
            self._until_stopped(worker)
        finally:
            self._stopped(worker)
            with self._lock:
                worker.at = None
                if worker in self._abandoned:
                    self._abandoned.remove(worker)

    def _until_stopped(self, worker: Worker) -> None:
        yield_to_users()
        self._started(worker)
        while not self._stop.is_set():
            try:
                job = self._jobs.get(timeout=_LOOK_UP_S)
            except queue.Empty:
                self._between(worker)
                continue
            if job is None:
                continue
            result = self._no_answer() if job.root in self.silent() else self._process(job, worker)
            with self._lock:
                if worker.is_abandoned:
                    return
                if result is not None:
                    self._finish(job, result)


def yield_to_users() -> None:
    """Lowest CPU priority, idle I/O priority, for the calling thread alone and the processes it starts."""
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)
    number = _IOPRIO_SET.get(platform.machine())
    if number is not None:
        ctypes.CDLL(None).syscall(number, 1, 0, _IOPRIO_IDLE)
