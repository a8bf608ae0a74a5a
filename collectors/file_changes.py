"""The words between the watchers and the state machine: one change of one name, and facts about a file.

Paths are `str` the way os.fsdecode gives them, as the user sees them (mount target and below).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from enum import Enum
from typing import ClassVar, Literal, Protocol

import msgspec

from collectors.linux.beneath import Root
from event_schema.ocsf_objects import FileType

ObservedBy = Literal["fanotify_fid", "fanotify_fd", "watchdog", "udev", "mountinfo", "rescan", "simulated"]


class ChangeKind(Enum):
    CREATED = "created"
    """A new name; whoever made it may still be writing, and WRITTEN follows if so."""
    FOUND = "found"
    """A name that somebody made unseen: no WRITTEN can be relied upon."""
    WRITTEN = "written"
    """Closed by someone who had it open for writing."""
    RENAMED = "renamed"
    DELETED = "deleted"
    LOST = "lost"
    """The source lost changes: look at everything again. `path` is the folder to look at."""


class FileFacts(msgspec.Struct, frozen=True, gc=False):
    """What stat(2) tells of a file, as far as we use it."""

    device: int
    inode: int
    type_id: FileType
    size: int
    owner_uid: int
    links: int
    modified_ns: int
    changed_ns: int

    @property
    def content_id(self) -> tuple[int, int, int]:
        """Equal as long as nobody wrote to the file."""
        return (self.inode, self.size, self.modified_ns)


class Change(msgspec.Struct, frozen=True, gc=False):
    """One change of one name. `at_ms` is when the watcher read it, by the steady clock."""

    kind: ChangeKind
    path: str
    at_ms: int
    pid: int = 0
    """Who did it; 0 where the watcher is not told."""
    new_path: str | None = None
    is_folder: bool = False
    object_id: bytes | None = None
    """Tells objects apart that come and go under one name, where the watcher can."""
    facts: FileFacts | None = None
    from_rescan: bool = False
    is_new: bool = True
    """For FOUND: whether the file itself is new, not only its content."""
    held_ns: int | None = None
    """Of what a rescan found: who looks for what changed since then finds it again. ns since 1970 UTC."""
    gap: str | None = None


class Watcher(Protocol):
    """Sees the changes below one path. Made watching; the contract suite runs on each of them."""

    observed_by: ClassVar[ObservedBy]
    sees_renames: ClassVar[bool]
    root: Root
    """The place, as it was when the watch began."""
    gathers: ClassVar[bool]
    """Whether changes may wait a moment in the kernel without anything being lost or held up by it."""

    def fileno(self) -> int:
        """Readable when `read` has something."""

    def read(self, now_ms: int) -> list[Change]:
        """What came since the last call, in order. Never blocks, and may leave some for the next call."""

    def dropped(self) -> Mapping[str, int]:
        """Changes that it knows it lost, by reason."""

    def close(self) -> None:
        """Gives everything back. May be called twice."""


def facts_of(status: os.stat_result) -> FileFacts:
    """The facts in a stat result."""
    return FileFacts(
        device=status.st_dev,
        inode=status.st_ino,
        type_id=_type_of(status.st_mode),
        size=status.st_size,
        owner_uid=status.st_uid,
        links=status.st_nlink,
        modified_ns=status.st_mtime_ns,
        changed_ns=status.st_ctime_ns,
    )


def look(root: Root, path: str) -> FileFacts | None:
    """The facts of what stands at `path` (a link itself, not what it names); None when nothing does, or
    a link leads elsewhere on the way."""
    try:
        return facts_of(root.look(path))
    except OSError:
        return None


def _type_of(mode: int) -> FileType:
    if stat.S_ISREG(mode):
        return FileType.REGULAR
    if stat.S_ISDIR(mode):
        return FileType.FOLDER
    if stat.S_ISLNK(mode):
        return FileType.SYMBOLIC_LINK
    return FileType.OTHER
