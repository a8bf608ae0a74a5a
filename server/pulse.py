"""A loop's sign of life: it beats at every turn, and one turn has a bound. Beyond it, the loop hangs."""

from __future__ import annotations

import time
from collections.abc import Callable


class Pulse:
    """`bound`: seconds that the longest honest turn may take. One thread beats, any may look."""

    def __init__(self, bound: float, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.bound = bound
        self._monotonic = monotonic
        self._last = monotonic()

    def beat(self) -> None:
        self._last = self._monotonic()

    @property
    def age(self) -> float:
        """Seconds since the last beat."""
        return max(0.0, self._monotonic() - self._last)

    @property
    def hangs(self) -> bool:
        return self.age > self.bound
