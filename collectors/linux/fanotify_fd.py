"""Watches a file system by fanotify's descriptors, where FID mode is refused (exfat-fuse, ntfs-3g).

The kernel tells of each closed file with a descriptor of it. What it does not tell here: renames, hard
links, deletions, and whether a written file is new: each counts as created, and its event says so. A file
that was renamed after it was closed (rsync) is found again by its inode in the same folder; a renamed folder
is not. A file that is deleted at once is often gone before the kernel can open it for us; that is counted.
While a descriptor is open, for some microseconds, deleting the file's folder on a FUSE drive can be refused.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import ClassVar, Final

from collectors.file_changes import Change, ChangeKind, ObservedBy, facts_of, look
from collectors.linux import fanotify
from collectors.linux.beneath import Root

# One event is 24 bytes, and each brings an open descriptor. While that is open, FUSE keeps a deleted file as
# .fuse_hidden…, and whoever deletes its folder is refused: so few at a time, each closed at once.
_READ_BYTES: Final = 24 * 4
_READS: Final = 64
_GONE: Final = frozenset(
    (errno.ENOENT, errno.ESTALE, errno.EACCES, errno.ETXTBSY, errno.ENXIO, errno.EIO, errno.ENODEV)
)
_DELETED: Final = " (deleted)"
"""How the kernel marks the path of a descriptor whose file has no name any more."""


class FanotifyFdWatcher:
    """See Watcher. `target` is where the file system is mounted."""

    observed_by: ClassVar[ObservedBy] = "fanotify_fd"
    sees_renames: ClassVar[bool] = False
    # What waits there keeps the drive from being unmounted.
    gathers: ClassVar[bool] = False

    def __init__(self, target: str) -> None:
        self._target = target
        self.root = Root(target, is_mount=True)
        self._below = target.rstrip("/") + "/"
        self._dropped: Counter[str] = Counter()
        self._group = fanotify.open_fd_group()
        try:
            try:
                fanotify.mark_file_system(self._group, fanotify.CLOSE_WRITE, target)
            except OSError as error:
                if error.errno not in (errno.EINVAL, errno.ENODEV, errno.EOPNOTSUPP):
                    raise
                fanotify.mark_mount(self._group, fanotify.CLOSE_WRITE, target)
        except BaseException:
            self.close()
            raise

    def fileno(self) -> int:
        return self._group

    def read(self, now_ms: int) -> list[Change]:
        changes: list[Change] = []
        for _ in range(_READS):
            few = self._read_few(now_ms)
            if not few:
                break
            changes += few
        return changes

    def _read_few(self, now_ms: int) -> list[Change]:
        try:
            data = os.read(self._group, _READ_BYTES)
        except BlockingIOError:
            return []
        except OSError as error:
            if error.errno not in _GONE:
                raise
            # The file was gone before the kernel could open it for us; it may live on under another name.
            self._dropped["file gone before the kernel could open it"] += 1
            return [Change(ChangeKind.LOST, self._target, now_ms)]
        return [change for event in fanotify.parse_fd_events(data) for change in self._changes(event, now_ms)]

    def dropped(self) -> Mapping[str, int]:
        return self._dropped

    def close(self) -> None:
        if self._group >= 0:
            os.close(self._group)
            self._group = -1

    def _changes(self, event: fanotify.FdEvent, now_ms: int) -> Iterator[Change]:
        if event.mask & fanotify.Q_OVERFLOW or event.fd < 0:
            self._dropped["the kernel's queue overflowed"] += 1
            yield Change(ChangeKind.LOST, self._target, now_ms)
            return
        try:
            path = os.readlink(f"/proc/self/fd/{event.fd}")  # noqa: PTH115 - speed
            status = os.fstat(event.fd)
            gone = path.endswith(_DELETED) and self._is_gone(path, status)
        except OSError:
            self._dropped["file gone before it could be named"] += 1
            return
        finally:
            os.close(event.fd)
        if not path.startswith(self._below):
            return
        if gone:
            path = path.removesuffix(_DELETED)
        facts = facts_of(status)
        object_id = b"%d:%d" % (status.st_dev, status.st_ino)
        kinds = [ChangeKind.CREATED, ChangeKind.WRITTEN] + ([ChangeKind.DELETED] if gone else [])
        for kind in kinds:
            yield Change(kind, path, now_ms, event.pid, object_id=object_id, facts=facts)

    def _is_gone(self, path: str, status: os.stat_result) -> bool:
        """Whether the kernel's mark is meant. Anybody may also give a file a name that ends like this."""
        if status.st_nlink == 0:
            return True
        named = look(self.root, path)
        return named is None or (named.device, named.inode) != (status.st_dev, status.st_ino)


class RenamedFiles:
    """Finds files again that were renamed in their folder. One look at a folder serves until `forget`."""

    def __init__(self, root: Root) -> None:
        self._root = root
        self._folders: dict[str, dict[tuple[int, int], tuple[str, int]]] = {}

    def find(self, path: str, inode: tuple[int, int], size: int) -> str | None:
        """Where in its folder the file (device, inode) is now, if it still has this size."""
        folder = path.rpartition("/")[0]
        if folder not in self._folders:
            self._folders[folder] = _files_in(self._root, folder)
        found = self._folders[folder].get(inode)
        return None if found is None or found[1] != size else found[0]

    def forget(self) -> None:
        """What was seen may be out of date."""
        self._folders.clear()


def _files_in(root: Root, folder: str) -> dict[tuple[int, int], tuple[str, int]]:
    files: dict[tuple[int, int], tuple[str, int]] = {}
    with contextlib.suppress(OSError), root.folder(folder) as fd, os.scandir(fd) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                # d_ino of FUSE directories need not be the inode number that stat gives.
                status = entry.stat(follow_symlinks=False)
                files[status.st_dev, status.st_ino] = (f"{folder}/{entry.name}", status.st_size)
    return files
