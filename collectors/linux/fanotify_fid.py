"""Watches a whole file system by fanotify in FID mode: every name that was made, written, renamed, deleted.

Events carry handles, not descriptors, so nothing of ours keeps the mount busy: a folder of the mount is
open only for the moments in which handles are resolved. Needs CAP_SYS_ADMIN, Linux 5.17 and a file system
with handles; FUSE answers ENODEV.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import ClassVar, Final

from collectors.file_changes import Change, ChangeKind, FileFacts, ObservedBy, look
from collectors.linux import fanotify
from collectors.linux.beneath import Root
from collectors.linux.fanotify import FidEvent, Handle
from collectors.linux.folder_names import FolderNames

_MASK: Final = fanotify.CLOSE_WRITE | fanotify.CREATE | fanotify.DELETE | fanotify.RENAME | fanotify.ONDIR
_READ_BYTES: Final = 128 * 1024
_MOST_LEARNED: Final = 100_000
UNKNOWN_FOLDER: Final = "?"
"""Stands for a folder that was gone before anything could name it."""


class FanotifyFidWatcher:
    """See Watcher. `target` is where the file system is mounted."""

    observed_by: ClassVar[ObservedBy] = "fanotify_fid"
    sees_renames: ClassVar[bool] = True
    gathers: ClassVar[bool] = True

    def __init__(self, target: str) -> None:
        self._target = target
        self.root = Root(target, is_mount=True)
        self._below = target.rstrip("/") + "/"
        self._dropped: Counter[str] = Counter()
        self._deleted: dict[Handle, tuple[Handle, str]] = {}
        self._mount_fd: int | None = None
        self._learned: dict[Handle, str] = {}
        self._learned_this_time = False
        self._folders = FolderNames(self._ask)
        self._group = fanotify.open_fid_group()
        try:
            fanotify.mark_file_system(self._group, _MASK, target)
            self._opens_handles = self._can_open_handles()
            if not self._opens_handles:
                self._learn_folders()
        except BaseException:
            self.close()
            raise

    def fileno(self) -> int:
        return self._group

    def read(self, now_ms: int) -> list[Change]:
        try:
            data = os.read(self._group, _READ_BYTES)
        except BlockingIOError:
            return []
        events = list(fanotify.parse_fid_events(data))
        self._learned_this_time = False
        self._deleted = {
            event.target: (event.folder, os.fsdecode(event.name))
            for event in events
            if event.mask & fanotify.ONDIR
            and event.mask & fanotify.DELETE
            and event.target is not None
            and event.folder is not None
        }
        try:
            return [change for event in events for change in self._changes(event, now_ms)]
        finally:
            self._let_go()

    def dropped(self) -> Mapping[str, int]:
        return self._dropped

    def close(self) -> None:
        self._let_go()
        if self._group >= 0:
            os.close(self._group)
            self._group = -1

    def _changes(self, event: FidEvent, now_ms: int) -> Iterator[Change]:
        if event.mask & fanotify.Q_OVERFLOW:
            self._folders.forget()
            self._dropped["the kernel's queue overflowed"] += 1
            yield Change(ChangeKind.LOST, self._target, now_ms)
            return
        if event.folder is None:
            return
        if event.mask & fanotify.RENAME:
            yield from self._rename(event, event.folder, now_ms)
            return
        name = os.fsdecode(event.name)
        if event.mask & fanotify.ONDIR:
            if event.mask & (fanotify.CREATE | fanotify.DELETE) and event.target is not None:
                self._folders.created(event.target, event.folder, name)
            return
        path = self._path(event.folder, name)
        if path is None:
            return
        gap = None if path.startswith(self._below) else "the folder was gone before it could be named"
        if gap is not None:
            self._dropped["folder of a change unknown"] += 1
            path = f"{self._below}{UNKNOWN_FOLDER}/{name}"
        facts: FileFacts | None = None
        if event.mask & fanotify.CLOSE_WRITE and not event.mask & fanotify.DELETE:
            facts = look(self.root, path)
        # One process's acts on one object may come merged into one event; this is their order.
        order = _IN_ORDER
        if event.mask & _MADE_AND_GONE == _MADE_AND_GONE and self._is_at(path, event.target):
            order = _GONE_FIRST
            facts = look(self.root, path)
        for bit, kind in order:
            if event.mask & bit:
                yield Change(kind, path, now_ms, event.pid, object_id=event.target, facts=facts, gap=gap)

    def _rename(self, event: FidEvent, folder: Handle, now_ms: int) -> Iterator[Change]:
        is_folder = bool(event.mask & fanotify.ONDIR)
        old = None
        if event.old_folder is not None:
            old = self._path(event.old_folder, os.fsdecode(event.old_name))
        name = os.fsdecode(event.name)
        if is_folder:
            self._folders.renamed(event.target, old, folder, name)
        new = self._path(folder, name)
        if old and new:
            yield Change(
                ChangeKind.RENAMED,
                old,
                now_ms,
                event.pid,
                new_path=new,
                is_folder=is_folder,
                object_id=event.target,
            )
        elif new:
            # It came from a part of the file system that this mount does not show.
            yield Change(
                ChangeKind.FOUND, new, now_ms, event.pid, is_folder=is_folder, object_id=event.target
            )
        elif old and not is_folder:
            yield Change(ChangeKind.DELETED, old, now_ms, event.pid, object_id=event.target)

    def _path(self, folder: Handle, name: str) -> str | None:
        """Where the name is; None when it is outside the mount, "" when its folder is unknown."""
        at = self._folders.path(folder)
        if at is None:
            return ""
        if at != self._target and not at.startswith(self._below):
            return None
        return f"{at.rstrip('/')}/{name}"

    def _ask(self, handle: Handle) -> str | None:
        if self._opens_handles:
            with contextlib.suppress(OSError):
                return self._ask_kernel(handle)
        else:
            if handle not in self._learned and not self._learned_this_time:
                self._learn_folders()
                self._learned_this_time = True
            if handle in self._learned:
                return self._learned[handle]
        # Deleted meanwhile. Its own deletion, later in what was just read, says where it was.
        last = self._deleted.get(handle)
        if last is None:
            return None
        parent = self._folders.path(last[0]) if last[0] != handle else None
        return None if parent is None else f"{parent.rstrip('/')}/{last[1]}"

    def _ask_kernel(self, handle: Handle) -> str | None:
        if self._mount_fd is None:
            self._mount_fd = os.open(self._target, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fd = fanotify.open_handle(self._mount_fd, handle)
        try:
            path = os.readlink(f"/proc/self/fd/{fd}")  # noqa: PTH115 - speed
            if os.fstat(fd).st_nlink == 0:
                path = path.removesuffix(" (deleted)")
            return path
        finally:
            os.close(fd)

    def _let_go(self) -> None:
        if self._mount_fd is not None:
            os.close(self._mount_fd)
            self._mount_fd = None

    def _can_open_handles(self) -> bool:
        try:
            with self.root.folder(self._target) as fd:
                self._ask_kernel(fanotify.handle_of(fd))
        except OSError as error:
            if error.errno in (errno.EOPNOTSUPP, errno.ESTALE, errno.EINVAL):
                return False
            raise
        finally:
            self._let_go()
        return True

    def _is_at(self, path: str, target: Handle | None) -> bool:
        try:
            with self.root.reached(path) as fd:
                return fanotify.handle_of(fd) == target
        except OSError:
            return False

    def _learn_folders(self) -> None:
        """Reads the handle of every folder, where the file system can give handles but not open them."""
        self._learned = {}
        todo = [self._target]
        while todo and len(self._learned) < _MOST_LEARNED:
            path = todo.pop()
            with contextlib.suppress(OSError), self.root.folder(path) as fd:
                self._learned[fanotify.handle_of(fd)] = path
                with os.scandir(fd) as entries:
                    below = path.rstrip("/")
                    todo += [f"{below}/{each.name}" for each in entries if each.is_dir(follow_symlinks=False)]


_MADE_AND_GONE: Final = fanotify.CREATE | fanotify.DELETE
_IN_ORDER: Final = (
    (fanotify.CREATE, ChangeKind.CREATED),
    (fanotify.CLOSE_WRITE, ChangeKind.WRITTEN),
    (fanotify.DELETE, ChangeKind.DELETED),
)
_GONE_FIRST: Final = (_IN_ORDER[2], *_IN_ORDER[:2])
"""A name that was taken away and given to the same file again by a hard link."""
