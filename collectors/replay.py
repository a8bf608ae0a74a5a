"""From where to read a log again after a restart, where what was read is not all events yet.

Some lines wait: failures that are being put together, a connection whose outcome is still to come. The
cursor must lie before the oldest of them; what was already handed on after it must not be handed on twice.

Format, inside a collector's cursor (JSON):

    {"at": "…", "done": 12, "grouped": 3, "given": 0, "time": 1795312914745}

- at: the source's own cursor; reading resumes after it.
- done: of so many lines after `at` the events are out already. They are read again only for what they say
  about later ones.
- grouped: of so many lines after `at` the groups are out, too.
- given: so many groups of the window that was just being handed out are out. It had the `done` lines, and
  gets no further ones when it is handed out again.
- time: of the newest line, in ms. A later one was never read: the log is not what it was.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Annotated

import msgspec
from msgspec import Meta

_Number = Annotated[int, Meta(ge=0)]


class Mark(msgspec.Struct, frozen=True, omit_defaults=True):
    """See the module."""

    at: str | None = None
    done: _Number = 0
    grouped: _Number = 0
    given: _Number = 0
    time: int = 0


class Replay:
    """Counts the lines of one source. Not for several threads."""

    def __init__(self, mark: Mark | None) -> None:
        self._mark = mark = mark or Mark()
        self._read = 0
        self._at = mark.at
        self._before: tuple[int, str | None] = (0, mark.at)
        self._done_before, self._grouped_before = mark.done, mark.grouped
        self._window_read = mark.done
        self._flushed = 0
        self._latest = mark.time
        self._held: dict[Hashable, tuple[int, str | None]] = {}
        self.given_before = mark.given
        """So many groups of the first window are out already."""

    def line(self, cursor: str, time: int) -> None:
        """One more line was read."""
        self._before = (self._read, self._at)
        self._read += 1
        self._at = cursor
        if self._read <= self._done_before and time > self._mark.time:
            self._done_before = self._grouped_before = self._read - 1
        self._latest = max(self._latest, time)

    @property
    def is_done(self) -> bool:
        """The line's own event was handed on before the restart."""
        return self._read <= self._done_before

    @property
    def is_grouped(self) -> bool:
        """The line is in a group that was handed on before the restart."""
        return self._read <= self._grouped_before

    @property
    def is_window_whole(self) -> bool:
        """Some groups of a window are out already: it must be handed out as it was then, before further lines
        make its groups larger."""
        return self.given_before > 0 and self._read >= self._window_read

    def hold(self, key: Hashable) -> None:
        """From this line on everything must be read again, until `key` is released."""
        self._held.setdefault(key, self._before)

    def hold_all(self, key: Hashable) -> None:
        """The same from the oldest line that is held now: what is open now must be read whole again."""
        self._held.setdefault(key, min((self._before, *self._held.values()), key=_ordinal))

    def release(self, key: Hashable) -> None:
        self._held.pop(key, None)

    def flushed(self) -> None:
        """Everything that was put together out of the lines so far is out."""
        self._flushed = self._read
        self.given_before = 0

    def mark(self, given: int = 0) -> Mark:
        """Where to resume now. `given`: so many groups of the present window are out."""
        first, at = min(self._held.values(), default=(self._read, self._at), key=_ordinal)
        return Mark(
            at=at,
            done=max(self._read, self._done_before) - first,
            grouped=max(self._flushed, self._grouped_before, first) - first,
            given=given,
            time=self._latest,
        )


def _ordinal(place: tuple[int, str | None]) -> int:
    return place[0]
