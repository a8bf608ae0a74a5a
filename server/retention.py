"""The oldest day that counts. Housekeeping drops what is older, some time after; the pipeline does as if it
were gone already, so that neither the time of dropping nor that of a restart shows."""

from __future__ import annotations

from typing import Final

DAY_MS: Final = 24 * 3600 * 1000
EVER: Final = -(2**31)
ACTIVITY_DAYS: Final = 190
"""Sums by activity and day, where nobody says otherwise: 115 that models look at, 60 before them that tell
what is new (pipeline/activity_history.py), and some for those that come late."""
ACTIVITY_DAYS_MIN: Final = 30
"""With fewer no model would have its 28 days of calibration."""
WATCHED_DAYS: Final = 120
"""Days on which collectors ran, of which models look at 115 before the one that runs."""


def first_day_kept(now: int, events_days: int | None) -> int:
    """UTC day. now: ms UTC. events_days: None keeps all."""
    return EVER if events_days is None else now // DAY_MS - events_days


def first_activity_day(now: int, activity_days: int) -> int:
    """Local day. now: ms UTC."""
    return first_local_day(first_day_kept(now, activity_days))


def first_local_day(first_day: int) -> int:
    """Local days begin up to a day before or after those of UTC."""
    return max(EVER, first_day - 1)
