"""The files that a database server wrote for an export, hashed on this host.

The path is a literal of a statement, so somebody who may query the database chose it, and the agent runs as
root: only a regular file that was written about when the statement was is opened, and no link is followed
in its last part.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from collectors.database_statements import Statement
from collectors.file_changes import FileFacts, facts_of
from collectors.file_hashing import TOO_LATE, FileHasher, HashJob
from collectors.linux.beneath import Root
from event_schema.ocsf_objects import FileType

WAITING_MAX: Final = 200
HASH_WAIT_S: Final = 60.0
_WRITTEN_BEFORE_MS: Final = 6 * 3600 * 1000
_WRITTEN_AFTER_MS: Final = 60_000
NOT_HERE: Final = "an exported file was not on this host, or not as it was written"
TOO_MANY: Final = "too many exported files wait for their hash"


class ExportedFile(msgspec.Struct, frozen=True):
    statement: Statement
    path: str
    size: int
    sha256: str | None
    gap: str | None


class _Waiting:
    def __init__(self, statement: Statement, job: HashJob) -> None:
        self.statement, self.job = statement, job
        self.until_s = time.monotonic() + HASH_WAIT_S


class ExportedFiles:
    """`hasher` is the caller's."""

    def __init__(self, hasher: FileHasher) -> None:
        self._hasher = hasher
        self._waiting: deque[_Waiting] = deque()
        self._dropped: Counter[str] = Counter()

    def dropped(self) -> Mapping[str, int]:
        return self._dropped

    def add(self, statement: Statement, path: str) -> None:
        if len(self._waiting) >= WAITING_MAX:
            self._dropped[TOO_MANY] += 1
            return
        facts = _written_file(path, statement.at_ms)
        if facts is None:
            self._dropped[NOT_HERE] += 1
            return
        job = HashJob(Root(str(Path(path).parent)), path, facts)
        self._hasher.submit(job)
        self._waiting.append(_Waiting(statement, job))

    def ready(self, *, at_end: bool = False) -> list[ExportedFile]:
        """The files whose hash is there, or will not be."""
        self._hasher.done()
        self._hasher.look_after()
        found = []
        for _ in range(len(self._waiting)):
            each = self._waiting.popleft()
            if each.job.result is None and time.monotonic() < each.until_s and not at_end:
                self._waiting.append(each)
                continue
            found.append(_finished(each))
        return found


def _finished(waiting: _Waiting) -> ExportedFile:
    job, result = waiting.job, waiting.job.result
    if result is None:
        job.cancelled = True
        return ExportedFile(waiting.statement, job.path, job.facts.size, None, TOO_LATE)
    size = (result.facts or job.facts).size
    return ExportedFile(waiting.statement, job.path, size, result.sha256, result.gap)


def _written_file(path: str, at_ms: int) -> FileFacts | None:
    if "\0" in path or not path.startswith("/") or len(path) > 4096:
        return None
    try:
        facts = facts_of(Path(path).lstat())
    except (OSError, ValueError):
        return None
    modified_ms = facts.modified_ns // 1_000_000
    is_fresh = at_ms - _WRITTEN_BEFORE_MS <= modified_ms <= at_ms + _WRITTEN_AFTER_MS
    return facts if facts.type_id is FileType.REGULAR and is_fresh else None
