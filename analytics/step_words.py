"""The steps of a sequence in words, in order, with time and amount. From facts only, gender-free.

exported 12,400 rows from crm (Tue 14:02), made an archive (3 MB, 14:20), copied it to … (17:45)
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Final

import msgspec

from analytics.explanation import Language
from event_schema.byte_size import byte_size

_WORDS: Final[dict[str, tuple[str, str, str, str]]] = {
    "exported": ("exported", "row", "", "导出"),
    "read": ("read", "row", "", "读取"),
    "copied": ("copied", "file", " to removable storage", "复制到移动存储"),
    "wrote": ("wrote", "file", "", "写入"),
    "deleted": ("deleted", "file", "", "删除"),
    "renamed": ("renamed", "file", "", "重命名"),
    "uploaded": ("sent", "file", " out", "向外发送"),
    "synced": ("put", "file", " into a synchronised folder", "放入同步文件夹"),
    "mailed": ("mailed", "attachment", "", "以邮件发送"),
    "printed": ("printed", "page", "", "打印"),
}
"""By act: the verb, what is counted, what comes after it, the same in Chinese."""
_COUNTED_ZH: Final = {"row": " 行", "file": " 个文件", "attachment": " 个附件", "page": " 页"}
_MAY_BE_UNKNOWN: Final = ("row", "page")
_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_DAYS_ZH: Final = "一二三四五六日"
_WEEK: Final = 6
_EPOCH: Final = date(1970, 1, 1).toordinal()


class StepFacts(msgspec.Struct, frozen=True):
    """What happened for one rule of a sequence."""

    rule: str
    """Its title."""
    act: str
    """A word of _WORDS; of others, or of several, only the number of acts is told."""
    events: int
    items: int
    """Of what the act counts."""
    bytes: int
    place: str | None
    """The database."""
    archive: bool
    same: bool
    """Its only event is that of the step before."""
    time: int
    """Of its first event; ms UTC."""
    day: int
    minute: int
    """Both local, of `time`."""


def step_words(steps: Sequence[StepFacts], language: Language = "en") -> str:
    """Of at least one step."""
    spread = max(step.day for step in steps) - min(step.day for step in steps) > _WEEK
    told: list[str] = []
    before: StepFacts | None = None
    for step in steps:
        size = byte_size(step.bytes) if step.bytes else ""
        when = _moment(step, before, language, with_date=spread)
        if language == "zh":
            told.append(f"{_in_chinese(step)}（{'，'.join(filter(None, (size, when)))}）")
        else:
            told.append(f"{_in_english(step)} ({', '.join(filter(None, (size, when)))})")
        before = step
    return ("，" if language == "zh" else ", ").join(told)


def _in_english(step: StepFacts) -> str:
    known = _WORDS.get(step.act)
    if step.archive and not step.same:
        return "made an archive" if step.events == 1 else f"made {step.events:,} archives"
    if known is None:
        return f"{step.events:,} act{'' if step.events == 1 else 's'}"
    verb, counted, where, _ = known
    if step.same:
        return f"{verb} it{where}"
    number = "an unknown number of" if _is_unknown(step, counted) else f"{step.items:,}"
    whence = f" from {step.place}" if step.place else ""
    return f"{verb} {number} {counted}{'' if step.items == 1 else 's'}{whence}{where}"


def _in_chinese(step: StepFacts) -> str:
    known = _WORDS.get(step.act)
    if step.archive and not step.same:
        return f"生成 {step.events:,} 个压缩包"
    if known is None:
        return f"{step.events:,} 次操作"
    number = "若干" if _is_unknown(step, known[1]) else f" {step.items:,}"
    whence = f"从 {step.place} " if step.place else ""
    return f"{whence}{known[3]}{number}{_COUNTED_ZH[known[1]]}"


def _is_unknown(step: StepFacts, counted: str) -> bool:
    return not step.items and counted in _MAY_BE_UNKNOWN


def _moment(step: StepFacts, before: StepFacts | None, language: Language, *, with_date: bool) -> str:
    clock = f"{step.minute // 60:02}:{step.minute % 60:02}"
    if before is not None and before.day == step.day:
        return clock
    on = date.fromordinal(step.day + _EPOCH)
    month = f" {on:%m-%d}" if with_date else ""
    day = f"周{_DAYS_ZH[on.weekday()]}" if language == "zh" else _DAYS[on.weekday()]
    return f"{day}{month} {clock}"
