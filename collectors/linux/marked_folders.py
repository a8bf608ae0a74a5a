"""Which folders are to be marked: homes and what lies in them, as they are and as they come.

Marked are folders, not file systems: homes mostly lie on the same file system as everything else, and each
mark of a whole file system would have every program's every opening wait or be told. A folder's mark costs
the kernel about a kilobyte, and only what is opened directly in it is told. Hidden folders (caches,
profiles, .git) are left out unless somebody asks for one: programs open files there all the time, and
people do not hand them over.

New folders are told by a fanotify group of names (FID), one mark a folder; where a file system has no
handles, they are found when the tree is walked again.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable
from typing import Final

from collectors.linux import fanotify
from collectors.linux.mounts import read_mounts

MOVED_TO: Final = 0x80
_SAFE: Final = frozenset(
    (
        "ext2",
        "ext3",
        "ext4",
        "xfs",
        "btrfs",
        "f2fs",
        "zfs",
        "bcachefs",
        "tmpfs",
        "overlay",
        "jfs",
        "nilfs2",
        "reiserfs",
    )
)
"""File systems that answer by themselves. A permission mark on another one (FUSE, network) could make the
answering process wait for whoever serves it."""
_BATCH: Final = 200
_TURN_S: Final = 0.02
_DEEPEST: Final = 64
_READ_BYTES: Final = 64 * 1024
_AGAIN_S: Final = 900.0
_MOUNTS_S: Final = 1.0
_NO_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


class MarkedFolders:
    """Walks the trees a little at each turn. `mark` takes descriptors of folders, and says whether it took
    them."""

    def __init__(
        self,
        roots: Iterable[str],
        mark: Callable[[Collection[int]], bool],
        *,
        most: int,
        also: Collection[str] = (),
        only_safe: bool = True,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`also`: hidden folders that are wanted, as absolute paths."""
        self._roots = tuple(roots)
        self._also = frozenset(also)
        self._mark = mark
        self._most = most
        self._only_safe = only_safe
        self._monotonic = monotonic
        self._waiting: deque[tuple[str, int]] = deque()
        self._marked: set[tuple[int, int]] = set()
        self._mount_fds: dict[int, int] = {}
        self._types: dict[int, str] = {}
        self._served: dict[str, str] = {}
        self._mounts_at = 0.0
        self._dropped: Counter[str] = Counter()
        self._again_at = 0.0
        self.unsafe: set[str] = set()
        """Kinds of file systems that were left out."""
        try:
            self._group = fanotify.open_fid_group()
        except OSError:
            self._group = -1
            self._dropped["new_folders_found_late"] += 1
        self.restart()

    def __len__(self) -> int:
        return len(self._marked)

    @property
    def is_complete(self) -> bool:
        """Whether the walk has come round."""
        return not self._waiting

    def fileno(self) -> int:
        """The descriptor that tells of new folders; -1 where there is none."""
        return self._group

    def restart(self) -> None:
        """Walks from the beginning: whoever held the marks is gone."""
        self._marked.clear()
        self._waiting.clear()
        self._waiting.extend((root, 0) for root in self._roots)
        self._waiting.extend((path, 0) for path in self._also)
        self._look_at_mounts()
        self._again_at = self._monotonic() + _AGAIN_S

    def turn(self) -> None:
        """Some more folders, and those that are new."""
        self._read_new()
        if not self._waiting and self._monotonic() > self._again_at:
            # What a file system without handles did not tell, and homes that were made since.
            self.restart()
        if self._waiting and self._monotonic() - self._mounts_at > _MOUNTS_S:
            self._look_at_mounts()
        until = self._monotonic() + _TURN_S
        while self._waiting and self._monotonic() < until and self._some():
            pass

    def dropped(self) -> dict[str, int]:
        """What is not watched, by reason."""
        return dict(self._dropped)

    def close(self) -> None:
        """May be called twice."""
        for fd in self._mount_fds.values():
            os.close(fd)
        self._mount_fds.clear()
        if self._group >= 0:
            os.close(self._group)
            self._group = -1

    def _some(self) -> bool:
        """A batch; False when marks are not taken just now."""
        batch: dict[int, tuple[str, int]] = {}
        new: list[tuple[str, int]] = []
        try:
            while self._waiting and len(batch) < _BATCH:
                path, depth = self._waiting.popleft()
                fd = self._open(path, len(batch))
                if fd is not None:
                    batch[fd] = (path, depth)
            if batch and not self._mark(list(batch)):
                self._waiting.extendleft(reversed(batch.values()))
                return False
            for fd, (path, depth) in batch.items():
                status = os.fstat(fd)
                key = (status.st_dev, status.st_ino)
                if key not in self._marked:
                    self._marked.add(key)
                    self._tell_of_new(fd, status.st_dev)
                if depth < _DEEPEST:
                    new += self._folders_in(fd, path, depth + 1)
        finally:
            for fd in batch:
                os.close(fd)
        self._waiting.extend(new)
        return True

    def _open(self, path: str, taken: int) -> int | None:
        if len(self._marked) + taken >= self._most:
            self._dropped["folders_over_the_limit"] += 1
            return None
        if self._only_safe and path in self._served:
            # Not even opened: whoever serves it may not answer.
            self.unsafe.add(self._served[path])
            return None
        try:
            fd = os.open(path, _NO_FOLDER)
        except OSError:
            return None
        kind = self._type_of(os.fstat(fd).st_dev)
        if self._only_safe and kind not in _SAFE:
            self.unsafe.add(kind)
            os.close(fd)
            return None
        return fd

    def _type_of(self, device: int) -> str:
        if device not in self._types:
            # Mounted since; or a subvolume of btrfs: those have numbers of their own.
            self._look_at_mounts()
        return self._types.setdefault(device, "btrfs")

    def _look_at_mounts(self) -> None:
        mounts = read_mounts()
        self._mounts_at = self._monotonic()
        self._types = {mount.device: mount.fs_type for mount in mounts}
        self._served = {mount.target: mount.fs_type for mount in mounts if mount.fs_type not in _SAFE}

    def _folders_in(self, fd: int, path: str, depth: int) -> list[tuple[str, int]]:
        found: list[tuple[str, int]] = []
        with contextlib.suppress(OSError), os.scandir(fd) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):
                    if not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False):
                        found.append((f"{path}/{entry.name}", depth))
        return found

    def _tell_of_new(self, fd: int, device: int) -> None:
        if self._group < 0:
            return
        try:
            fanotify.mark_folder(self._group, fanotify.CREATE | MOVED_TO | fanotify.ONDIR, fd)
            if device not in self._mount_fds:
                self._mount_fds[device] = os.open(f"/proc/self/fd/{fd}", _NO_FOLDER & ~os.O_NOFOLLOW)
        except OSError as error:
            if error.errno not in (errno.ENODEV, errno.EXDEV, errno.EOPNOTSUPP):
                self._dropped["folders_whose_new_folders_are_found_late"] += 1

    def _read_new(self) -> None:
        while self._group >= 0:
            try:
                data = os.read(self._group, _READ_BYTES)
            except (BlockingIOError, OSError):
                return
            for event in fanotify.parse_fid_events(data):
                if event.mask & fanotify.Q_OVERFLOW:
                    self._again_at = 0.0
                elif event.mask & fanotify.ONDIR and event.folder is not None:
                    self._new(event.folder, event.name)

    def _new(self, folder: fanotify.Handle, name: bytes) -> None:
        if name.startswith(b"."):
            return
        for mount in self._mount_fds.values():
            with contextlib.suppress(OSError):
                fd = fanotify.open_handle(mount, folder)
                try:
                    path = os.readlink(f"/proc/self/fd/{fd}")  # noqa: PTH115 - speed
                finally:
                    os.close(fd)
                self._waiting.appendleft((f"{path}/{os.fsdecode(name)}", path.count("/")))
                return
