"""Watches a folder by inotify, through the watchdog package: the last resort, it needs no privileges.

Known limits: no process id; a tree that is deleted at once is seen in part; each folder costs a watch.
Only the events that we use are asked for: without a filter watchdog answers its own reads and never
comes to rest in large trees. A new folder is looked at once more after a moment, since files that
were written before its watch stood are not told completely.
"""

from __future__ import annotations

import logging
import os
import threading
import warnings
from collections import Counter, deque
from collections.abc import Callable, Mapping
from typing import ClassVar, Final

from watchdog.events import (
    DirCreatedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver

from collectors.file_changes import Change, ChangeKind, ObservedBy, look
from collectors.linux.beneath import Root

_FILTER: Final[list[type[FileSystemEvent]]] = [
    FileCreatedEvent,
    DirCreatedEvent,
    FileClosedEvent,
    FileMovedEvent,
    DirMovedEvent,
    FileDeletedEvent,
]
_MOST_WAITING: Final = 100_000
_MOST_AT_ONCE: Final = 2_000
_LOOK_AGAIN_MS: Final = 1_500
_NEW_FOR_MS: Final = 500
"""Shorter than a file takes to come to rest, so that nothing in the folder is reported yet."""
_MOST_NEW_FOLDERS: Final = 50_000


class WatchdogWatcher:
    """See Watcher. `target` is any folder."""

    observed_by: ClassVar[ObservedBy] = "watchdog"
    sees_renames: ClassVar[bool] = True
    gathers: ClassVar[bool] = False

    def __init__(self, target: str) -> None:
        self._target = target
        self.root = Root(target)
        self._dropped: Counter[str] = Counter()
        self._waiting: deque[FileSystemEvent] = deque()
        self._new_folders: deque[tuple[int, str]] = deque()
        self._made_ms: dict[str, int] = {}
        self._overflowed = threading.Event()
        # It warns of watches that it sets twice, with a list of all watched paths.
        warnings.filterwarnings("ignore", module=r"watchdog\.")
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._notice = _OverflowNotice(self._overflow)
        inotify_log = logging.getLogger(_INOTIFY_LOG)
        inotify_log.addHandler(self._notice)
        # Whatever the program wants to see in its log, this one must be heard here.
        inotify_log.setLevel(logging.WARNING)
        self._observer: BaseObserver | None = None
        try:
            self._observer = observer = Observer()
            observer.schedule(_Handler(self._put), target, recursive=True, event_filter=_FILTER)
            observer.start()
        except BaseException:
            self.close()
            raise

    def fileno(self) -> int:
        return self._wake

    def read(self, now_ms: int) -> list[Change]:
        try:
            os.eventfd_read(self._wake)
        except BlockingIOError:
            if not self._new_folders:
                return []
        changes: list[Change] = []
        if self._overflowed.is_set():
            self._overflowed.clear()
            self._dropped["the inotify queue overflowed"] += 1
            changes.append(Change(ChangeKind.LOST, self._target, now_ms))
        for _ in range(_MOST_AT_ONCE):
            if not self._waiting:
                break
            change = self._change(self._waiting.popleft(), now_ms)
            if change is not None and not self._is_led_away(change):
                if self._is_in_new_folder(change, now_ms):
                    # Whatever lies in a new folder is new, though its creation may have gone unseen.
                    changes.append(Change(ChangeKind.FOUND, change.path, now_ms))
                changes.append(change)
        while self._new_folders and self._new_folders[0][0] + _LOOK_AGAIN_MS <= now_ms:
            folder = self._new_folders.popleft()[1]
            self._made_ms.pop(folder, None)
            changes += self._look_again(folder, now_ms)
        if self._waiting:
            os.eventfd_write(self._wake, 1)
        return changes

    def dropped(self) -> Mapping[str, int]:
        return self._dropped

    def close(self) -> None:
        logging.getLogger(_INOTIFY_LOG).removeHandler(self._notice)
        observer, self._observer = self._observer, None
        if observer is not None:
            observer.stop()
            if observer.is_alive():
                observer.join()
        if self._wake >= 0:
            os.close(self._wake)
            self._wake = -1

    def _put(self, event: FileSystemEvent) -> None:
        if len(self._waiting) >= _MOST_WAITING:
            self._overflow()
            return
        self._waiting.append(event)
        os.eventfd_write(self._wake, 1)

    def _overflow(self) -> None:
        self._overflowed.set()
        os.eventfd_write(self._wake, 1)

    def _change(self, event: FileSystemEvent, now_ms: int) -> Change | None:
        path = os.fsdecode(event.src_path)
        if isinstance(event, DirCreatedEvent):
            if len(self._new_folders) < _MOST_NEW_FOLDERS:
                self._new_folders.append((now_ms, path))
                self._made_ms[path] = now_ms
            return None
        if isinstance(event, FileMovedEvent | DirMovedEvent):
            if event.is_synthetic:
                return None
            is_folder = isinstance(event, DirMovedEvent)
            new_path = os.fsdecode(event.dest_path)
            return Change(ChangeKind.RENAMED, path, now_ms, new_path=new_path, is_folder=is_folder)
        if isinstance(event, FileClosedEvent):
            return Change(ChangeKind.WRITTEN, path, now_ms, facts=look(self.root, path))
        if isinstance(event, FileDeletedEvent):
            return Change(ChangeKind.DELETED, path, now_ms)
        # watchdog also makes up creations for what it finds in a new folder, whose close went unseen.
        return Change(ChangeKind.FOUND, path, now_ms)

    def _is_led_away(self, change: Change) -> bool:
        """watchdog looks into new folders by name: a link to other people's files may stand there."""
        if change.kind is not ChangeKind.FOUND or not self.root.leads_away(change.path):
            return False
        self._dropped["a link led out of the watched folder"] += 1
        return True

    def _is_in_new_folder(self, change: Change, now_ms: int) -> bool:
        made_ms = self._made_ms.get(change.path.rpartition("/")[0])
        is_found = change.kind is ChangeKind.FOUND or change.is_folder
        return made_ms is not None and not is_found and now_ms - made_ms < _NEW_FOR_MS

    def _look_again(self, folder: str, now_ms: int) -> list[Change]:
        try:
            with self.root.folder(folder) as fd, os.scandir(fd) as entries:
                return [
                    Change(ChangeKind.FOUND, f"{folder}/{entry.name}", now_ms)
                    for entry in entries
                    if not entry.is_dir(follow_symlinks=False)
                ]
        except OSError:
            return []


_INOTIFY_LOG: Final = "watchdog.observers.inotify_c"


class _OverflowNotice(logging.Handler):
    """watchdog tells of lost events only in its log."""

    def __init__(self, overflow: Callable[[], None]) -> None:
        super().__init__(logging.WARNING)
        self._overflow = overflow

    def emit(self, record: logging.LogRecord) -> None:
        if "overflow" in record.getMessage():
            self._overflow()


class _Handler(FileSystemEventHandler):
    def __init__(self, put: Callable[[FileSystemEvent], None]) -> None:
        self._put = put

    def on_any_event(self, event: FileSystemEvent) -> None:
        self._put(event)
