"""One sentence that a person would say about a day's copies to removable storage.

From facts only, gender-free, and never with a name in it: the sentence may be shown beside a pseudonym.
What stands behind the anomaly score, feature by feature, is in top_features.py.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from analytics.storage_day import HistoryDay, StorageDay
from analytics.storage_features import BURST_DAYS, HISTORY_DAYS, PeerStats
from event_schema.byte_size import byte_size

Language = Literal["en", "zh"]

HISTORY_DAYS_MIN: Final = 14
"""With fewer days with data nothing is said about what is usual."""
_RATIO_MAX: Final = 1000


class CopyFacts(msgspec.Struct, frozen=True):
    """What is known of the copies of one subject on one day. None is "not known"."""

    bytes: int
    files: int
    new_device: bool
    """To a device that the subject used for the first time on this day."""
    usual_bytes: float | None
    """Median of the subject's days with copies in the last 28; None if there is none."""
    days_since_last_copy: int | None
    """None: no copy within the days that are known."""
    known_days: int
    """Earlier days with data, up to 60."""
    peers_percentile: float | None
    """Share (0-100) of the peers' days with fewer bytes; 100 is more than any of them."""
    days_to_last_day: int | None
    """Negative after the last working day; None: not leaving, or not known."""
    person_known: bool
    """False: an account that belongs to nobody known."""


def copy_facts(
    today: StorageDay,
    history: Sequence[HistoryDay],
    peers: PeerStats | None,
    *,
    days_to_last_day: int | None,
    person_known: bool,
) -> CopyFacts:
    """Facts of one day; `history` most recent day first, `peers` from StorageModel.peers."""
    recent = history[:HISTORY_DAYS]
    active = [
        (back, day.storage)
        for back, day in enumerate(recent, start=1)
        if day.storage is not None and day.storage.files
    ]
    usual = [day.bytes for back, day in active if back <= BURST_DAYS]
    return CopyFacts(
        bytes=today.bytes,
        files=today.files,
        new_device=today.new_devices > 0,
        usual_bytes=statistics.median(usual) if usual else None,
        days_since_last_copy=active[0][0] if active else None,
        known_days=sum(day.storage is not None for day in recent),
        peers_percentile=percentile_among(peers, 0, today.bytes) if peers else None,
        days_to_last_day=days_to_last_day,
        person_known=person_known,
    )


def percentile_among(peers: PeerStats, raw_index: int, value: float) -> float | None:
    """Share (0-100) of the peers' days below the value; 100 only if it is above all of them."""
    if not peers.percentiles:
        return None
    column = peers.percentiles[raw_index]
    return 100.0 if value > column[-1] else float(max(sum(known < value for known in column) - 1, 0))


def sentence(facts: CopyFacts, language: Language = "en") -> str:
    """The sentence; gender-free, never a name in it."""
    end = leaving(facts.days_to_last_day, language)
    if language == "zh":
        return _join(_what_zh(facts), [_usual_zh(facts), _peers_zh(facts)], end, "：", "，", "；")
    return _join(_what_en(facts), [_usual_en(facts), _peers_en(facts)], end, ": ", ", ", "; ")


def leaving(days: int | None, language: Language = "en") -> str:
    """How near the last working day was then; empty where nobody is leaving. Not "last day in 6 days": people
    read it days later."""
    if days is None:
        return ""
    if language == "zh":
        if days > 0:
            return f"最后工作日前 {days} 天"
        return f"最后工作日已过 {-days} 天" if days < 0 else "当天是最后工作日"
    if days > 1:
        return f"{days} days before the last day"
    if days < 0:
        return f"{-days} {'day' if days == -1 else 'days'} after the last working day"
    return "the day before the last day" if days else "on the last day"


def human_ratio(ratio: float) -> str:
    return f"{ratio:.0f}" if ratio >= 9.95 else f"{ratio:.1f}".removesuffix(".0")


def _join(what: str, middle: list[str], end: str, colon: str, comma: str, semicolon: str) -> str:
    said = comma.join(part for part in middle if part)
    text = what + (colon + said if said else "")
    return text + (semicolon + end if end else "")


def _what_en(facts: CopyFacts) -> str:
    files = "1 file" if facts.files == 1 else f"{facts.files:,} files"
    device = "a device first seen that day" if facts.new_device else "removable storage"
    account = "" if facts.person_known else ", by an account that belongs to nobody known"
    return f"{byte_size(facts.bytes)} ({files}) to {device}{account}"


def _usual_en(facts: CopyFacts) -> str:
    if facts.known_days < HISTORY_DAYS_MIN:
        return "too little history to say what is usual"
    if facts.days_since_last_copy is None:
        return f"first copy to removable storage in {facts.known_days} days"
    if facts.usual_bytes is None:
        return f"first copy to removable storage in {facts.days_since_last_copy} days"
    ratio = facts.bytes / max(facts.usual_bytes, 1)
    if ratio > _RATIO_MAX:
        return f"more than {_RATIO_MAX:,} × their usual day"
    if ratio >= 1.5:
        return f"{human_ratio(ratio)} × their usual day"
    return "about as much as on their usual day" if ratio >= 0.5 else "less than on their usual day"


def _peers_en(facts: CopyFacts) -> str:
    share = facts.peers_percentile
    if share is None or share < 90:
        return ""
    return "more than any peer" if share >= 100 else f"more than on {share:.0f} % of their peers' days"


def _what_zh(facts: CopyFacts) -> str:
    device = "当天首次出现的移动存储设备" if facts.new_device else "移动存储设备"
    account = "" if facts.person_known else "（账号不属于任何已知人员）"
    return f"向{device}复制了 {byte_size(facts.bytes)}（{facts.files:,} 个文件）{account}"


def _usual_zh(facts: CopyFacts) -> str:
    if facts.known_days < HISTORY_DAYS_MIN:
        return "历史数据太少，无法判断平常情况"
    if facts.days_since_last_copy is None:
        return f"{facts.known_days} 天来首次复制到移动存储"
    if facts.usual_bytes is None:
        return f"{facts.days_since_last_copy} 天来首次复制到移动存储"
    ratio = facts.bytes / max(facts.usual_bytes, 1)
    if ratio > _RATIO_MAX:
        return f"超过本人平常一天的 {_RATIO_MAX:,} 倍"
    if ratio >= 1.5:
        return f"是本人平常一天的 {human_ratio(ratio)} 倍"
    return "与本人平常一天相当" if ratio >= 0.5 else "少于本人平常一天"


def _peers_zh(facts: CopyFacts) -> str:
    share = facts.peers_percentile
    if share is None or share < 90:
        return ""
    return "多于所有同组人员" if share >= 100 else f"多于同组人员 {share:.0f} % 的日子"
