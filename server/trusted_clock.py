"""The clock that the running server goes by: the machine's, but not where it leaps.

The machine's clock steps: a wrong hand, a dead battery, a time server gone mad. Taken at its word, a
year ahead for a minute would drop all events, end every certificate and date what is received; a year
back would move the times of all agents' events. So time goes on by the steady clock (since boot, sleep
included), and

- small steps of the machine's clock are followed at once;
- a leap of more than LEAP_MS is followed when it has stood for STANDS_MS, or when more of the agents
  that were heard since side with it than against it: their clocks are witnesses that nobody set together
  with this one;
- what deletes (retention) goes by the time before a leap forward until agents confirm it, or the clock
  has stood for CONFIRMED_MS. So it does after a start more than GAP_MS after the last confirmed time,
  which the file `clock` in the data directory keeps (JSON {"confirmed": ms UTC}). A clock that is then
  put back to where it can be right is followed at once; one that is behind the confirmed time has leapt.

Only choosing between the two clocks is left to agents; none can make up a time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final, Protocol

import msgspec

from server.data_directory import DataDirectory, write_private

LEAP_MS: Final = 60_000
STANDS_MS: Final = 10 * 60_000
CONFIRMED_MS: Final = 24 * 3600_000
GAP_MS: Final = 24 * 3600_000
AGREES_MS: Final = 120_000
"""So far a heartbeat may be from the clock that it speaks for: its way took some time."""
WITNESSES_MAX: Final = 10_000
_FILE_BYTES_MAX = 4096


class ServerClock(Protocol):
    def __call__(self) -> int:
        """Now, ms UTC."""

    def for_deletion(self) -> int:
        """Now, as far as it is sure enough for what cannot be undone."""

    def hear(self, agent: str, sent_at: int, received_at: int) -> bool:
        """An agent's heartbeat, as a witness. Whether its own clock can be judged by this one now."""

    def restamped(self, received_at: int) -> int:
        """When that was by this clock: it may have been stamped before a leap was followed."""


class PlainClock:
    """Believes every word of the clock that it is given."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock

    def __call__(self) -> int:
        return self._clock()

    def for_deletion(self) -> int:
        return self._clock()

    def hear(self, agent: str, sent_at: int, received_at: int) -> bool:
        return True

    def restamped(self, received_at: int) -> int:
        return received_at


class ClockState(msgspec.Struct, frozen=True):
    """`leap`: how many ms the machine's clock is ahead of the time that is gone by; 0: it is followed.
    `deletion_behind`: how many ms deletion is behind that time, until it is confirmed."""

    leap: int = 0
    deletion_behind: int = 0


class TrustedClock:
    """Thread-safe. `wall`: the machine's clock, ms UTC. `confirmed`: the last time that was sure."""

    def __init__(
        self,
        wall: Callable[[], int],
        *,
        confirmed: int | None = None,
        steady: Callable[[], int] = lambda: time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000,
    ) -> None:
        self._wall, self._steady = wall, steady
        self._lock = threading.Lock()
        began = steady()
        self._course = wall() - began
        self._leapt: tuple[int, int] | None = None
        """(the machine's course, since when), while it is not followed."""
        self._sure = self._course
        self._unsure_since: int | None = None
        if confirmed is not None and wall() - confirmed > GAP_MS:
            self._sure, self._unsure_since = confirmed - began, began
        elif confirmed is not None and wall() < confirmed - LEAP_MS:
            # It has been later than this: the machine's clock is wrong, as if it had leapt just now.
            self._course = self._sure = confirmed - began
        self._witnesses: dict[str, bool | None] = {}
        self._stamped_before: tuple[int, int, int] | None = None
        """(first, last, by how much they are off): what was stamped while the last leap was in doubt."""

    def __call__(self) -> int:
        with self._lock:
            return self._now()

    def for_deletion(self) -> int:
        with self._lock:
            now = self._now()
            return now if self._unsure_since is None else min(now, self._steady() + self._sure)

    def state(self) -> ClockState:
        with self._lock:
            self._now()
            leap = 0 if self._leapt is None else self._leapt[0] - self._course
            behind = 0 if self._unsure_since is None else max(0, self._course - self._sure)
            return ClockState(leap, behind)

    def hear(self, agent: str, sent_at: int, received_at: int) -> bool:
        with self._lock:
            now = self._now()
            if self._leapt is None and self._unsure_since is None:
                return True
            way = now - received_at
            if 0 <= way <= AGREES_MS and len(self._witnesses) < WITNESSES_MAX:
                sent = sent_at + way - self._steady()
                self._witnesses[agent] = self._sides_with(sent)
                self._count()
            return self._leapt is None

    def restamped(self, received_at: int) -> int:
        with self._lock:
            if self._stamped_before is not None:
                first, last, leap = self._stamped_before
                if first <= received_at <= last:
                    return received_at + leap
            return received_at

    def _sides_with(self, sent: int) -> bool | None:
        """True: what is in doubt is right; False: it is wrong; None: neither clock is like the agent's."""
        if self._leapt is not None and abs(sent - self._leapt[0]) <= AGREES_MS:
            return True
        with_course = abs(sent - self._course) <= AGREES_MS
        if self._leapt is not None:
            return False if with_course else None
        return with_course

    def _count(self) -> None:
        votes = list(self._witnesses.values())
        if votes.count(True) <= votes.count(False):
            return
        if self._leapt is not None:
            self._follow(self._leapt[0])
        self._confirm()

    def _now(self) -> int:
        steady = self._steady()
        course = self._wall() - steady
        if self._unsure_since is not None and 0 <= course - self._sure <= GAP_MS:
            # Put right; or the leap that was followed is none to wait a day for.
            if abs(course - self._course) > LEAP_MS:
                self._follow(course)
            self._confirm()
        if abs(course - self._course) <= LEAP_MS:
            self._course = course
            if self._leapt is not None:
                self._leapt = None
                self._witnesses.clear()
        elif self._leapt is None or abs(course - self._leapt[0]) > LEAP_MS:
            self._leapt = (course, steady)
            self._witnesses.clear()
        elif steady - self._leapt[1] >= STANDS_MS:
            self._follow(course)
        if self._unsure_since is None:
            self._sure = self._course
        elif steady - self._unsure_since >= CONFIRMED_MS:
            self._confirm()
        return steady + self._course

    def _follow(self, course: int) -> None:
        steady = self._steady()
        if course > self._course and self._unsure_since is None:
            self._unsure_since = steady
        self._stamped_before = None
        if self._leapt is not None and course > self._course:
            # After one back these times come again, and are right then.
            self._stamped_before = (
                self._leapt[1] + self._course - LEAP_MS,
                steady + self._course,
                course - self._course,
            )
        self._course, self._leapt = course, None
        self._witnesses.clear()

    def _confirm(self) -> None:
        self._sure, self._unsure_since = self._course, None
        self._witnesses.clear()


class _Confirmed(msgspec.Struct, frozen=True):
    confirmed: int


def read_confirmed(directory: DataDirectory) -> int | None:
    """The last confirmed time; None where nobody wrote it down, or it cannot be read."""
    try:
        with directory.clock_path.open("rb") as file:
            return msgspec.json.decode(file.read(_FILE_BYTES_MAX), type=_Confirmed).confirmed
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None


def keep_confirmed(directory: DataDirectory, clock: TrustedClock) -> None:
    """Writes it down, where it is sure. Raises OSError."""
    state = clock.state()
    if not state.leap and not state.deletion_behind:
        write_private(directory.clock_path, msgspec.json.encode(_Confirmed(clock())))
