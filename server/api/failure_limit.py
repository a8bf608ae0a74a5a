"""Makes an address wait that failed too often within a minute. Used on the event loop's thread only.

IPv6 addresses count by their /64, which one host can use up whole. Memory is bounded: when
ADDRESSES_MAX failed within the minute, the oldest is forgotten.
"""

from __future__ import annotations

import ipaddress
import math
import time
from collections import deque
from collections.abc import Callable

WINDOW_SECONDS = 60.0
ADDRESSES_MAX = 10_000


class FailureLimit:
    """`monotonic` gives seconds."""

    def __init__(self, per_minute: int, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._per_minute = per_minute
        self._monotonic = monotonic
        self._failures: dict[str, deque[float]] = {}

    def wait_seconds(self, address: str) -> int:
        """How long this address must wait before it may try again; 0: it may now."""
        failures = self._failures.get(network_of(address))
        if failures is None:
            return 0
        now = self._monotonic()
        while failures and failures[0] <= now - WINDOW_SECONDS:
            failures.popleft()
        if len(failures) < self._per_minute:
            return 0
        return math.ceil(failures[0] + WINDOW_SECONDS - now)

    def failed(self, address: str) -> None:
        network = network_of(address)
        failures = self._failures.pop(network, None)
        if failures is None:
            if len(self._failures) >= ADDRESSES_MAX:
                del self._failures[next(iter(self._failures))]
            failures = deque(maxlen=self._per_minute)
        failures.append(self._monotonic())
        self._failures[network] = failures


def network_of(address: str) -> str:
    """What counts as one address."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
