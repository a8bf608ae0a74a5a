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
  which the file `clock` in the data directory keeps. A clock that is then put back to where it can be
  right is followed at once; one that is behind the confirmed time has leapt.

The file `clock` is JSON: {"confirmed": ms UTC or null, "stamped_early": null or {"first", "last", "by"}}, the
latter as in StampedEarly: records may wait in the log that were stamped while the last leap was in doubt.

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


class StampedEarly(msgspec.Struct, frozen=True):
    """What was stamped from `first` to `last` by this clock, while a leap ahead was in doubt, is `by` ms
    early. `last` is None while it still is in doubt. ms UTC."""

    first: int
    last: int | None
    by: int


class KeptTime(msgspec.Struct, frozen=True):
    """What the file `clock` says."""

    confirmed: int | None = None
    stamped_early: StampedEarly | None = None


class TrustedClock:
    """Thread-safe. `wall`: the machine's clock, ms UTC. `confirmed`: the last time that was sure.
    `stamped_early`: as an earlier process left it. `stamps`: whether this clock stamps the log's records;
    else brokers do, whose clocks are other machines'."""

    def __init__(
        self,
        wall: Callable[[], int],
        *,
        confirmed: int | None = None,
        stamped_early: StampedEarly | None = None,
        stamps: bool = True,
        steady: Callable[[], int] = lambda: time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000,
    ) -> None:
        self._wall, self._steady, self._stamps = wall, steady, stamps
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
        self._stamped_early = None if stamped_early is None else _as_of(stamped_early, wall())
        """Of the last leap that was followed."""

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
            if not self._stamps and self._leapt is not None and way < -AGREES_MS:
                # Brokers have the time that is in doubt. (One that is early may just have waited in the log.)
                way += self._leapt[0] - self._course
            if (0 if self._stamps else -AGREES_MS) <= way <= AGREES_MS and len(
                self._witnesses
            ) < WITNESSES_MAX:
                sent = sent_at + way - self._steady()
                self._witnesses[agent] = self._sides_with(sent)
                self._count()
            return self._leapt is None

    def restamped(self, received_at: int) -> int:
        with self._lock:
            early = self._stamped_early
            if early is None or early.last is None or not early.first <= received_at <= early.last:
                return received_at
            return received_at + early.by

    def stamped_early(self) -> StampedEarly | None:
        """For the next process."""
        with self._lock:
            self._now()
            if self._stamps and self._leapt is not None and self._leapt[0] > self._course:
                return self._early_since(self._leapt[1], None, self._leapt[0])
            return self._stamped_early

    def _early_since(self, steady: int, last: int | None, course: int) -> StampedEarly:
        return StampedEarly(steady + self._course - LEAP_MS, last, course - self._course)

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
        self._stamped_early = None
        if self._stamps and self._leapt is not None and course > self._course:
            # After one back these times come again, and are right then.
            self._stamped_early = self._early_since(self._leapt[1], steady + self._course, course)
        self._course, self._leapt = course, None
        self._witnesses.clear()

    def _confirm(self) -> None:
        self._sure, self._unsure_since = self._course, None
        self._witnesses.clear()


def _as_of(early: StampedEarly, wall: int) -> StampedEarly | None:
    """None where the machine's clock has not gone where it leapt to: then the leap was wrong."""
    if early.last is None:
        early = msgspec.structs.replace(early, last=wall - early.by)
    return (
        early if early.last is not None and early.first <= early.last <= wall - early.by + LEAP_MS else None
    )


def read_kept(directory: DataDirectory) -> KeptTime:
    """Without what nobody wrote down, or cannot be read."""
    try:
        with directory.clock_path.open("rb") as file:
            return msgspec.json.decode(file.read(_FILE_BYTES_MAX), type=KeptTime)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return KeptTime()


def keep_time(directory: DataDirectory, clock: TrustedClock) -> None:
    """Writes it down; the time only where it is sure. By one thread at a time. Raises OSError."""
    before = read_kept(directory)
    state, early = clock.state(), clock.stamped_early()
    confirmed = before.confirmed if state.leap or state.deletion_behind else clock()
    kept = KeptTime(confirmed, early)
    if kept != before:
        write_private(directory.clock_path, msgspec.json.encode(kept))
