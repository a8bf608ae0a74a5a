"""What one subject copied to removable storage on one local day.

A day on which no collector ran is missing (None wherever a day may stand), never a day of zeros.
"""

from __future__ import annotations

from typing import Literal

import msgspec

DayType = Literal["work", "off"]
"""By the organisation's calendar, in the subject's own time zone; make-up working days are work."""


class StorageDay(msgspec.Struct, frozen=True):
    bytes: int = 0
    files: int = 0
    new_devices: int = 0
    """Devices first used by the subject on this day."""


class HistoryDay(msgspec.Struct, frozen=True):
    """One earlier day of a subject. `storage` is None where nobody looked (or the day is excluded)."""

    day_type: DayType
    storage: StorageDay | None
