"""Subjects × days × measures as arrays: what models are trained on and score from.

Values are whole numbers in the registry's order (measures.py). A day on which nobody looked is not seen;
its values stand as 0 and take part in nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from analytics.measures import ACTIVITIES, MEGABYTE, VALUE_MAX, DayType, Measure

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
Flags = NDArray[np.bool_]

SUBJECTS_MAX: Final = 1_000_000
DAYS_MAX: Final = 400


class PanelError(ValueError):
    """Arrays that do not fit or hold what no day can hold; the message says which."""


class ActivityDays(msgspec.Struct, frozen=True, eq=False):
    """One activity: values (subjects, days, measures), oldest day first, and seen (subjects, days)."""

    values: Counts
    seen: Flags

    def ending(self, day: int) -> ActivityDays:
        """The days before `day`."""
        return ActivityDays(self.values[:, :day], self.seen[:, :day])

    def of(self, rows: slice | NDArray[np.intp]) -> ActivityDays:
        return ActivityDays(self.values[rows], self.seen[rows])


class Panel(msgspec.Struct, frozen=True, eq=False):
    """The training range. Activities are loaded one at a time, so that large companies fit in memory."""

    subjects: Sequence[str]
    peer_groups: Sequence[str]
    """Of each subject."""
    first_day: int
    """Ordinal (datetime.date.toordinal) of the oldest day."""
    day_types: Sequence[DayType]
    """Of each day, oldest first."""
    load: Callable[[str], ActivityDays]
    """By the activity's name; the same arrays at each call. Days of confirmed incidents are given as not
    seen, so that nobody's baseline learns them."""

    @property
    def days(self) -> int:
        return len(self.day_types)

    @property
    def off(self) -> Flags:
        return np.array([day_type == "off" for day_type in self.day_types], dtype=np.bool_)

    def activity(self, name: str) -> ActivityDays:
        """Checked. Raises PanelError."""
        loaded = self.load(name)
        return checked(loaded, name, len(self.subjects), self.days)


def checked(loaded: ActivityDays, name: str, subjects: int, days: int) -> ActivityDays:
    """The same with values of unseen days at 0 and none above VALUE_MAX. Raises PanelError."""
    if not 0 <= subjects <= SUBJECTS_MAX or not 0 <= days <= DAYS_MAX:
        raise PanelError(f"{subjects} subjects × {days} days are more than {SUBJECTS_MAX} × {DAYS_MAX}")
    expected = subjects, days, len(ACTIVITIES[name])
    values, seen = np.asarray(loaded.values), np.asarray(loaded.seen, dtype=np.bool_)
    if values.shape != expected or seen.shape != expected[:2]:
        raise PanelError(f"{name}: arrays of shape {values.shape} and {seen.shape}, not {expected}")
    if values.dtype.kind == "f":
        if not np.isfinite(values).all():
            raise PanelError(f"{name}: a value is not a finite number")
        values = np.minimum(values, float(VALUE_MAX))
    elif values.dtype.kind not in "iu":
        raise PanelError(f"{name}: values of type {values.dtype}")
    if values.size and values.min() < 0:
        raise PanelError(f"{name}: a value is negative")
    bounded = np.minimum(values, VALUE_MAX).astype(np.int64, copy=False)
    bounded[~seen] = 0
    return ActivityDays(bounded, seen)


def log_values(values: Counts | Floats, measures: Sequence[Measure]) -> Floats:
    """ln(1 + value), bytes as megabytes; measures on the last axis."""
    divisor = np.array([MEGABYTE if m.unit == "bytes" else 1 for m in measures], dtype=np.float64)
    found: Floats = np.log1p(values / divisor)
    return found
