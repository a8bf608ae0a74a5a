"""Where to read on after a restart, for a collector that makes one event of many lines: sums of a minute,
acts that wait for what another source says of them.

Reading begins again before the oldest line that is not told yet. Which of the lines from there were told
already is kept as counts, so that none is told twice:

    {"at": LogSeries' cursor, "summed": 41, "read": 57, "held": [3, 55]}

`at`: after which line to begin. Of the lines that follow, the first `summed`
are in sums that were reported; the first `read` were reported one by one, but for those that `held` names.
"""

from __future__ import annotations

from typing import Final

import msgspec

HELD_MAX: Final = 100


class ProgressCursor(msgspec.Struct, frozen=True):
    at: str
    summed: int = 0
    read: int = 0
    held: tuple[int, ...] = ()


class LogProgress:
    """Counts lines from where reading began. Lines are numbered from 1."""

    def __init__(self, resume_from: str | None) -> None:
        self._again = _decoded(resume_from) or ProgressCursor("")
        self.start = None if resume_from is None else self._again.at
        """From where to read the log; None: its end, as it is now."""
        self._held_before = set(self._again.held)
        self._held: dict[int, str] = {}
        self._late: set[int] = set()
        """Held when the last sums were reported, and in the next ones."""
        self.begin_at(self.start or "")

    def begin_at(self, position: str) -> None:
        """Where reading really begins."""
        self.line = 0
        self._begin = self._cursor = self._cursor_before = position
        self._flushed = (0, position)

    def lost(self) -> None:
        """The log goes on elsewhere: what the counts were of is not there."""
        self._again, self._held_before = ProgressCursor(""), set()

    def took(self, cursor: str) -> None:
        """The next line, after which one can go on at `cursor`."""
        self.line += 1
        self._cursor_before, self._cursor = self._cursor, cursor

    def is_told(self, line: int) -> bool:
        """An earlier run reported it, if it was to be reported by itself."""
        return line <= self._again.read and line not in self._held_before

    def is_summed(self, line: int) -> bool:
        return line <= self._again.summed and line not in self._held_before

    def hold(self, line: int) -> None:
        """Its act is not reported yet; it is the line that was just taken, or one that is held already."""
        if line == self.line and line not in self._held:
            self._held[line] = self._cursor_before

    def release(self, line: int) -> None:
        self._held.pop(line, None)

    def into_sum(self, line: int) -> None:
        """A line that was held is part of a sum now, and told with it."""
        if line > self._flushed[0]:
            self.release(line)
        else:
            self._late.add(line)

    def flushed(self) -> None:
        """All sums so far are reported."""
        for line in self._late:
            self.release(line)
        self._late.clear()
        self._flushed = (self.line, self._cursor)

    def cursor(self) -> str:
        still = [line for line in self._held_before if line > self.line]
        if self.line < self._again.read:
            begin, at = 0, self._begin
        else:
            begin, at = self._flushed
            for line in self._held:
                if line - 1 < begin:
                    begin, at = line - 1, self._held[line]
        read = max(self.line, self._again.read)
        held = sorted({*self._held, *still})
        if len(held) > HELD_MAX:
            # Rather some of them twice than one of them not at all.
            read = held[HELD_MAX] - 1
        return msgspec.json.encode(
            ProgressCursor(
                at,
                summed=max(self._flushed[0], self._again.summed) - begin,
                read=read - begin,
                held=tuple(line - begin for line in held[:HELD_MAX]),
            )
        ).decode()


def _decoded(cursor: str | None) -> ProgressCursor | None:
    if cursor is None:
        return None
    try:
        return msgspec.json.decode(cursor, type=ProgressCursor)
    except msgspec.DecodeError:
        return None
