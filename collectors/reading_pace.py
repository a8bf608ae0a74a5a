"""How much of a core reading files takes, all hashing and labelling of the agent together.

Each thread that reads says from time to time how much CPU time was used for it, and rests as long as it is
told. There is one lane for all: while one rests for what it used, the next has to wait behind it. So the sum
stays below the largest share that any of them has by its settings.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final


class ReadingPace:
    """For several threads. Remembers one moment only: until when the lane is taken."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._taken_until = 0.0

    def rest_s(self, used_s: float, share: float) -> float:
        """Seconds to rest after so many seconds of CPU time, at this share of one core."""
        now = self._monotonic()
        with self._lock:
            self._taken_until = max(self._taken_until, now - used_s) + used_s / share
            return max(0.0, self._taken_until - now)


OF_THE_AGENT: Final = ReadingPace()
"""The lane of this process."""
