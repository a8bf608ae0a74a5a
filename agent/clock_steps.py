"""Which of this agent's events are dated by which setting of the machine's clock.

The server corrects events' times by what heartbeats show of the clock. Where the clock is set while
events wait in the spool, those before the step need another correction than those after it: so each step
is told, with the number of the first event that is dated by the new time. Steps before the agent started
are not known.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

from event_schema.control_records import CLOCK_STEPS_MAX, ClockStep

STEP_MS: Final = 60_000
"""Less is not corrected anyway."""


class ClockSteps:
    """Thread-safe. `wall`: ms UTC. `steady`: ms since boot, sleep included."""

    def __init__(
        self,
        wall: Callable[[], int],
        steady: Callable[[], int] = lambda: time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000,
    ) -> None:
        self._wall, self._steady = wall, steady
        self._lock = threading.Lock()
        self._offset = wall() - steady()
        self._steps: tuple[ClockStep, ...] = ()
        self._count = 0

    def look(self, next_seq: int, times: Sequence[int] = ()) -> None:
        """Notices a step. `times`: of events that were observed since the last look and get the numbers from
        `next_seq` on."""
        with self._lock:
            steady = self._steady()
            offset = self._wall() - steady
            before, self._offset = self._offset, offset
            if abs(offset - before) <= STEP_MS:
                return
            old, new = steady + before, steady + offset
            dated_anew = (i for i, at in enumerate(times) if abs(at - new) < abs(at - old))
            first = next_seq + next(dated_anew, len(times))
            self._steps = (*self._steps, ClockStep(first, offset - before))[-CLOCK_STEPS_MAX:]
            self._count += 1

    @property
    def count(self) -> int:
        """Steps since the agent started."""
        return self._count

    def recent(self) -> tuple[ClockStep, ...]:
        with self._lock:
            return self._steps
