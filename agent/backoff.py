"""How long to wait after the n-th failure in a row: doubling up to a cap, with jitter."""

from __future__ import annotations

import random
from collections.abc import Callable


class Backoff:
    """`jitter` gives a number from 0 to 1: a thousand agents must not come back in the same second."""

    def __init__(self, first: float, cap: float, *, jitter: Callable[[], float] = random.random) -> None:
        self._first, self._cap, self._jitter = first, cap, jitter
        self._failures = 0

    def failed(self) -> float:
        """Seconds to wait now: from half of the step to the whole."""
        step = min(self._cap, self._first * 2.0 ** min(self._failures, 30))
        self._failures += 1
        return step * (0.5 + 0.5 * self._jitter())

    def succeeded(self) -> None:
        self._failures = 0
