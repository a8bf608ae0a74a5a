"""Which of this agent's events are dated by which setting of the machine's clock.

The server corrects events' times by what heartbeats show of the clock. Where the clock is set while
events wait, those before the step need another correction than those after it: so each step is told,
with the number of the first event that is dated by the new time. Steps before the agent started are not
known.

An event gets its number here when it is handed on, which is just after it was dated: it may then wait for
the spool for hours. What waits is thus before a step that is noticed meanwhile.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from math import inf
from typing import Final

import msgspec

from event_schema.control_records import CLOCK_STEPS_MAX, ClockStep

STEP_MS: Final = 60_000
"""Less is not corrected anyway."""
_AHEAD_MS: Final = 1000
"""So much later than now an event may be dated by the right setting: clocks are read one after the other."""


class _Setting(msgspec.Struct, frozen=True):
    """`offset`: wall clock minus steady clock. It began between `after` and `by`, steady ms."""

    offset: int
    after: float
    by: float


class ClockSteps:
    """Thread-safe. `wall`: ms UTC. `next_seq`: number of the next event that is handed on. `steady`: ms
    since boot, sleep included."""

    def __init__(
        self,
        wall: Callable[[], int],
        next_seq: int,
        steady: Callable[[], int] = lambda: time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000,
    ) -> None:
        self._wall, self._next_seq, self._steady = wall, next_seq, steady
        self._lock = threading.Lock()
        self._looked = steady()
        self._steps: tuple[ClockStep, ...] = ()
        self._settings: tuple[_Setting, ...] = (_Setting(wall() - self._looked, -inf, -inf),)
        """The one before each step, and the one that holds now."""
        self._changes = 0

    def look(self) -> None:
        """Notices a step. Call it often."""
        with self._lock:
            self._look()

    def hand_on(self, event_time: int) -> None:
        """Numbers one more event, in the order in which the spool gets them."""
        with self._lock:
            now = self._look()
            setting = self._setting_of(event_time, now)
            steps = tuple(
                # It was dated before the step, and nobody saw it when the step was noticed.
                msgspec.structs.replace(step, first_seq=self._next_seq + 1)
                if i >= setting and step.first_seq == self._next_seq
                else step
                for i, step in enumerate(self._steps)
            )
            self._changes += steps != self._steps
            self._steps = steps
            self._next_seq += 1

    @property
    def changes(self) -> int:
        """How often recent() has changed since the agent started."""
        return self._changes

    def recent(self) -> tuple[ClockStep, ...]:
        with self._lock:
            return self._steps

    def _look(self) -> int:
        """Steady now."""
        now = self._steady()
        offset = self._wall() - now
        last, looked, self._looked = self._settings[-1], self._looked, now
        change = offset - last.offset
        if abs(change) <= STEP_MS:
            if change:
                self._settings = (*self._settings[:-1], _Setting(offset, last.after, last.by))
            return now
        self._steps = (*self._steps, ClockStep(self._next_seq, change))[-CLOCK_STEPS_MAX:]
        self._settings = (*self._settings, _Setting(offset, looked, now))[-CLOCK_STEPS_MAX - 1 :]
        self._changes += 1
        return now

    def _setting_of(self, event_time: int, now: int) -> int:
        """By which setting it is dated: the one that makes it the newest, of those that held at the time
        which it then speaks of."""
        ends = [setting.by for setting in self._settings[1:]] + [now]
        spoken_of = [event_time - setting.offset for setting in self._settings]
        held = [
            (at, i)
            for i, (at, setting, end) in enumerate(zip(spoken_of, self._settings, ends, strict=True))
            if setting.after <= at <= end + _AHEAD_MS
        ]
        return max(held)[1] if held else len(self._steps)
