"""One sentence that a person would say about a day on a channel without an anomaly model: what, how much,
where to, how near the last day is. From facts only, gender-free, never with a name in it."""

from __future__ import annotations

from typing import Final

import msgspec

from analytics.explanation import Language, leaving
from event_schema.byte_size import byte_size

_WORDS: Final[dict[str, tuple[str, str, str]]] = {
    "uploads": ("sent out", "file", "向外发送"),
    "sync_folders": ("put into a synchronised folder", "file", "放入同步文件夹"),
    "export_folders": ("finished in folders for exports", "file", "在导出文件夹中写完"),
    "mail": ("mailed", "attachment", "以邮件发送"),
    "postgresql": ("read from databases", "row", "从数据库读取"),
    "mariadb": ("read from databases", "row", "从数据库读取"),
    "logins": ("login attempts", "", "登录"),
    "access_log": ("acts in applications", "", "在业务系统中操作"),
    "printing": ("printed", "page", "打印"),
    "screenshots": ("screenshot tools started", "", "启动截图工具"),
}
"""By channel: what was done, what is counted (empty: the acts themselves), the same in Chinese."""
_MAY_BE_UNKNOWN: Final = ("row", "page")
"""Of these 0 means that the server did not say how many."""
_COUNTED_ZH: Final = {"file": "个文件", "attachment": "个附件", "row": "行", "page": "页", "": "次"}


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


def act_sentence(facts: ActFacts, language: Language = "en") -> str:
    """The sentence; gender-free, never a name in it."""
    done, counted, done_zh = _WORDS.get(facts.channel, (facts.channel.replace("_", " "), "", facts.channel))
    size = f" ({byte_size(facts.bytes)})" if facts.bytes else ""
    end = leaving(facts.days_to_last_day, language)
    is_unknown = not facts.items and counted in _MAY_BE_UNKNOWN
    if language == "zh":
        account = "" if facts.person_known else "（账号不属于任何已知人员）"
        where = "，目的地当天首次出现" if facts.new_place else ""
        size = f"（{byte_size(facts.bytes)}）" if facts.bytes else ""
        number = "若干" if is_unknown else f" {facts.items:,} "
        what = f"{done_zh}{number}{_COUNTED_ZH[counted]}{size}"
        return what + where + account + (end and f"；{end}")
    account = "" if facts.person_known else ", by an account that belongs to nobody known"
    where = ", to a destination first seen that day" if facts.new_place else ""
    if counted:
        number = "an unknown number of" if is_unknown else f"{facts.items:,}"
        what = f"{number} {counted}{'' if facts.items == 1 else 's'}{size} {done}"
    else:
        what = f"{facts.items:,} {done if facts.items != 1 else _singular(done)}{size}"
    return what + where + account + (end and f"; {end}")


def _singular(words: str) -> str:
    """The first plural noun: login attempts, acts in applications."""
    return {
        "login attempts": "login attempt",
        "acts in applications": "act in an application",
        "screenshot tools started": "screenshot tool started",
    }.get(words, words)
