"""One sentence that a person would say about a day on a channel: what, how much, where to, what stood out,
how near the last day is. From facts only, gender-free, never with a name in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from analytics.explanation import Language, TotalFacts, in_all, leaving
from analytics.step_words import StepFacts, step_words
from event_schema.byte_size import byte_size

_WORDS: Final[dict[str, tuple[str, str, str]]] = {
    "removable_storage": ("copied to removable storage", "file", "复制到移动存储"),
    "uploads": ("sent out", "file", "向外发送"),
    "sync_folders": ("put into a synchronised folder", "file", "放入同步文件夹"),
    "export_folders": ("finished in folders for exports", "file", "在导出文件夹中写完"),
    "mail": ("mailed", "attachment", "以邮件发送"),
    "postgresql": ("read from databases", "row", "从数据库读取"),
    "mariadb": ("read from databases", "row", "从数据库读取"),
    "logins": ("login attempts", "", "登录"),
    "access_log": ("seen or changed in applications", "record", "在业务系统中查看或更改"),
    "printing": ("printed", "page", "打印"),
    "screenshots": ("screenshot tools started", "", "启动截图工具"),
}
"""By channel: what was done, what is counted (empty: the acts themselves), the same in Chinese."""
_MAY_BE_UNKNOWN: Final = ("row", "page")
"""Of these 0 means that the server did not say how many."""
_COUNTED_ZH: Final = {
    "file": "个文件",
    "attachment": "个附件",
    "row": "行",
    "page": "页",
    "record": "条记录",
    "": "次",
}


class ChannelAmount(msgspec.Struct, frozen=True):
    """How much on one channel; as in ActFacts."""

    channel: str
    items: int
    bytes: int


class ActFacts(msgspec.Struct, frozen=True):
    """What one subject did on one day on one channel."""

    channel: str
    items: int
    """Of what the channel counts: files, attachments, rows, pages, else acts."""
    bytes: int
    new_place: bool
    """To a destination that the subject used for the first time on this day."""
    days_to_last_day: int | None
    """Negative after the last working day; None: not leaving, or not known."""
    person_known: bool
    """False: an account that belongs to nobody known."""
    others: tuple[ChannelAmount, ...] = ()
    """What the same alert holds of that day on other channels."""
    other_days: int = 0
    """Days that the alert holds beside this one."""
    borrowed: bool = False
    """Under an account that is somebody else's, or that several know."""
    steps: tuple[StepFacts, ...] = ()
    """Of a sequence: they are told instead of the day's amounts."""


def act_sentence(
    facts: ActFacts,
    language: Language = "en",
    more: Sequence[str] = (),
    *,
    total: TotalFacts | None = None,
) -> str:
    """The sentence; gender-free, never a name in it. `more`: said of the day too, in that language."""
    own = ChannelAmount(facts.channel, facts.items, facts.bytes)
    end = leaving(facts.days_to_last_day, language)
    if language == "zh":
        account = "" if facts.person_known else "（账号不属于任何已知人员）"
        account = "，使用他人或共用账号" if facts.borrowed else account
        where = "，目的地当天首次出现" if facts.new_place else ""
        others = "".join(f"，另{_amount_zh(each)}" for each in facts.others)
        days = f"另有 {facts.other_days} 天也有记录" if facts.other_days else ""
        days = in_all(total, "zh") or days
        done = step_words(facts.steps, "zh") if facts.steps else _amount_zh(own) + where + others
        return "；".join([done + account, *filter(None, [*more, days, end])])
    account = "" if facts.person_known else ", by an account that belongs to nobody known"
    account = ", under an account of somebody else" if facts.borrowed else account
    where = ", to a destination first seen that day" if facts.new_place else ""
    others = "".join(f", and {_amount(each)}" for each in facts.others)
    others_days = f"more on {facts.other_days} other day{'' if facts.other_days == 1 else 's'}"
    days = in_all(total) or (others_days if facts.other_days else "")
    done = step_words(facts.steps) if facts.steps else _amount(own) + where + others
    return "; ".join([done + account, *filter(None, [*more, days, end])])


def _words(channel: str) -> tuple[str, str, str]:
    return _WORDS.get(channel, (channel.replace("_", " "), "", channel))


def _amount(taken: ChannelAmount) -> str:
    done, counted, _ = _words(taken.channel)
    size = f" ({byte_size(taken.bytes)})" if taken.bytes else ""
    if not counted:
        return f"{taken.items:,} {done if taken.items != 1 else _singular(done)}{size}"
    is_unknown = not taken.items and counted in _MAY_BE_UNKNOWN
    number = "an unknown number of" if is_unknown else f"{taken.items:,}"
    return f"{number} {counted}{'' if taken.items == 1 else 's'}{size} {done}"


def _amount_zh(taken: ChannelAmount) -> str:
    _, counted, done = _words(taken.channel)
    size = f"（{byte_size(taken.bytes)}）" if taken.bytes else ""
    is_unknown = not taken.items and counted in _MAY_BE_UNKNOWN
    number = "若干" if is_unknown else f" {taken.items:,} "
    return f"{done}{number}{_COUNTED_ZH[counted]}{size}"


def _singular(words: str) -> str:
    """The first plural noun: login attempts."""
    return {
        "login attempts": "login attempt",
        "screenshot tools started": "screenshot tool started",
    }.get(words, words)
