"""Follows one log file by its name, through whatever happens to logs: rotation by renaming or by copying and
truncating, half-written last lines, lines without end, files that come and go.

Lines are bytes, whole, each once. The cursor's format: log_lines. After a restart the rest of a file that was
rotated meanwhile is looked for among its siblings (log_rotation) by its beginning. What cannot be found is
counted in `lost_places`.

A process that goes on writing into a renamed file after another one wrote into the new one is not heard.
"""

from __future__ import annotations

from collections import deque
from pathlib import Path

import msgspec

from collectors.log_lines import (
    BEGINNING_BYTES,
    LINE_BYTES_MAX,
    NOWHERE,
    READ_BYTES,
    UNREADABLE,
    Cursor,
    Line,
    LineReader,
)
from collectors.log_rotation import OlderFile, older_files

__all__ = ["LINE_BYTES_MAX", "READ_BYTES", "Cursor", "Line", "LogTail"]


class LogTail:
    """One log. Not for several threads. `resume_from`: a line's cursor; None begins at the end of the file
    as it is now, or at the beginning of one that appears later. `cut_long`: a line over `line_bytes_max` is
    given cut to that, rather than left out."""

    def __init__(
        self,
        path: Path,
        resume_from: str | None,
        *,
        line_bytes_max: int = LINE_BYTES_MAX,
        cut_long: bool = False,
    ) -> None:
        self._path, self._line_bytes_max, self._cut_long = path, line_bytes_max, cut_long
        self._current: LineReader | None = None
        self._older: deque[OlderFile] = deque()
        self._reading_older: LineReader | None = None
        self._resume: Cursor | None = None
        self._too_long = 0
        self.is_at_end = False
        """Whether the last take() found nothing more to read."""
        self.lost_places = 0
        """How often the log went on elsewhere than where we had stopped, so that lines may be missing."""
        self._at = NOWHERE.text()
        self._start(resume_from)

    @property
    def too_long(self) -> int:
        """Lines over `line_bytes_max`, which were left out, or cut."""
        open_now = (self._current, self._reading_older)
        return self._too_long + sum(reader.too_long for reader in open_now if reader is not None)

    @property
    def has_begun(self) -> bool:
        """Whether the place to resume from was found, or given up: not while the file is not there."""
        return self._resume is None

    def take(self) -> list[Line]:
        """The lines that are whole by now, READ_BYTES at most; empty where there is nothing new, and inside a
        long line.

        Raises OSError where the log is there and cannot be read."""
        self.is_at_end = False
        if self._reading_older is not None or self._older:
            return self._gave(self._take_older())
        if self._current is None and not self._appeared():
            self.is_at_end = True
            return []
        if self._older or self._current is None:
            return []
        lines = self._current.take()
        if self._current.is_cut:
            self._cut(self._current)
            return []
        if lines or not self._current.is_at_end:
            return self._gave(lines)
        self.is_at_end = True
        return self._gave(self._after_the_end(self._current))

    def position(self) -> str:
        """The cursor after the line that was taken last; of one who took none, where it begins."""
        return self._at

    def close(self) -> None:
        for reader in (self._current, self._reading_older):
            if reader is not None:
                self._too_long += reader.too_long
                reader.close()
        self._current = self._reading_older = None

    def _start(self, resume_from: str | None) -> None:
        cursor = _decoded(resume_from)
        if cursor is not None:
            self._go_on_from(cursor)
            return
        current = self._open_current()
        if resume_from is not None:
            # A cursor that nobody of us wrote.
            self.lost_places += 1
        elif current is not None:
            current.go_to_last_line()
        self._at_current()

    def _go_on_from(self, cursor: Cursor) -> None:
        """The current file is held open before older ones are looked for, so that none slips through."""
        self._at = cursor.text()
        current = self._open_current()
        is_long_enough = current is not None and current.size() >= cursor.offset
        may_be = current is not None and is_long_enough and cursor.is_how(current.beginning)
        if current is not None and may_be and _is_certain(cursor, current):
            current.go_to(cursor.offset)
            return
        if current is not None and self._jumped_back(cursor, current):
            return
        older = older_files(self._path, cursor, but_not=None if current is None else current.inode)
        if older:
            self._older.extend(older)
        elif current is None:
            # It may only be late, as a file system that is not mounted yet.
            self._resume = cursor
        elif may_be and cursor.length:
            current.go_to(cursor.offset)
        else:
            self.lost_places += 1
            self._at_current()

    def _appeared(self) -> bool:
        if self._resume is None:
            return self._open_current() is not None
        if not self._path.exists():
            return False
        cursor, self._resume = self._resume, None
        self._go_on_from(cursor)
        return True

    def _open_current(self) -> LineReader | None:
        """At its beginning; None where it is not there."""
        if self._current is not None:
            self._too_long += self._current.too_long
            self._current.close()
            self._current = None
        try:
            self._current = self._open(self._path)
        except FileNotFoundError:
            return None
        return self._current

    def _open(self, path: Path) -> LineReader:
        return LineReader(path, line_bytes_max=self._line_bytes_max, cut_long=self._cut_long)

    def _take_older(self) -> list[Line]:
        while self._reading_older is not None or self._older:
            try:
                if self._reading_older is None:
                    file = self._older.popleft()
                    self._reading_older = self._open(file.path)
                    self._reading_older.go_to(file.offset)
                lines = self._reading_older.take()
                if lines or not (self._reading_older.is_at_end or self._reading_older.is_cut):
                    return lines
                lines = self._reading_older.last_line()
            except UNREADABLE:
                # Taken away or damaged while we read it.
                self.lost_places += 1
                lines = []
            if self._reading_older is not None:
                self._too_long += self._reading_older.too_long
                self._reading_older.close()
                self._reading_older = None
            if lines:
                return lines
        return []

    def _after_the_end(self, current: LineReader) -> list[Line]:
        """Nothing more to read: has another file taken its name?"""
        try:
            facts = self._path.stat()
        except FileNotFoundError:
            return []
        if facts.st_ino == current.inode or not facts.st_size:
            # Renamed; whoever writes may not have opened the new one yet.
            return []
        # What was written between our last read and the renaming.
        self.is_at_end = False
        lines = current.take()
        if lines or not (current.is_at_end or current.is_cut):
            return lines
        last = current.last_line()
        cursor = current.cursor()
        new = self._open_current()
        # Further ones may have come and gone between two looks.
        self._older.extend(older_files(self._path, cursor, but_not=None if new is None else new.inode))
        return last

    def _cut(self, current: LineReader) -> None:
        """Copied and truncated: the rest stands in the copy, if there is one."""
        cursor = current.cursor()
        new = self._open_current()
        if not cursor.offset or (new is not None and self._jumped_back(cursor, new)):
            return
        older = older_files(self._path, cursor, but_not=None if new is None else new.inode)
        self._older.extend(older)
        if not older:
            self.lost_places += 1
            self._at_current()

    def _jumped_back(self, cursor: Cursor, current: LineReader) -> bool:
        """An earlier state of the same file, as out of a backup: what is in it was read."""
        is_earlier = current.size() < cursor.offset and cursor.is_how(current.beginning)
        if not (is_earlier and cursor.length == BEGINNING_BYTES):
            return False
        current.go_to_last_line()
        self.lost_places += 1
        self._at_current()
        return True

    def _at_current(self) -> None:
        if self._current is not None:
            self._at = self._current.cursor().text()

    def _gave(self, lines: list[Line]) -> list[Line]:
        if lines:
            self._at = lines[-1].cursor
        return lines


def _is_certain(cursor: Cursor, current: LineReader) -> bool:
    """A short beginning, as the heading of a log, is that of many files."""
    return cursor.length == BEGINNING_BYTES or cursor.inode in {0, current.inode}


def _decoded(cursor: str | None) -> Cursor | None:
    """None also for one that nobody of us wrote."""
    if cursor is None:
        return None
    try:
        found = msgspec.json.decode(cursor, type=Cursor)
    except msgspec.DecodeError:
        return None
    return found if found.offset >= 0 and found.length >= 0 else None
