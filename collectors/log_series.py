"""Follows a log whose writer begins a new file under a new name, as PostgreSQL does: `/var/…/log/*.json`.

The files are read in the order of their last change, each to its end before the next one begins; what
happens to one file (renamed, copied and cut, half a line) is LogTail's. A path without `*` is a series of
one.

Cursor: {"name": of the file, "at": LogTail's cursor}; the empty string is the beginning of the newest file.
"""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import Final

import msgspec

from collectors.log_tail import Cursor, Line, LogTail

_LOOK_EVERY_S: Final = 1.0


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
                self._open(following, _begin(following))
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
        self._tail = LogTail(path, cursor, line_bytes_max=self._line_bytes_max, cut_long=True)

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
        """The next file after the one that we read; the newest where that one is gone."""
        files = self._files()
        own = next((each for each in files if each[1] == self._path.name), None)
        if own is None:
            return files[-1][2] if files else None
        later = [each for each in files if each > own]
        return later[0][2] if later else None


def _begin(path: Path) -> str:
    """A cursor at the beginning of the file."""
    start = Cursor(path.stat().st_ino, 0, hashlib.sha256().hexdigest(), 0)
    return msgspec.json.encode(start).decode()


def _decoded(cursor: str | None) -> SeriesCursor | None:
    try:
        return msgspec.json.decode(cursor or "", type=SeriesCursor)
    except msgspec.DecodeError:
        return None
