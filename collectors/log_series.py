"""Follows a log whose writer begins a new file under a new name, as PostgreSQL does: `/var/…/log/*.json`.

The files are read in the order of their last change, each to its end before the next one begins; what
happens to one file (renamed, copied and cut, half a line) is LogTail's. A path without `*` is a series of
one. A name may come again after a week (postgresql-%a.log): what stood there before is not read again.

Cursor: {"name": of the file, "at": LogTail's cursor}; the empty string is the beginning of the newest file.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

import msgspec

from collectors.log_lines import NOWHERE
from collectors.log_tail import Cursor, Line, LogTail

_LOOK_EVERY_S: Final = 1.0
_EARLIER_MAX: Final = 100


class SeriesCursor(msgspec.Struct, frozen=True):
    name: str
    at: str


class LogSeries:
    """As LogTail, for all files that `pattern` names; `*` and `?` may stand in its last part only. Long lines
    are given cut."""

    def __init__(self, pattern: str, resume_from: str | None, *, line_bytes_max: int) -> None:
        self._folder, self._names = Path(pattern).parent, Path(pattern).name
        self._line_bytes_max = line_bytes_max
        self._look_at = 0.0
        self._tail: LogTail | None = None
        self._path = Path(pattern)
        self._own: tuple[int, str] = (0, "")
        """Last change and name of the file that is read, when it was last there."""
        self._ends: dict[str, Cursor] = {}
        """Up to where the files before it were written, by name."""
        self._too_long = self._lost_places = 0
        cursor = _decoded(resume_from)
        if resume_from and cursor is None:
            self._lost_places += 1
        if cursor is not None:
            self._open(self._folder / cursor.name, cursor.at)
        elif (newest := self._newest()) is not None:
            self._open(newest, None if resume_from is None else _begin(newest))

    @property
    def too_long(self) -> int:
        return self._too_long + (0 if self._tail is None else self._tail.too_long)

    @property
    def lost_places(self) -> int:
        return self._lost_places + (0 if self._tail is None else self._tail.lost_places)

    @property
    def path(self) -> Path:
        """The file that is read now, or the pattern where there is none."""
        return self._path

    @property
    def is_at_end(self) -> bool:
        """Whether the last take() found nothing more to read."""
        return self._tail is None or self._tail.is_at_end

    def position(self) -> str:
        """A cursor after the last line taken."""
        at = None if self._tail is None else self._tail.position()
        return "" if at is None else self._cursor(at)

    def take(self) -> list[Line]:
        """Raises OSError where a file is there and cannot be read."""
        if self._tail is None:
            # Whatever comes now was written after we began to look.
            newest = self._newest() if self._is_time() else None
            if newest is None:
                return []
            self._open(newest, _begin(newest))
        assert self._tail is not None
        lines = self._tail.take()
        if (
            not lines
            and self._tail.is_at_end
            and self._is_time()
            and (following := self._following()) is not None
        ):
            # What was written to the old one just before the new one began.
            lines = self._tail.take()
            if not lines and self._tail.is_at_end:
                self._lost_places += not self._tail.has_begun
                self._open(following, self._begin_of(following))
                lines = self._tail.take()
        return [Line(line.content, self._cursor(line.cursor)) for line in lines]

    def close(self) -> None:
        if self._tail is not None:
            self._too_long, self._lost_places = self.too_long, self.lost_places
            self._tail.close()
            self._tail = None

    def _open(self, path: Path, cursor: str | None) -> None:
        self.close()
        self._path = path
        self._tail = self._tail_of(path, cursor)
        files = self._files()
        names = [name for _, name, _ in files]
        if path.name in names:
            own = names.index(path.name)
            self._own = files[own][:2]
        else:
            # Gone while we were: of those that are there the newest goes on.
            own = max(0, len(files) - 1)
            self._own = files[own - 1][:2] if own else (0, "")
        earlier = files[max(0, own - _EARLIER_MAX) : own]
        self._ends = {name: end for _, name, each in earlier if (end := self._end_of(each)) is not None}

    def _tail_of(self, path: Path, cursor: str | None) -> LogTail:
        return LogTail(path, cursor, line_bytes_max=self._line_bytes_max, cut_long=True)

    def _end_of(self, path: Path) -> Cursor | None:
        try:
            tail = self._tail_of(path, None)
        except OSError:
            return None
        tail.close()
        return msgspec.json.decode(tail.position(), type=Cursor)

    def _begin_of(self, path: Path) -> str:
        """Where to begin a file that another one went before."""
        end = self._ends.get(path.name)
        if end is not None:
            with path.open("rb") as file:
                is_same = end.is_how(file.read(end.length)) and path.stat().st_size >= end.offset
            if is_same and path.stat().st_ino == end.inode:
                return end.text()
        return _begin(path)

    def _cursor(self, at: str) -> str:
        return msgspec.json.encode(SeriesCursor(self._path.name, at)).decode()

    def _is_time(self) -> bool:
        if time.monotonic() < self._look_at:
            return False
        self._look_at = time.monotonic() + _LOOK_EVERY_S
        return True

    def _files(self) -> list[tuple[int, str, Path]]:
        found = []
        for path in self._folder.glob(self._names):
            try:
                found.append((path.stat().st_mtime_ns, path.name, path))
            except FileNotFoundError:
                continue
        return sorted(found)

    def _newest(self) -> Path | None:
        files = self._files()
        return files[-1][2] if files else None

    def _following(self) -> Path | None:
        """The next file after the one that we read, also where that one is gone."""
        files = self._files()
        self._own = next((each[:2] for each in files if each[1] == self._path.name), self._own)
        return next((each[2] for each in files if each[:2] > self._own), None)


def _begin(path: Path) -> str:
    """A cursor at the beginning of the file."""
    return msgspec.structs.replace(NOWHERE, inode=path.stat().st_ino).text()


def _decoded(cursor: str | None) -> SeriesCursor | None:
    try:
        return msgspec.json.decode(cursor or "", type=SeriesCursor)
    except msgspec.DecodeError:
        return None
