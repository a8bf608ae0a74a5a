"""One mounted device, or one folder, that is being watched: its watcher, its rescans, its finished files."""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Final

from collectors.contract import Unsupported
from collectors.file_changes import Change, ChangeKind, FileFacts, Watcher, facts_of, look
from collectors.finished_files import FinishedFile, FinishedFiles
from collectors.linux.beneath import Root
from collectors.linux.birth_time import birth_time_ns
from collectors.linux.fanotify_fd import FanotifyFdWatcher, RenamedFiles
from collectors.linux.fanotify_fid import FanotifyFidWatcher
from collectors.linux.process_identity import Who
from collectors.reported_files import ReportedFiles
from collectors.steady_clock import SteadyClock
from collectors.storage_config import RemovableStorageConfig
from collectors.storage_cursor import Cursor, file_id, path_id
from collectors.storage_events import Volume
from event_schema.printable import printable_name

FindWho = Callable[[Change, Callable[[str], FileFacts | None]], Who]
"""Who is behind a change; with a way to look at the file, for its owner."""

_READS_A_STEP: Final = 8
_RESCAN_BATCH_S: Final = 0.05
_RESCAN_BATCH_FILES: Final = 500
_LOOK_AGAIN_AFTER_MS: Final = 1_000
"""What is lost comes in bursts; one rescan is enough for all of a burst."""
_CLOCK_STEP_MS: Final = 50
_FAT_CLOCK_STEP_MS: Final = 2_100
"""How far a file's times can lie before the act: FAT, also over FUSE, rounds them down to two seconds."""
_COARSE: Final = frozenset(("vfat", "msdos", "exfat", "fuse", "fuseblk"))
WHILE_WRITING: Final = "the file was still being written when the device went away"
_WITH_WATCH: Final = frozenset(
    (ChangeKind.CREATED, ChangeKind.WRITTEN, ChangeKind.RENAMED, ChangeKind.DELETED)
)

_REFUSED: Final = frozenset((errno.ENODEV, errno.EXDEV, errno.EOPNOTSUPP, errno.EINVAL))
_NOT_PERMITTED: Final = frozenset((errno.EPERM, errno.EACCES, errno.ENOSYS))


def open_watcher(target: str, *, whole_file_system: bool) -> Watcher:
    """The best watcher that this place allows. Raises Unsupported or OSError where there is none."""
    if whole_file_system:
        for make in (FanotifyFidWatcher, FanotifyFdWatcher):
            try:
                return make(target)
            except OSError as error:
                if error.errno not in _REFUSED | _NOT_PERMITTED:
                    raise
    try:
        from collectors.linux.watchdog_watch import WatchdogWatcher  # noqa: PLC0415 - optional, and 20 MB
    except ImportError as error:
        raise Unsupported(
            "fanotify is not permitted, and watchdog is missing: run as root, or install watchdog"
        ) from error
    return WatchdogWatcher(target)


class WatchedPlace:
    """Made watching. `whole_file_system` is for mount points; folders are watched by themselves."""

    def __init__(
        self,
        target: str,
        volume: Volume,
        config: RemovableStorageConfig,
        *,
        whole_file_system: bool,
        clock: SteadyClock,
        fs_type: str = "",
        reported: ReportedFiles | None = None,
    ) -> None:
        self.target = target
        self.volume = volume
        self.place_id = ""
        """What stands for it in cursors."""
        self.is_mount = whole_file_system
        self._clock_step_ms = _FAT_CLOCK_STEP_MS if fs_type in _COARSE else _CLOCK_STEP_MS
        self.watcher = open_watcher(target, whole_file_system=whole_file_system)
        self.root = self.watcher.root
        self.files = FinishedFiles(
            settle_ms=int(config.settle_s * 1000),
            longest_ms=int(config.longest_s * 1000),
            follows_inodes=not self.watcher.sees_renames,
            reported=reported,
        )
        self._clock = clock
        now_ms = clock.now_ms()
        self._rescans: deque[tuple[int, Iterator[list[_Found]]]] = deque()
        """Since when each looks, and what it finds."""
        self._complete_until_ms = now_ms
        self._lost_since_ms: int | None = None
        self._look_again_ms = 0
        self._lag_ms = 0
        self._renamed = RenamedFiles(self.root)
        self.rescans = 0

    def describe(self) -> str:
        """How this place is watched, in words."""
        words = {"fanotify_fid": "fanotify FID", "fanotify_fd": "fanotify fd (renames and deletions unseen)"}
        how = words.get(self.watcher.observed_by, self.watcher.observed_by)
        return f"{how} on {printable_name(self.target)}"

    def rescan(self, since_ms: int, until_ms: int | None = None, resume: Cursor | None = None) -> None:
        """Looks for files that changed in this time, besides all else, a little in each step.

        With `resume`: what changed while nobody watched, without what was reported before that.
        """
        until_ns = None
        if until_ms is not None:
            until_ns = (self._clock.wall_ms(until_ms) + self._clock_step_ms) * 1_000_000
        since_ns = (self._clock.wall_ms(since_ms) - self._clock_step_ms) * 1_000_000
        self._rescans.append((since_ms, _walk(self.root, since_ns, until_ns, resume)))
        self.rescans += 1

    def step(self, now_ms: int, find_who: FindWho) -> tuple[list[Change], list[FinishedFile]]:
        """Reads what there is: the renames in it, and what is finished. Never blocks for long."""
        with self.root.held():
            renames, finished = self._read(now_ms, find_who)
            if self._lost_since_ms is not None and now_ms >= self._look_again_ms:
                self.rescan(self._lost_since_ms)
                self._lost_since_ms = None
            finished += self._rescan_step(now_ms)
            finished += self.files.due(now_ms, self._look)
        self._renamed.forget()
        return renames, finished

    def oldest_ms(self) -> int:
        """The earliest time to look at again if all that is not read and not finished were forgotten."""
        held = [self._complete_until_ms, *(since_ms for since_ms, _ in self._rescans)]
        if self._lost_since_ms is not None:
            held.append(self._lost_since_ms)
        if (oldest := self.files.oldest_ms()) is not None:
            held.append(oldest - self._lag_ms)
        if (found := self.files.oldest_held_ns()) is not None:
            held.append(self._steady_ms(found))
        return min(held)

    def earliest_ms(self, finished: FinishedFile) -> int:
        """Since when one has to look to find an act again, as long as it is not reported."""
        read_ms = finished.at_ms - self._lag_ms
        return read_ms if finished.held_ns is None else min(read_ms, self._steady_ms(finished.held_ns))

    def _steady_ms(self, changed_ns: int) -> int:
        return self._clock.steady_ms(changed_ns // 1_000_000)

    def flush(self, gap: str, *, is_silent: bool = False) -> list[FinishedFile]:
        """All that is not finished, as it is; as it was last seen where the drive does not answer."""
        return self.files.flush(_look_nowhere if is_silent else self._look, gap)

    def is_there(self) -> bool:
        """Whether the same file system still stands at the target."""
        return self.root.is_there()

    def dropped(self) -> Mapping[str, int]:
        """What the watcher knows that it lost, by reason."""
        return self.watcher.dropped()

    def close(self) -> None:
        """Stops watching. May be called twice."""
        self._rescans.clear()
        self.watcher.close()

    def _read(self, now_ms: int, find_who: FindWho) -> tuple[list[Change], list[FinishedFile]]:
        finished: list[FinishedFile] = []
        renames: list[Change] = []
        for _ in range(_READS_A_STEP):
            changes = self.watcher.read(now_ms)
            if not changes:
                self._complete_until_ms = now_ms
                break
            # What is read now may have happened any time since the queue was last seen empty.
            lag_ms = now_ms - self._complete_until_ms
            self._lag_ms = max(lag_ms, self._lag_ms) if len(self.files) else lag_ms
            for change in changes:
                if change.kind is ChangeKind.LOST:
                    if self._lost_since_ms is None:
                        self._lost_since_ms = self._complete_until_ms
                        self._look_again_ms = now_ms + _LOOK_AGAIN_AFTER_MS
                    continue
                if change.kind is ChangeKind.RENAMED:
                    renames.append(change)
                finished += self.files.take(change, self._who(change, find_who))
        return renames, finished

    def _who(self, change: Change, find_who: FindWho) -> Who | None:
        if change.kind not in _WITH_WATCH:
            return None
        known = self.files.who_of(change.path, change.pid)
        if known is not None and known.source == "audit":
            return known
        return find_who(change, partial(look, self.root))

    def _look(self, path: str, known: FileFacts | None) -> tuple[str, FileFacts] | None:
        facts = look(self.root, path)
        if self.watcher.sees_renames or known is None:
            return None if facts is None else (path, facts)
        if facts is not None and facts.inode == known.inode:
            return path, facts
        found = self._renamed.find(path, (known.device, known.inode), known.size)
        facts = None if found is None else look(self.root, found)
        return None if found is None or facts is None else (found, facts)

    def _rescan_step(self, now_ms: int) -> list[FinishedFile]:
        finished: list[FinishedFile] = []
        if not self._rescans:
            return finished
        batch = next(self._rescans[0][1], None)
        if batch is None:
            self._rescans.popleft()
            return finished
        for path, facts, is_new, held_ns in batch:
            found = Change(
                ChangeKind.FOUND,
                path,
                now_ms,
                facts=facts,
                from_rescan=True,
                is_new=is_new,
                held_ns=held_ns,
            )
            finished += self.files.take(found)
        return finished


def _look_nowhere(path: str, known: FileFacts | None) -> None:
    """A look at a drive that does not answer would not come back."""


_Found = tuple[str, FileFacts, bool, int]
"""A path, the facts about it, whether the file is new, and since when to look to find it again (ns)."""


def _walk(root: Root, since_ns: int, until_ns: int | None, resume: Cursor | None) -> Iterator[list[_Found]]:
    """Files that were made or written in [since, until], in batches that take a moment each."""
    batch: list[_Found] = []
    began = time.monotonic()
    todo = [root.path]
    while todo:
        folder = todo.pop()
        try:
            with root.folder(folder) as fd, os.scandir(fd) as entries:
                for entry in entries:
                    with contextlib.suppress(OSError):
                        path = f"{folder.rstrip('/')}/{entry.name}"
                        if entry.is_dir(follow_symlinks=False):
                            todo.append(path)
                            continue
                        facts = facts_of(entry.stat(follow_symlinks=False))
                        birth = partial(birth_time_ns, entry.name, fd)
                        judged = _judge(path, facts, birth, since_ns, until_ns, resume)
                        if judged is not None:
                            batch.append((path, facts, *judged))
                    if len(batch) >= _RESCAN_BATCH_FILES or time.monotonic() - began > _RESCAN_BATCH_S:
                        yield _in_order(batch)
                        batch, began = [], time.monotonic()
        except OSError:
            continue
    yield _in_order(batch)


def _in_order(batch: list[_Found]) -> list[_Found]:
    """As they came to be: the place to resume from moves on with each that is told."""
    return sorted(batch, key=lambda each: each[3])


def _judge(
    path: str,
    facts: FileFacts,
    birth_time: Callable[[], int | None],
    since_ns: int,
    until_ns: int | None,
    resume: Cursor | None,
) -> tuple[bool, int] | None:
    """Whether the file was made, or only written, in this time, and since when one has to look to judge so
    again; None: neither."""
    if resume is not None and resume.open and path_id(path) in resume.open:
        return True, since_ns
    if facts.changed_ns < since_ns or (until_ns is not None and facts.changed_ns > until_ns):
        return None
    if resume is not None and file_id(path, facts) in resume.done:
        return None
    birth_ns = birth_time()
    if birth_ns is None or birth_ns >= since_ns:
        return True, min(facts.changed_ns if birth_ns is None else birth_ns, facts.changed_ns)
    if facts.modified_ns >= since_ns:
        return False, min(facts.modified_ns, facts.changed_ns)
    # A status that changed alone can be a chmod or a rename. While the agent was away, hours may have
    # passed, and there may be many of those; in the moments of the other rescans a copy is more likely.
    return (False, facts.changed_ns) if resume is None else None
