"""The spool's files as a crash may have left them: finding, locking, cutting, and what they still tell."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import struct
from collections.abc import Sequence
from pathlib import Path

from agent.spool_reader import Segment, read_durable_bytes, segment_entries
from agent.spool_segment import Entry, SegmentHeader, decode_header, pack_segment

_SEGMENT_NAME = re.compile(r"segment-(\d{20})\Z")
_PACKING = ".packing"
_NO_LIMIT = 2**63 - 1
_COPY_BYTES = 64 << 10
_FLOCK = struct.Struct("hhqqi0q")
"""struct flock of fcntl(2): type, whence, start, length, process. Of an open file, so that two spools of one
process exclude each other too, and unlike flock(2) it can be asked for without being taken."""
_WHOLE_FILE = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)


class SpoolLocked(Exception):
    """Another agent uses this spool."""


def segment_name(first_seq: int) -> str:
    return f"segment-{first_seq:020d}"


def make_folder(folder: Path) -> None:
    """With its parents, where they are missing. Its name outlives a power cut. Raises OSError."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    for path in reversed(missing):
        path.mkdir(mode=0o700, exist_ok=True)
        try:
            sync_folder(path.parent)
        except OSError:
            # Made anew the next time: syncing once more would not save its name.
            path.rmdir()
            raise
    if not missing:
        # Whoever made it may have been killed before this.
        sync_folder(folder.parent)


def list_segments(folder: Path) -> list[Segment]:
    """By rising first number. Deletes what a crash left of packing."""
    for unfinished in folder.glob(f"*{_PACKING}"):
        unfinished.unlink()
    found = sorted((int(m[1]), p) for p in folder.iterdir() if (m := _SEGMENT_NAME.match(p.name)))
    return [Segment(first, path, path.stat().st_size) for first, path in found]


def newest_header(segments: Sequence[Segment]) -> tuple[int, SegmentHeader] | None:
    """Index and header of the newest segment whose header is readable."""
    for index in range(len(segments) - 1, -1, -1):
        segment = segments[index]
        found = decode_header(read_durable_bytes(segment), segment.first)
        if found is not None:
            return index, found[0]
    return None


def cut_torn_tail(tail: Segment, *, durable: int) -> int:
    """Cuts off what follows the segment's last readable entry, or the last one before what a power cut tore
    out of its last append. Returns the number after that entry. `durable`: numbers below it are not torn."""
    entries = _before_the_torn(segment_entries(tail, below=_NO_LIMIT), tail.first, durable)
    if entries:
        end = entries[-1].end
    else:
        header = decode_header(read_durable_bytes(tail), tail.first)
        end = header[1] if header is not None else 0
    if end < tail.size:
        os.truncate(tail.path, end)
        tail.size = end
    return entries[-1].seq + 1 if entries else tail.first


def _before_the_torn(entries: list[Entry], first: int, durable: int) -> list[Entry]:
    """The disk may have taken a later part of an append and not an earlier one. Nobody was told of such an
    append: its collector brings it again, from the cursor before it. That holds only for the very last one,
    which is why it shows where each begins."""
    last = next((i for i in range(len(entries) - 1, -1, -1) if entries[i].begins), 0)
    for index in range(last, len(entries)):
        # No append reaches over the end of a segment.
        expected = entries[index - 1].seq + 1 if index else first
        if entries[index].seq > expected >= durable and not (index and entries[index].begins):
            return entries[:index]
    return entries


def write_again(fd: int, size: int) -> None:
    """And syncs. After a failed sync the kernel takes for written what is not: only writing it anew helps,
    also where the agent that it happened to is gone. Raises OSError."""
    for at in range(0, size, _COPY_BYTES):
        # What cannot be read stays as it is: reading says what is lost.
        part = b""
        with contextlib.suppress(OSError):
            part = os.pread(fd, min(_COPY_BYTES, size - at), at)
        os.pwrite(fd, part, at)
    os.fsync(fd)


def pack_file(segment: Segment, *, below: int) -> None:
    """Puts the packed form in the segment's place, in one rename, if it is smaller.

    Raises OSError; then either form stands there, whole, and `segment.size` is that form's.
    """
    packed = pack_segment(read_durable_bytes(segment), segment.first, below=below)
    if packed is None or len(packed) >= segment.size:
        return
    new = segment.path.with_name(segment.path.name + _PACKING)
    try:
        fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(packed)
            file.flush()
            os.fsync(file.fileno())
        new.rename(segment.path)
    except OSError:
        new.unlink(missing_ok=True)
        raise
    segment.size = len(packed)
    sync_folder(segment.path.parent)


def find_cursors(
    segments: Sequence[Segment], newest: tuple[int, SegmentHeader] | None, *, below: int
) -> dict[str, str]:
    """Where each collector stood: from the newest readable header, and the entries since."""
    start, cursors = (0, {}) if newest is None else (newest[0], dict(newest[1].cursors))
    for segment in segments[start:]:
        for entry in segment_entries(segment, below=below):
            if entry.cursor is not None:
                cursors[entry.collector] = entry.cursor
    return cursors


def lock_folder(folder: Path) -> int:
    """Held until the descriptor is closed, or the process ends. Raises SpoolLocked, OSError."""
    fd = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _WHOLE_FILE)
    except OSError as error:
        os.close(fd)
        if error.errno in (errno.EAGAIN, errno.EACCES):
            raise SpoolLocked(f"another agent uses {folder}") from None
        raise
    return fd


def is_locked(folder: Path) -> bool:
    """Whether somebody uses the spool. Only asks: an agent that starts at this moment is not refused.
    Needs permission to open its lock; without one: False."""
    try:
        fd = os.open(folder / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        found = fcntl.fcntl(fd, fcntl.F_OFD_GETLK, _WHOLE_FILE)
    finally:
        os.close(fd)
    kind: int = _FLOCK.unpack(found)[0]
    return kind != fcntl.F_UNLCK


def replace_file(path: Path, data: bytes) -> None:
    """Whole or not at all, whatever happens; only root reads it. Raises OSError."""
    new = path.with_name(f"{path.name}.new")
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    new.rename(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def errno_name(error: OSError) -> str:
    return errno.errorcode.get(error.errno, str(error.errno)) if error.errno is not None else "unknown error"
