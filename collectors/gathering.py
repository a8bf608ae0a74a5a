"""Puts equal acts together: the first of a kind in a window is told at once, the others with a count. Pure.

Times are of the log (ms since 1970), and of the steady clock (seconds) for a log that falls silent.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

_Act = TypeVar("_Act")

COUNT_MAX = 2**53
"""A log can claim any number; what is over this is a lie, and an event holds no more than 2^63."""
KINDS_MAX = 1_000
"""Different kinds in one window. The rest is put together under the key that the caller names for it."""


class Gathering(Generic[_Act]):
    """One window at a time; it opens with the first act."""

    def __init__(self, window_ms: int) -> None:
        self._window_ms = window_ms
        self._opened: tuple[int, float] | None = None
        self._length_ms = window_ms
        self._seen: set[Hashable] = set()
        self._counts: dict[Hashable, int] = {}
        self._firsts: dict[Hashable, _Act] = {}

    @property
    def is_open(self) -> bool:
        return self._opened is not None

    def add(
        self,
        key: Hashable,
        act: _Act,
        *,
        rest: tuple[Hashable, _Act],
        count: int,
        time: int,
        now: float,
        at_once: bool = True,
        window_ms: int | None = None,
    ) -> bool:
        """Whether the act is to be told now, by itself; else it is in its group."""
        length = self._window_ms if window_ms is None else window_ms
        if self._opened is None:
            self._opened, self._length_ms = (time, now), length
        self._length_ms = min(self._length_ms, length)
        if key not in self._seen:
            if len(self._seen) < KINDS_MAX:
                self._seen.add(key)
                if at_once:
                    return True
            else:
                key, act = rest
        self._firsts.setdefault(key, act)
        self._counts[key] = min(self._counts.get(key, 0) + count, COUNT_MAX)
        return False

    def take_back(self, key: Hashable, count: int) -> None:
        """An act that turned out to be none, if it is not out yet."""
        left = self._counts.get(key, 0) - count
        if left > 0:
            self._counts[key] = left
        else:
            self._counts.pop(key, None)
            self._firsts.pop(key, None)

    def ends_before(self, time: int) -> bool:
        """Whether an act of this time (ms) is no longer of the window."""
        return self._opened is not None and time >= self._opened[0] + self._length_ms

    def is_over(self, now: float) -> bool:
        """Whether the window has been open for its length by the steady clock: for logs that fall silent."""
        return self._opened is not None and now >= self._opened[1] + self._length_ms / 1000

    def take(self) -> list[tuple[_Act, int]]:
        """The groups with their counts, in the order in which they began; the window is closed."""
        found = [(act, self._counts[key]) for key, act in self._firsts.items()]
        self._opened = None
        self._seen.clear()
        self._firsts.clear()
        self._counts.clear()
        return found
