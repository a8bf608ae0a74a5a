"""What one agent may send: a bucket of events for each, that fills at a steady rate up to a limit.

A request is admitted while the bucket is not empty and takes out what it holds, so that a request of any
size gets through in the end and the next one waits for it: over any time, no more comes than the bucket
plus what flows in plus one request. Requests without events (heartbeats) are admitted down to as much
below empty, so that an agent that sends too much is not taken for silent. Each request costs something
of itself, and only a few of an agent are worked on at once.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from server.api.errors import ApiError

REQUEST_COST = 10
"""In events: what checking a signature and an fsync cost, about."""
AT_ONCE_MAX = 4
"""A real agent sends one request at a time; one that it gave up on may still be there."""
WAIT_SECONDS_MAX = 60
AGENTS_MAX = 20_000
HELD_BACK_SECONDS = 600.0
HELD_BACK_MAX = 20


class _Bucket:
    def __init__(self, level: float, at: float) -> None:
        self.level = level
        self.at = at
        self.requests = 0
        self.refused = 0
        self.refused_at = 0.0


class AgentQuota:
    """Thread-safe. `monotonic` gives seconds. Buckets that are full need no memory and are forgotten."""

    def __init__(
        self, per_second: int, at_once: int, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._per_second = per_second
        self._at_once = at_once
        self._monotonic = monotonic
        self._buckets: dict[str, _Bucket] = {}
        self._lock = threading.Lock()

    @contextmanager
    def one_request(self, agent: str, body_bytes: int, control_bytes_max: int) -> Iterator[None]:
        """While a request of the agent is worked on; before its signature is checked, so nothing is taken
        out yet. Raises ApiError(429). A body of at most `control_bytes_max` may be a heartbeat."""
        with self._lock:
            bucket = self._bucket(agent)
            lowest = -self._at_once if body_bytes <= control_bytes_max else 0
            self._refuse_below(bucket, lowest)
            if bucket.requests >= AT_ONCE_MAX:
                raise _too_much(bucket, 1)
            bucket.requests += 1
        try:
            yield
        finally:
            with self._lock:
                bucket.requests -= 1

    def take(self, agent: str, events: int) -> None:
        """Takes a checked request out of the agent's bucket. Raises ApiError(429), takes nothing then."""
        with self._lock:
            bucket = self._bucket(agent)
            self._refuse_below(bucket, 0 if events else -self._at_once)
            bucket.level -= REQUEST_COST + events

    def held_back(self) -> dict[str, int]:
        """Agents that were refused a short time ago, and how many of their requests; the worst ones."""
        with self._lock:
            recent = self._monotonic() - HELD_BACK_SECONDS
            found = {
                name: bucket.refused
                for name, bucket in self._buckets.items()
                if bucket.refused and bucket.refused_at > recent
            }
        worst = sorted(found, key=lambda name: found[name], reverse=True)
        return {name: found[name] for name in worst[:HELD_BACK_MAX]}

    def _refuse_below(self, bucket: _Bucket, lowest: float) -> None:
        if bucket.level <= lowest:
            seconds = math.ceil((lowest - bucket.level + 1) / self._per_second)
            raise _too_much(bucket, min(max(seconds, 1), WAIT_SECONDS_MAX))

    def _bucket(self, agent: str) -> _Bucket:
        now = self._monotonic()
        bucket = self._buckets.get(agent)
        if bucket is None:
            if len(self._buckets) >= AGENTS_MAX:
                self._forget_full(now)
            bucket = self._buckets[agent] = _Bucket(self._at_once, now)
        bucket.level = min(self._at_once, bucket.level + (now - bucket.at) * self._per_second)
        bucket.at = now
        return bucket

    def _forget_full(self, now: float) -> None:
        for name, bucket in list(self._buckets.items()):
            level = bucket.level + (now - bucket.at) * self._per_second
            if level >= self._at_once and not bucket.requests:
                del self._buckets[name]


def _too_much(bucket: _Bucket, seconds: int) -> ApiError:
    bucket.refused += 1
    bucket.refused_at = bucket.at
    return ApiError(429, "too_many_events", "this agent sends more than it may", retry_after=seconds)
