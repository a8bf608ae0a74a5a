"""Time for deciding what is due: milliseconds since the machine booted, which no one sets back.

The wall clock steps: a laptop that wakes up with a wrong time gets the right one seconds later. Whatever were
scheduled by it would wait for as long as it stepped back. So the collector counts in steady milliseconds,
its sleep included, and turns them into wall time only for what is compared or told: event times, file
times, the cursor.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

_STEP_MS: Final = 100
"""More than two readings one after the other can lie apart by chance."""


def _since_boot_ms() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


class SteadyClock:
    """`wall` gives ms since 1970 UTC. Use from one thread."""

    def __init__(self, wall: Callable[[], int], steady: Callable[[], int] = _since_boot_ms) -> None:
        self._wall = wall
        self._steady = steady
        self._offset_ms = self._offset_before_ms = wall() - steady()
        self._stepped_ms: int | None = None

    def now_ms(self) -> int:
        """Steady milliseconds. Call it often: it is how a step of the wall clock is noticed."""
        now = self._steady()
        offset = self._wall() - now
        if abs(offset - self._offset_ms) > _STEP_MS:
            self._stepped_ms, self._offset_before_ms = now, self._offset_ms
        self._offset_ms = offset
        return now

    def wall_ms(self, at_ms: int) -> int:
        """What the wall clock showed at that time; times before its last step but one are off by that one."""
        if self._stepped_ms is not None and at_ms < self._stepped_ms:
            return at_ms + self._offset_before_ms
        return at_ms + self._offset_ms

    def steady_ms(self, wall_ms: int) -> int:
        """A time at which the wall clock showed this, or less: `wall_ms` of it is never later."""
        at_ms = wall_ms - self._offset_ms
        if self._stepped_ms is not None and at_ms < self._stepped_ms:
            return min(wall_ms - self._offset_before_ms, self._stepped_ms - 1)
        return at_ms
