"""Feature vector of one subject-day on removable storage (definitions: storage_features docstrings)."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from analytics.storage_day import DayType, HistoryDay, StorageDay

RAW_NAMES = ("megabytes", "files", "new_devices")
FEATURE_NAMES = (
    "megabytes_burst",
    "files_burst",
    "new_devices_burst",
    "copy_rarity",
    "new_device_rarity",
    "megabytes_7d_own",
    "megabytes_7d_peers",
    "megabytes_28d_own",
    "megabytes_28d_peers",
)


class PeerDayStats(msgspec.Struct, frozen=True):
    """Of one peer group's days of one type; one number a raw feature (RAW_NAMES), of ln(1 + value)."""

    q90: tuple[float, ...]
    sd: tuple[float, ...]


class PeerStats(msgspec.Struct, frozen=True):
    work: PeerDayStats
    off: PeerDayStats


def storage_features(
    today: StorageDay, day_type: DayType, history: Sequence[HistoryDay], peers: PeerStats
) -> tuple[float, ...]:
    """Values in the order of FEATURE_NAMES. `history`: most recent day first, up to 60 days are used.

    `today` may be the running value of a day that is not over.
    """
    raise NotImplementedError
