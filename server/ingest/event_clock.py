"""Event time: the agent's clock, corrected by what its heartbeats show. Milliseconds UTC.

A heartbeat is sent live, so the log's receive time minus `sent_at` is the clock's error plus the way.
Differences that the way can explain are left alone.
"""

from __future__ import annotations

from typing import Final

CLOCK_TRUSTED_MS: Final = 120_000
"""A smaller difference counts as none: a broker that was away holds a heartbeat back for so long."""
FUTURE_ALLOWED_MS: Final = 10 * 60_000
"""An event later than its receive time by more than this, after correction, is future-dated."""


def clock_offset(sent_at: int, received_at: int) -> int:
    """Milliseconds to add to the agent's times."""
    difference = received_at - sent_at
    return 0 if abs(difference) <= CLOCK_TRUSTED_MS else difference


def corrected_time(time: int, offset: int) -> int:
    return max(0, time + offset)


def is_future_dated(time: int, received_at: int) -> bool:
    """`time` corrected."""
    return time > received_at + FUTURE_ALLOWED_MS
