"""Feature vector of one subject-day on removable storage.

All on x = ln(1 + value), value in megabytes, files or new devices; own history and peers are compared on
days of the same type only, except for rarity and sums. A missing day takes no part anywhere.

| feature | window | definition |
|---|---|---|
| burst | 28 previous days of the same type | (x − centre) / scale, within 0..15 |
| rarity | 60 days | −ln((k + ½) / (n + 1)) for k active days of n if today is active, else 0 |
| own sum | 7 or 28 days | the sum's x against earlier windows that do not overlap it, within 0..12 |
| peers' sum | 7 or 28 days | the sum's x against the peers' sums, within 0..12 |

centre = (n·own q90 + 5·peers' q90) / (n + 5); scale = √((n·own sd² + 5·peers' sd²) / (n + 5)), at least .25;
for sums the own mean, and 14 pseudo-windows of the peers' deviation over time, at least .3.
The five pseudo-days of the peer group keep newcomers from flooding the queue. `today` may be the running
value of a day that is not over: every feature rises (or stays) as the day goes on.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate
from typing import Final

import msgspec

from analytics.storage_day import DayType, HistoryDay, StorageDay

RAW_NAMES: Final = ("megabytes", "files", "new_devices")
FEATURE_NAMES: Final = (
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
HISTORY_DAYS: Final = 60
BURST_DAYS: Final = 28
SUM_DAYS: Final = (7, 28)
MEGABYTE: Final = 1_000_000
_PEER_PSEUDO_DAYS: Final = 5.0
_PEER_PSEUDO_WINDOWS: Final = 14.0
_BURST_SCALE_MIN: Final = 0.25
_SUM_SCALE_MIN: Final = 0.3
_BURST_MAX: Final = 15.0
_SUM_MAX: Final = 12.0
_WINDOWS_MIN: Final = 6
_WINDOWS_MAX: Final = 29


class PeerDayStats(msgspec.Struct, frozen=True):
    """Of one peer group's days of one type; one number a raw feature (RAW_NAMES), of ln(1 + value)."""

    q90: tuple[float, ...]
    """Median of the members' own 90th percentiles."""
    sd: tuple[float, ...]
    """Root mean square of the members' own standard deviations."""


class PeerSumStats(msgspec.Struct, frozen=True):
    """Of one peer group's sums of megabytes, ln(1 + sum); one number a window (SUM_DAYS)."""

    mean: tuple[float, ...]
    sd: tuple[float, ...]
    """Between the members."""
    own_sd: tuple[float, ...]
    """Root mean square of the members' own standard deviations over time."""


class PeerStats(msgspec.Struct, frozen=True):
    """What is usual in a peer group, as of the last training."""

    work: PeerDayStats
    off: PeerDayStats
    sums: PeerSumStats
    percentiles: tuple[tuple[int, ...], ...]
    """Bytes, files, new devices: each at the 0th, 1st … 100th percentile of the members' last 28 days that
    have data; empty where no day has."""


class OwnUsual(msgspec.Struct, frozen=True):
    """One subject's own history on days of one type, of ln(1 + value), one number a raw feature."""

    days: int
    q90: tuple[float, ...]
    sd: tuple[float, ...]


def log_values(day: StorageDay) -> tuple[float, float, float]:
    """ln(1 + value) in the order of RAW_NAMES."""
    return math.log1p(day.bytes / MEGABYTE), math.log1p(day.files), math.log1p(day.new_devices)


def own_usual(history: Sequence[HistoryDay], day_type: DayType) -> OwnUsual:
    """90th percentile and standard deviation over the last 28 days of this type that have data."""
    same_type = [
        d.storage for d in history[:HISTORY_DAYS] if d.day_type == day_type and d.storage is not None
    ]
    rows = [log_values(day) for day in same_type[:BURST_DAYS]]
    if not rows:
        return OwnUsual(0, (0.0, 0.0, 0.0), (0.0, 0.0, 0.0))
    columns = list(zip(*rows, strict=True))
    return OwnUsual(len(rows), tuple(map(_q90, columns)), tuple(map(standard_deviation, columns)))


class Background(msgspec.Struct, frozen=True):
    """All of a day's features that does not change while the day runs, so that scoring it again is cheap."""

    burst_centre: tuple[float, ...]
    burst_scale: tuple[float, ...]
    copy_rarity: float
    new_device_rarity: float
    """Both: if today is active."""
    earlier_bytes: tuple[int, ...]
    """Of the width − 1 days before today, by SUM_DAYS, as are the following."""
    own_mean: tuple[float | None, ...]
    """None: too few windows to compare with."""
    own_scale: tuple[float, ...]
    peer_mean: tuple[float, ...]
    peer_scale: tuple[float, ...]


def storage_features(
    today: StorageDay, day_type: DayType, history: Sequence[HistoryDay], peers: PeerStats
) -> tuple[float, ...]:
    """Values in the order of FEATURE_NAMES. `history`: most recent day first, up to 60 days are used."""
    return features_against(today, background(day_type, history, peers))


def background(day_type: DayType, history: Sequence[HistoryDay], peers: PeerStats) -> Background:
    """`history`: most recent day first, up to 60 days are used."""
    recent = history[:HISTORY_DAYS]
    usual = own_usual(recent, day_type)
    peer_days = peers.work if day_type == "work" else peers.off
    seen = [day.storage for day in recent if day.storage is not None]
    weight = usual.days + _PEER_PSEUDO_DAYS
    own_sums = [_own_sum(recent, width, peers.sums.own_sd[i]) for i, width in enumerate(SUM_DAYS)]
    return Background(
        burst_centre=tuple(
            (usual.days * own + _PEER_PSEUDO_DAYS * peer) / weight
            for own, peer in zip(usual.q90, peer_days.q90, strict=True)
        ),
        burst_scale=tuple(
            max(math.sqrt((usual.days * own**2 + _PEER_PSEUDO_DAYS * peer**2) / weight), _BURST_SCALE_MIN)
            for own, peer in zip(usual.sd, peer_days.sd, strict=True)
        ),
        copy_rarity=_rarity(sum(day.files > 0 for day in seen), len(seen)),
        new_device_rarity=_rarity(sum(day.new_devices > 0 for day in seen), len(seen)),
        # A day without data adds nothing: today's sum may be too small, and is never made up.
        earlier_bytes=tuple(
            sum(d.storage.bytes for d in recent[: width - 1] if d.storage) for width in SUM_DAYS
        ),
        own_mean=tuple(mean for mean, _ in own_sums),
        own_scale=tuple(scale for _, scale in own_sums),
        peer_mean=peers.sums.mean,
        peer_scale=tuple(max(sd, _SUM_SCALE_MIN) for sd in peers.sums.sd),
    )


def features_against(today: StorageDay, known: Background) -> tuple[float, ...]:
    """Values in the order of FEATURE_NAMES."""
    found = [
        min(max((x - centre) / scale, 0.0), _BURST_MAX)
        for x, centre, scale in zip(log_values(today), known.burst_centre, known.burst_scale, strict=True)
    ]
    found.append(known.copy_rarity if today.files > 0 else 0.0)
    found.append(known.new_device_rarity if today.new_devices > 0 else 0.0)
    for i, earlier in enumerate(known.earlier_bytes):
        x = math.log1p((today.bytes + earlier) / MEGABYTE)
        mean = known.own_mean[i]
        own = 0.0 if mean is None else (x - mean) / known.own_scale[i]
        found.append(min(max(own, 0.0), _SUM_MAX))
        found.append(min(max((x - known.peer_mean[i]) / known.peer_scale[i], 0.0), _SUM_MAX))
    return tuple(found)


def usual_day(
    today: StorageDay, day_type: DayType, history: Sequence[HistoryDay], peers: PeerStats
) -> tuple[float, ...]:
    """The features that this day would have at the subject's own 90th percentile: where occlusion resets to.

    A day is only ever made smaller: what is below the usual stays.
    """
    megabytes, files, new_devices = (math.expm1(x) for x in own_usual(history, day_type).q90)
    usual = StorageDay(
        min(today.bytes, round(megabytes * MEGABYTE)),
        min(today.files, round(files)),
        min(today.new_devices, round(new_devices)),
    )
    return storage_features(usual, day_type, history, peers)


def window_sums(history: Sequence[HistoryDay], width: int, first: int) -> list[float]:
    """ln(1 + megabytes) of the `width`-day windows whose most recent day is history[first], [first + 1] …

    A window with data on at least half its days stands for all of them; others are left out.
    """
    sizes = list(accumulate((d.storage.bytes if d.storage else 0 for d in history), initial=0))
    known = list(accumulate((d.storage is not None for d in history), initial=0))
    sums = []
    for start in range(first, min(len(history) - width + 1, first + _WINDOWS_MAX)):
        days = known[start + width] - known[start]
        if days * 2 >= width:
            total = (sizes[start + width] - sizes[start]) * width / days
            sums.append(math.log1p(total / MEGABYTE))
    return sums


def standard_deviation(values: Sequence[float]) -> float:
    """With n − 1; 0 for fewer than two values."""
    if len(values) < 2:
        return 0.0
    mean = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (len(values) - 1))


def _q90(values: Sequence[float]) -> float:
    return sorted(values)[math.floor(0.9 * (len(values) - 1))]


def _rarity(active_days: int, days: int) -> float:
    return -math.log((active_days + 0.5) / (days + 1))


def _own_sum(history: Sequence[HistoryDay], width: int, peers_own_sd: float) -> tuple[float | None, float]:
    """(mean, scale) of the earlier windows; the mean is None where they are too few."""
    # history[i] lies i + 1 days back; the first window that does not overlap today's ends `width` days back.
    earlier = window_sums(history, width, width - 1)
    n = len(earlier)
    if n < _WINDOWS_MIN:
        return None, 1.0
    variance = standard_deviation(earlier) ** 2
    scale = math.sqrt((n * variance + _PEER_PSEUDO_WINDOWS * peers_own_sd**2) / (n + _PEER_PSEUDO_WINDOWS))
    return math.fsum(earlier) / n, max(scale, _SUM_SCALE_MIN)
