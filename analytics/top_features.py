"""Which features make a day strange, in raw values, and whether resetting them makes it ordinary.

Features are ranked by their own (one-sided) value. The proof is occlusion: what the strongest three measure
(bytes, files, devices) is set to the subject's own 90th percentile in every feature, sums to their usual, and
the day is scored again. If less than a quarter of the surprise (−ln p) goes away, it is the combination that
is unusual, not one of them.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Final

import msgspec

from analytics.explanation import Language, human_ratio
from analytics.storage_day import DayType, HistoryDay, StorageDay
from analytics.storage_features import (
    BURST_DAYS,
    FEATURE_NAMES,
    HISTORY_DAYS,
    SUM_DAYS,
    PeerStats,
    storage_features,
    usual_day,
)
from analytics.storage_model import StorageModel
from event_schema.byte_size import byte_size

SHOWN: Final = 3
_EXPLAINED_MIN: Final = 0.25
_RAW_OF: Final = (0, 1, 2, 1, 2, 0, 0, 0, 0)
_WINDOW_OF: Final = (1, 1, 1, 1, 1, SUM_DAYS[0], SUM_DAYS[0], SUM_DAYS[1], SUM_DAYS[1])
_LABELS: Final[dict[Language, tuple[str, ...]]] = {
    "en": (
        "bytes in a day",
        "files in a day",
        "new devices",
        "copying at all",
        "a new device at all",
        "bytes in 7 days",
        "bytes in 7 days, among peers",
        "bytes in 28 days",
        "bytes in 28 days, among peers",
    ),
    "zh": (
        "一天字节数",
        "一天文件数",
        "新设备数",
        "有复制行为",
        "有新设备",
        "7 天字节数",
        "7 天字节数（与同组相比）",
        "28 天字节数",
        "28 天字节数（与同组相比）",
    ),
}


class TopFeature(msgspec.Struct, frozen=True):
    name: str
    """One of FEATURE_NAMES."""
    strength: float
    value: int
    """Raw: bytes, files or devices, over the feature's window."""
    usual: float | None
    """Median of the subject's active days in the last 28; None for sums, or without such days."""
    peers_percentile: float | None
    """Share (0-100) of the peers' days below the value; None for sums."""


class Explanation(msgspec.Struct, frozen=True):
    top: tuple[TopFeature, ...]
    """Strongest first, only those above 0."""
    explained: float
    """Part of the surprise (0-1) that goes away with them."""
    unusual_combination: bool


def explain(
    model: StorageModel,
    today: StorageDay,
    day_type: DayType,
    history: Sequence[HistoryDay],
    peer_group: str,
    *,
    shown: int = SHOWN,
) -> Explanation:
    """Why the model finds the day strange, in at most `shown` features. Empty under a cold-start model."""
    peers = model.peers(peer_group)
    features = storage_features(today, day_type, history, peers)
    strongest = sorted(range(len(features)), key=lambda i: (-features[i], i))[:shown]
    strongest = [i for i in strongest if features[i] > 0]
    if model.cold_start or not strongest:
        return Explanation((), 0.0, False)
    usual = usual_day(today, day_type, history, peers)
    measured = {_RAW_OF[i] for i in strongest}
    reset = [
        feature if _RAW_OF[i] not in measured else usual[i] if _WINDOW_OF[i] == 1 else 0.0
        for i, feature in enumerate(features)
    ]
    before, after = (-math.log(s.p) for s in model.score_many([features, reset], day_type, peer_group))
    explained = min(max(1 - after / before, 0.0), 1.0) if before > 0 else 0.0
    top = tuple(
        TopFeature(
            FEATURE_NAMES[i],
            features[i],
            _raw_value(today, history, i),
            _usual_value(history, i),
            percentile_among(peers, _RAW_OF[i], _raw_value(today, history, i))
            if _WINDOW_OF[i] == 1
            else None,
        )
        for i in strongest
    )
    return Explanation(top, explained, explained < _EXPLAINED_MIN)


def percentile_among(peers: PeerStats, raw_index: int, value: float) -> float | None:
    """Share (0-100) of the peers' days below the value; 100 only if it is above all of them."""
    if not peers.percentiles:
        return None
    column = peers.percentiles[raw_index]
    return 100.0 if value > column[-1] else float(max(sum(known < value for known in column) - 1, 0))


def feature_line(feature: TopFeature, language: Language = "en") -> str:
    """One feature in words: "bytes in a day: 4.1 GB, 40 × usual (102 MB), above all peers' days"."""
    index = FEATURE_NAMES.index(feature.name)
    raw = _RAW_OF[index]
    english = language == "en"
    said = [f"{_LABELS[language][index]}{': ' if english else '：'}{_shown(raw, feature.value)}"]
    if feature.usual:
        ratio, usual = human_ratio(feature.value / feature.usual), _shown(raw, feature.usual)
        said.append(f"{ratio} × usual ({usual})" if english else f"平常的 {ratio} 倍（{usual}）")
    if feature.peers_percentile is not None:
        share = f"{feature.peers_percentile:.0f} %"
        if feature.peers_percentile >= 100:
            said.append("above all peers' days" if english else "高于同组所有日子")
        else:
            said.append(f"above {share} of peers' days" if english else f"高于同组 {share} 的日子")
    return (", " if english else "，").join(said)


def _shown(raw: int, value: float) -> str:
    return byte_size(value) if raw == 0 else f"{value:,.0f}"


def _of(day: StorageDay, raw: int) -> int:
    return (day.bytes, day.files, day.new_devices)[raw]


def _raw_value(today: StorageDay, history: Sequence[HistoryDay], index: int) -> int:
    earlier = history[: _WINDOW_OF[index] - 1]
    raw = _RAW_OF[index]
    return _of(today, raw) + sum(_of(day.storage, raw) for day in earlier if day.storage is not None)


def _usual_value(history: Sequence[HistoryDay], index: int) -> float | None:
    if _WINDOW_OF[index] != 1:
        return None
    recent = [day.storage for day in history[: min(BURST_DAYS, HISTORY_DAYS)] if day.storage is not None]
    active = [_of(day, _RAW_OF[index]) for day in recent if day.files]
    return statistics.median(active) if active else None
