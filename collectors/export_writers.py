"""Which running programs write a database's export, and into which files: pg_dump, mysqldump, psql …

A client is known by its executable. What its standard output is when it starts is an export: a file that a
shell opened for it (`pg_dump > file`), or a pipe to a program beside it, whose output is one then too
(`mysqldump | gzip > file`). What it opens itself is told by whoever sees files closed.

Looked at is what a descriptor is, never an argument. Not seen: a program that the client itself starts, a
client on another machine (`ssh host pg_dump > file`), one that ended before its start was read.
"""

from __future__ import annotations

import os
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Final, Generic, TypeVar

from collectors.linux.process_tree import ProcessFacts
from collectors.sql_exports import DUMP_PROGRAMS

CLIENTS: Final = DUMP_PROGRAMS | {"psql", "mysql", "mariadb"}
"""Names of executables."""
KEPT_S: Final = 24 * 3600.0
"""What runs longer is not known any more when its file is closed."""
MOST: Final = 4_096
_BESIDE_S: Final = 60.0
"""How long programs that start beside a client are looked at."""
_LONGEST_PIPELINE: Final = 8
_PIPE: Final = re.compile(r"pipe:\[(\d+)\]")
_FLAGS: Final = re.compile(rb"^flags:\s*([0-7]+)$", re.MULTILINE)

FileKey = tuple[int, int, str]
"""Device, inode and path: an inode's number is given to another file when the first is gone."""
_Key = TypeVar("_Key", bound=Hashable)


class ExportWriters:
    """Not for several threads. `folders` are watched: no file elsewhere is looked at, since the file system
    that it lies on may not answer. `beside` gives the processes with this parent. Of more than MOST the
    oldest are forgotten."""

    def __init__(
        self,
        folders: Sequence[str],
        beside: Callable[[int], Iterable[ProcessFacts]],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._below = tuple(folder.rstrip("/") + "/" for folder in folders)
        self._beside = beside
        self._files: _Recent[FileKey] = _Recent(monotonic)
        self._pipes: _Recent[int] = _Recent(monotonic)
        self._writers: _Recent[int] = _Recent(monotonic)
        self._parents: _Recent[int] = _Recent(monotonic, _BESIDE_S)

    def started(self, facts: ProcessFacts) -> None:
        """A program has started; mostly it still runs."""
        self._writers.pop(facts.pid)
        if is_client(facts.executable):
            self._parents.put(facts.parent, facts)
            self._writes_out(facts.pid, facts)
            self._follow_pipes(facts.parent)
        elif self._parents.get(facts.parent) is not None and self._reads_from(facts.pid):
            self._follow_pipes(facts.parent)

    def of_file(self, key: FileKey) -> ProcessFacts | None:
        """The client whose output goes, or went, into this file through its standard output."""
        return self._files.get(key)

    def of_process(self, pid: int) -> ProcessFacts | None:
        """The client whose output this process reads from a pipe."""
        return self._writers.get(pid)

    def finished(self, key: FileKey) -> None:
        """Whoever writes to the file after this writes something else."""
        self._files.pop(key)

    def _writes_out(self, pid: int, client: ProcessFacts) -> bool:
        """True if its output goes into a pipe that was not known."""
        output = _target(pid, 1)
        pipe = _PIPE.fullmatch(output)
        if pipe is not None:
            is_new = self._pipes.get(int(pipe[1])) is None
            self._pipes.put(int(pipe[1]), client)
            return is_new
        if self._is_watched(output) and _is_open_for_writing(pid, 1):
            try:
                status = os.stat(f"/proc/{pid}/fd/1")  # noqa: PTH116 - what it has open, whatever its name
            except OSError:
                return False
            self._files.put((status.st_dev, status.st_ino, output), client)
        return False

    def _is_watched(self, path: str) -> bool:
        # In hidden folders no closing is told.
        return any(path.startswith(each) and "/." not in path[len(each) - 1 :] for each in self._below)

    def _reads_from(self, pid: int) -> bool:
        """True if a client's output goes through it into a pipe that was not known."""
        pipe = _PIPE.fullmatch(_target(pid, 0))
        client = None if pipe is None else self._pipes.get(int(pipe[1]))
        if client is None or client.pid == pid:
            return False
        self._writers.put(pid, client)
        return self._writes_out(pid, client)

    def _follow_pipes(self, parent: int) -> None:
        # The programs of a pipeline start in any order.
        for _ in range(_LONGEST_PIPELINE):
            new = [each.pid for each in self._beside(parent) if self._reads_from(each.pid)]
            if not new:
                return


class _Recent(Generic[_Key]):
    """Clients by a key, for some time."""

    def __init__(self, monotonic: Callable[[], float], kept_s: float = KEPT_S) -> None:
        self._monotonic = monotonic
        self._kept_s = kept_s
        self._kept: OrderedDict[_Key, tuple[float, ProcessFacts]] = OrderedDict()

    def put(self, key: _Key, client: ProcessFacts) -> None:
        self._kept[key] = (self._monotonic(), client)
        self._kept.move_to_end(key)
        if len(self._kept) > MOST:
            self._kept.popitem(last=False)

    def get(self, key: _Key) -> ProcessFacts | None:
        kept = self._kept.get(key)
        return kept[1] if kept is not None and self._monotonic() - kept[0] < self._kept_s else None

    def pop(self, key: _Key) -> None:
        self._kept.pop(key, None)


def is_client(program: str | None) -> bool:
    """Whether this path or name is that of a program that takes records out of databases."""
    return program is not None and program.rpartition("/")[2] in CLIENTS


def _target(pid: int, descriptor: int) -> str:
    """What a process has there: "pipe:[123]", a path; empty where nothing, and where it has ended."""
    try:
        return os.readlink(f"/proc/{pid}/fd/{descriptor}")  # noqa: PTH115 - speed
    except OSError:
        return ""


def _is_open_for_writing(pid: int, descriptor: int) -> bool:
    try:
        with open(f"/proc/{pid}/fdinfo/{descriptor}", "rb") as facts:
            flags = _FLAGS.search(facts.read(1024))
    except OSError:
        return False
    return flags is not None and int(flags[1], 8) & os.O_ACCMODE != os.O_RDONLY
