"""What looking at one file may cost, counted down while it is looked at."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from collectors.labels.settings import LabelSettings

_REST_AFTER_S: Final = 0.01


class OutOfBudget(Exception):
    """A limit is reached: what was found so far is told as partial. The message names the setting."""


class Unreadable(Exception):
    """This part of the file cannot be read (broken, encrypted, not known); the rest still can."""


class Budget:
    """Of one file. `rest` is told the seconds of CPU time used since the last time, and keeps to the share of
    a core; benchmarks do without."""

    def __init__(
        self,
        settings: LabelSettings,
        cpu_clock: Callable[[], float] = time.process_time,
        rest: Callable[[float], None] | None = None,
    ) -> None:
        self.settings = settings
        self._cpu_clock, self._rest = cpu_clock, rest
        self._began = self._rested_at = cpu_clock()
        self._unpacked = self._members = 0

    def check(self) -> None:
        """To be called after each piece of work, of some milliseconds. Raises OutOfBudget."""
        now = self._cpu_clock()
        if now - self._began > self.settings.cpu_seconds:
            raise OutOfBudget("cpu_seconds")
        if self._rest is not None and now - self._rested_at >= _REST_AFTER_S:
            self._rest(now - self._rested_at)
            self._rested_at = self._cpu_clock()

    def unpacked(self, size: int) -> None:
        """So many more bytes came out of an archive or a document."""
        self._unpacked += size
        if self._unpacked > self.settings.unpacked_bytes_max:
            raise OutOfBudget("unpacked_bytes_max")
        self.check()

    def member(self) -> None:
        """One more member of an archive."""
        self._members += 1
        if self._members > self.settings.members_max:
            raise OutOfBudget("members_max")
        self.check()
