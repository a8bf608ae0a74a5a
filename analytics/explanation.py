"""One sentence that a person would say about a day's copies to removable storage.

From facts only, gender-free, and never with a name in it: the sentence may be shown beside a pseudonym.
What stands behind the anomaly score is in alert_explanation.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import msgspec
import numpy as np

from analytics.anomaly_explanation import FIRST_SEEN_DAYS, Subject, peers_percentile
from analytics.anomaly_model import AnomalyModel
from analytics.measures import ACTIVITIES
from analytics.own_history import BURST_DAYS
from analytics.risk import PI, Level
from event_schema.byte_size import byte_size

Language = Literal["en", "zh"]

HISTORY_DAYS_MIN: Final = 14
"""With fewer days with data nothing is said about what is usual."""
_RATIO_MAX: Final = 1000
_MORE_THAN_USUAL: Final = 1.5
_LEVELS_ZH: Final[dict[Level, str]] = {
    "critical": "严重",
    "high": "高",
    "medium": "中",
    "low": "低",
    "informational": "信息",
}
_ACTIVITY: Final = "removable_storage"
_NAMES: Final = [measure.name for measure in ACTIVITIES[_ACTIVITY]]
_BYTES, _FILES = _NAMES.index("bytes"), _NAMES.index("files")


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
    known_days: int | None
    """Earlier days with data, up to 60; None: nobody looked at them."""
    peers_percentile: float | None
    """Share (0-100) of the peers' days with fewer bytes; 100 is more than any of them."""
    days_to_last_day: int | None
    """Negative after the last working day; None: not leaving, or not known."""
    person_known: bool
    """False: an account that belongs to nobody known."""


class TotalFacts(msgspec.Struct, frozen=True):
    """All days that are evidence of an alert, whole: the sentence's day is one of them."""

    days: int
    files: int
    bytes: int


def copy_facts(
    taken: int,
    files: int,
    *,
    new_device: bool,
    subject: Subject | None,
    model: AnomalyModel | None,
    days_to_last_day: int | None,
    person_known: bool,
) -> CopyFacts:
    """Facts of one day with so many bytes `taken`. `subject`: as of that day; without it, or without a model,
    nothing is said of what is usual, or of peers."""
    usual: float | None = None
    since: int | None = None
    known = None
    if subject is not None:
        history = subject.history[_ACTIVITY]
        values, seen = (each[0, -FIRST_SEEN_DAYS:] for each in (history.values, history.seen))
        known = int(seen.sum())
        active = seen & (values[:, _FILES] > 0)
        if active.any():
            since = len(active) - int(np.flatnonzero(active)[-1])
        recent = values[-BURST_DAYS:, _BYTES][active[-BURST_DAYS:]]
        usual = float(np.median(recent)) if len(recent) else None
    return CopyFacts(
        bytes=taken,
        files=files,
        new_device=new_device,
        usual_bytes=usual,
        days_since_last_copy=since,
        known_days=known,
        peers_percentile=(
            None
            if model is None or subject is None
            else peers_percentile(model, subject.peer_group, _ACTIVITY, _BYTES, taken)
        ),
        days_to_last_day=days_to_last_day,
        person_known=person_known,
    )


def sentence(
    facts: CopyFacts,
    language: Language = "en",
    more: Sequence[str] = (),
    *,
    levels: Sequence[Level] = (),
    total: TotalFacts | None = None,
) -> str:
    """The sentence; gender-free, never a name in it. `more`: said of the day too, in that language.

    `levels`: of the policies that hit. An amount that is not above the person's usual is no reason for
    anything: the policies are said in its place."""
    ends = [*more, in_all(total, language), leaving(facts.days_to_last_day, language)]
    known, in_words = facts.known_days, _usual_zh if language == "zh" else _usual_en
    usual = "" if known is None else in_words(facts, known)
    if is_ordinary(facts):
        usual = policies_hit(levels, language)
    if language == "zh":
        return _join(_what_zh(facts), [usual, _peers_zh(facts)], ends, "：", "，", "；")
    return _join(_what_en(facts), [usual, _peers_en(facts)], ends, ": ", ", ", "; ")


def is_ordinary(facts: CopyFacts) -> bool:
    """No more than usual, where it is known what is."""
    if facts.known_days is None or facts.known_days < HISTORY_DAYS_MIN or facts.usual_bytes is None:
        return False
    return facts.bytes < _MORE_THAN_USUAL * max(facts.usual_bytes, 1)


def policies_hit(levels: Sequence[Level], language: Language = "en") -> str:
    """How many, and how grave the gravest is; their titles may hold names."""
    if not levels:
        return ""
    gravest = max(levels, key=PI.__getitem__)
    if language == "zh":
        return f"命中 {len(levels)} 条策略，最高级别为{_LEVELS_ZH[gravest]}"
    if len(levels) == 1:
        return f"1 policy hit, of level {gravest}"
    return f"{len(levels)} policies hit, the gravest of level {gravest}"


def in_all(total: TotalFacts | None, language: Language = "en") -> str:
    """Empty where the day that is told is all there is."""
    if total is None or total.days < 2 or not (total.bytes or total.files):
        return ""
    size = byte_size(total.bytes)
    if language == "zh":
        return f"{total.days} 天共 {size}（{total.files:,} 个文件）"
    files = "1 file" if total.files == 1 else f"{total.files:,} files"
    return f"{size} ({files}) on {total.days} days in all"


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


def _join(what: str, middle: list[str], ends: list[str], colon: str, comma: str, semicolon: str) -> str:
    said = comma.join(part for part in middle if part)
    text = what + (colon + said if said else "")
    return semicolon.join([text, *filter(None, ends)])


def _what_en(facts: CopyFacts) -> str:
    files = "1 file" if facts.files == 1 else f"{facts.files:,} files"
    device = "a device first seen that day" if facts.new_device else "removable storage"
    account = "" if facts.person_known else ", by an account that belongs to nobody known"
    return f"{byte_size(facts.bytes)} ({files}) to {device}{account}"


def _usual_en(facts: CopyFacts, known_days: int) -> str:
    if known_days < HISTORY_DAYS_MIN:
        return "too little history to say what is usual"
    if facts.days_since_last_copy is None:
        return f"first copy to removable storage in {known_days} days"
    if facts.usual_bytes is None:
        return f"first copy to removable storage in {facts.days_since_last_copy} days"
    ratio = facts.bytes / max(facts.usual_bytes, 1)
    if ratio > _RATIO_MAX:
        return f"more than {_RATIO_MAX:,} × their usual day"
    return f"{human_ratio(ratio)} × their usual day" if ratio >= _MORE_THAN_USUAL else ""


def _peers_en(facts: CopyFacts) -> str:
    share = facts.peers_percentile
    if share is None or share < 90:
        return ""
    return "more than any peer" if share >= 100 else f"more than on {share:.0f} % of their peers' days"


def _what_zh(facts: CopyFacts) -> str:
    device = "当天首次出现的移动存储设备" if facts.new_device else "移动存储设备"
    account = "" if facts.person_known else "（账号不属于任何已知人员）"
    return f"向{device}复制了 {byte_size(facts.bytes)}（{facts.files:,} 个文件）{account}"


def _usual_zh(facts: CopyFacts, known_days: int) -> str:
    if known_days < HISTORY_DAYS_MIN:
        return "历史数据太少，无法判断平常情况"
    if facts.days_since_last_copy is None:
        return f"{known_days} 天来首次复制到移动存储"
    if facts.usual_bytes is None:
        return f"{facts.days_since_last_copy} 天来首次复制到移动存储"
    ratio = facts.bytes / max(facts.usual_bytes, 1)
    if ratio > _RATIO_MAX:
        return f"超过本人平常一天的 {_RATIO_MAX:,} 倍"
    return f"是本人平常一天的 {human_ratio(ratio)} 倍" if ratio >= _MORE_THAN_USUAL else ""


def _peers_zh(facts: CopyFacts) -> str:
    share = facts.peers_percentile
    if share is None or share < 90:
        return ""
    return "多于所有同组人员" if share >= 100 else f"多于同组人员 {share:.0f} % 的日子"
