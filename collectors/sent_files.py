"""SHA-256 and labels of files that were sent, read afterwards where they lie.

Nobody waits for it: threads of their own read (drive_reading.py), within a share of a core, and an event
waits `hash_wait_s` at most. By then the file may be gone, or hold something else. Only what still has the
inode, size and time of change that were noted when it was opened is what was sent; of all else the event
says why its hash is missing. The threads are made when the first file comes.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from collectors.drive_reading import DriveReader
from collectors.file_changes import FileFacts
from collectors.file_hashing import TOO_LATE, FileHasher, HashJob, HashResult
from collectors.file_labelling import TOO_LATE as LABELS_TOO_LATE
from collectors.file_labelling import FileLabelling, LabelJob, LabelResult
from collectors.labels import FileLabels, LabelSettings
from collectors.linux.beneath import Root
from collectors.sent_file_settings import SentFileSettings
from event_schema.ocsf_objects import FileType

STOPPED: Final = ("hash skipped: the agent was stopped", "labels skipped: the agent was stopped")
OUTSIDE: Final = "hash skipped: the file lies in none of the watched folders"
_MOST_ROOTS: Final = 256


class SentFile:
    """One file on its way to its hash and labels, or without any (`gap` says why)."""

    def __init__(
        self, hash_job: HashJob | None, label_job: LabelJob | None, until_s: float, gap: str | None = None
    ) -> None:
        self.until_s = until_s
        self._jobs = (hash_job, label_job)
        self._gaps = [] if gap is None else [gap]
        self._is_done = False
        self.sha256: str | None = None
        self.labels: FileLabels | None = None

    @property
    def gap(self) -> str | None:
        """Why something is missing."""
        return "; ".join(self._gaps) or None

    def waits(self) -> tuple[bool, bool]:
        """Whether hash and labels are still being computed."""
        hash_job, label_job = self._jobs
        is_open = not self._is_done
        return (
            is_open and hash_job is not None and hash_job.result is None,
            is_open and label_job is not None and label_job.result is None,
        )

    def settle(self, no_hash: str, no_labels: str) -> None:
        """Takes what is there by now, and these reasons for what is not. Whatever the threads say of it
        later changes nothing."""
        if self._is_done:
            return
        self._is_done = True
        hash_job, label_job = self._jobs
        if hash_job is not None:
            found = hash_job.result or HashResult(gap=no_hash)
            hash_job.cancelled = True
            self.sha256 = found.sha256
            self._gaps += filter(None, [found.gap])
        if label_job is not None:
            read = label_job.result or LabelResult(gap=no_labels)
            label_job.cancelled = True
            self.labels = read.labels
            self._gaps += filter(None, [read.gap])


class SentFiles:
    """Use from one thread."""

    def __init__(self, config: SentFileSettings, label_settings: LabelSettings | None) -> None:
        self._config = config
        is_labelled = config.labels and label_settings is not None and label_settings.enabled
        self._label_settings = label_settings if is_labelled else None
        self._hasher: FileHasher | None = None
        self._labelling: FileLabelling | None = None
        self._roots: dict[tuple[str, int], Root] = {}
        self._dropped: Counter[str] = Counter()

    def begin(self, root: Root | None, path: str, facts: FileFacts) -> SentFile:
        """Has a file read that had these facts when it was sent. `root`: the place that it lies in."""
        if root is None:
            self._dropped[OUTSIDE] += 1
            return SentFile(None, None, 0.0, OUTSIDE)
        if self._hasher is None:
            self._hasher = FileHasher(self._config.hash_cpu_share, self._config.hash_max_bytes)
            if self._label_settings is not None:
                self._labelling = FileLabelling(self._label_settings)
        hash_job, label_job = HashJob(root, path, facts, as_was=True), None
        self._hasher.submit(hash_job)
        if self._labelling is not None:
            label_job = LabelJob(root, path, facts, as_was=True)
            self._labelling.submit(label_job)
        return SentFile(hash_job, label_job, time.monotonic() + self._config.hash_wait_s)

    def begin_below(
        self, folders: Sequence[str], path: str, key: tuple[int, int], size: int, modified_ns: int
    ) -> SentFile:
        """The same for a file in watched folders, of which only this is known. key: device and inode."""
        facts = FileFacts(*key, FileType.REGULAR, size, 0, 1, modified_ns, modified_ns)
        return self.begin(self._root_of(folders, path, key[0]), path, facts)

    def _root_of(self, folders: Sequence[str], path: str, device: int) -> Root | None:
        """The watched folder that a path lies in, as a place to read from. One for each file system, so that
        one that does not answer keeps nobody else waiting."""
        folder = next((each for each in folders if path.startswith(each.rstrip("/") + "/")), None)
        if folder is None:
            return None
        with contextlib.suppress(OSError):
            status, known = Path(folder).stat(), self._roots.get((folder, device))
            if known is None or (known.device, known.inode) != (status.st_dev, status.st_ino):
                if len(self._roots) >= _MOST_ROOTS:
                    self._roots.clear()
                known = self._roots[folder, device] = Root(folder)
            return known
        return None

    def turn(self) -> None:
        """To be called now and then."""
        for reader in self._readers():
            reader.done()
            reader.look_after()

    def is_ready(self, sent: SentFile, *, at_end: bool = False) -> bool:
        """Whether the event need not wait any longer. `at_end`: because the agent stops."""
        no_hash, no_labels = sent.waits()
        if (no_hash or no_labels) and not at_end:
            if time.monotonic() < sent.until_s:
                return False
            if no_hash and self._hasher is not None:
                self._hasher.count_late()
            if no_labels and self._labelling is not None:
                self._labelling.count_late()
        sent.settle(*(STOPPED if at_end else (TOO_LATE, LABELS_TOO_LATE)))
        return True

    def cancel(self, sent: SentFile) -> None:
        """There will be no event."""
        sent.settle(*STOPPED)

    def describe(self) -> str | None:
        """How the process that reads for labels is confined; None as long as there was none."""
        return None if self._labelling is None else self._labelling.describe()

    def dropped(self) -> Mapping[str, int]:
        """Files that went without a hash or labels, by reason."""
        total = Counter(self._dropped)
        for reader in self._readers():
            total.update(reader.dropped())
        return total

    def close(self) -> None:
        """May be called twice."""
        for reader in self._readers():
            self._dropped.update(reader.dropped())
            reader.close()
        self._hasher = self._labelling = None

    def _readers(self) -> list[DriveReader[HashResult] | DriveReader[LabelResult]]:
        return [each for each in (self._hasher, self._labelling) if each is not None]
