"""How long somebody must wait after wrong passwords: for an account, and for an address.

An account's wait grows from the fifth wrong password in a row on, up to a quarter of an hour, and holds for
addresses only from which its user never signed in: so whoever guesses is slowed, and keeps nobody out. An
address that its user signed in from has a count of its own, with more that are free: a whole office may stand
behind it. For the same reason wrong passwords within a minute count for a name at an address, and for the
address alone only when they are many. Names
that nobody has wait just the same, or the wait would tell who exists. All of it is in memory: a write for
each wrong password would tell it too, and would let anybody keep the database busy.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Final

import msgspec

from server.api.failure_limit import FailureLimit, network_of

FREE_FAILURES: Final = 4
WAIT_MS: Final = 30_000
WAIT_MS_MAX: Final = 900_000
FORGOTTEN_MS: Final = 3_600_000
KNOWN_FREE_FAILURES: Final = 20
"""In a row, at an address that the user signed in from."""
ADDRESS_TIMES: Final = 10
"""So many times as much within a minute for an address as for one name at it."""
NAMES_MAX: Final = 20_000


class Failures(msgspec.Struct, frozen=True):
    """Of one name: wrong passwords in a row, when last, and until when it waits."""

    count: int = 0
    failed_at: int | None = None
    waits_until: int | None = None

    def wait_seconds(self, now: int) -> int:
        """0: it may be tried now."""
        return max(0, -((now - (self.waits_until or now)) // 1000))

    def one_more(self, now: int, free: int = FREE_FAILURES) -> Failures:
        is_old = self.failed_at is None or now - self.failed_at > FORGOTTEN_MS
        count = 1 if is_old else self.count + 1
        if count <= free:
            return Failures(count, now, None)
        wait = min(WAIT_MS_MAX, WAIT_MS << min(20, count - free - 1))
        return Failures(count, now, now + wait)


class Waits:
    """Failures by address and by name, in memory. Threads share it."""

    def __init__(self, per_minute: int) -> None:
        self._addresses = FailureLimit(ADDRESS_TIMES * per_minute)
        self._names_at = FailureLimit(per_minute)
        self._known: OrderedDict[tuple[str, str], Failures] = OrderedDict()
        self._users: dict[str, Failures] = {}
        self._nobodys: OrderedDict[str, Failures] = OrderedDict()
        self._lock = threading.Lock()

    def of_address(self, address: str, name: str | None = None) -> int:
        """Seconds; 0: it may try now. `name`: it may try this one."""
        with self._lock:
            wait = self._addresses.wait_seconds(address)
            return wait if name is None else max(wait, self._names_at.wait_seconds(_at(address, name)))

    def of_name(self, name: str, known_at: str | None = None) -> Failures:
        """`known_at`: the address, where its user signed in from it."""
        with self._lock:
            if known_at is not None:
                return self._known.get((name, network_of(known_at)), Failures())
            return self._users.get(name) or self._nobodys.get(name) or Failures()

    def failed(self, address: str, name: str | None = None) -> None:
        with self._lock:
            self._addresses.failed(address)
            if name is not None:
                self._names_at.failed(_at(address, name))

    def name_failed(self, name: str, now: int, *, exists: bool, known_at: str | None = None) -> Failures:
        """What is kept of names that nobody has is bounded; guessing at them pushes no user's out."""
        with self._lock:
            if known_at is not None:
                place = (name, network_of(known_at))
                failures = self._known.pop(place, Failures()).one_more(now, KNOWN_FREE_FAILURES)
                self._known[place] = failures
                while len(self._known) > NAMES_MAX:
                    self._known.popitem(last=False)
                return failures
            before = self._users.pop(name, None) or self._nobodys.pop(name, None) or Failures()
            failures = before.one_more(now)
            if exists:
                self._users[name] = failures
            else:
                self._nobodys[name] = failures
                while len(self._nobodys) > NAMES_MAX:
                    self._nobodys.popitem(last=False)
            return failures

    def succeeded(self, name: str) -> None:
        with self._lock:
            self._users.pop(name, None)
            self._nobodys.pop(name, None)
            for place in [each for each in self._known if each[0] == name]:
                del self._known[place]


def _at(address: str, name: str) -> str:
    return f"{network_of(address)} {name}"
