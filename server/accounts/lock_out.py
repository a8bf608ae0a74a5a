"""How long somebody must wait after wrong passwords: for an account, and for an address.

An account's wait grows from the fifth wrong password in a row on, up to a quarter of an hour, and holds for
addresses only from which its user never signed in: so whoever guesses is slowed, and keeps nobody out. Names
that nobody has wait just the same, or the wait would tell who exists. All of it is in memory: a write for
each wrong password would tell it too, and would let anybody keep the database busy.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Final

import msgspec

from server.api.failure_limit import FailureLimit

FREE_FAILURES: Final = 4
WAIT_MS: Final = 30_000
WAIT_MS_MAX: Final = 900_000
FORGOTTEN_MS: Final = 3_600_000
NAMES_MAX: Final = 20_000


class Failures(msgspec.Struct, frozen=True):
    """Of one name: wrong passwords in a row, when last, and until when it waits."""

    count: int = 0
    failed_at: int | None = None
    waits_until: int | None = None

    def wait_seconds(self, now: int) -> int:
        """0: it may be tried now."""
        return max(0, -((now - (self.waits_until or now)) // 1000))

    def one_more(self, now: int) -> Failures:
        is_old = self.failed_at is None or now - self.failed_at > FORGOTTEN_MS
        count = 1 if is_old else self.count + 1
        if count <= FREE_FAILURES:
            return Failures(count, now, None)
        wait = min(WAIT_MS_MAX, WAIT_MS << min(20, count - FREE_FAILURES - 1))
        return Failures(count, now, now + wait)


class Waits:
    """Failures by address and by name, in memory. Threads share it."""

    def __init__(self, per_minute: int) -> None:
        self._addresses = FailureLimit(per_minute)
        self._users: dict[str, Failures] = {}
        self._nobodys: OrderedDict[str, Failures] = OrderedDict()
        self._lock = threading.Lock()

    def of_address(self, address: str) -> int:
        """Seconds; 0: it may try now."""
        with self._lock:
            return self._addresses.wait_seconds(address)

    def of_name(self, name: str) -> Failures:
        with self._lock:
            return self._users.get(name) or self._nobodys.get(name) or Failures()

    def failed(self, address: str) -> None:
        with self._lock:
            self._addresses.failed(address)

    def name_failed(self, name: str, now: int, *, exists: bool) -> Failures:
        """What is kept of names that nobody has is bounded; guessing at them pushes no user's out."""
        with self._lock:
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
