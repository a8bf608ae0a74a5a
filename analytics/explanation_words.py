"""An alert's explanation in lines that a person would say, English or Chinese. From facts only, gender-free,
never with a name in it: they may be shown beside a pseudonym."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date
from typing import Final

from analytics.alert_explanation import AlertExplanation
from analytics.anomaly_explanation import ALERT_POINTS, Reason
from analytics.anomaly_words import LABELS, amount, change_line, reason_line, slow_line
from analytics.calmed_day import Accepted
from analytics.explanation import Language
from analytics.told_explanation import ExplanationWords

LANGUAGES: Final[tuple[Language, ...]] = ("en", "zh")
ACTIVITY_WORDS: Final[dict[str, tuple[str, str]]] = {
    "removable_storage": ("removable storage", "移动存储"),
    "messaging": ("messengers", "即时通讯"),
    "cloud": ("cloud storage", "云存储"),
    "mail": ("mail", "邮件"),
    "web_upload": ("uploads to websites", "网站上传"),
    "database": ("databases", "数据库"),
    "files": ("files that are read", "文件读取"),
    "logins": ("logins", "登录"),
    "application": ("applications", "业务系统"),
    "code": ("source code", "源代码"),
    "printing": ("printing", "打印"),
    "screenshots": ("screenshots", "截图"),
}


def explanation_words(found: AlertExplanation, language: Language = "en") -> ExplanationWords:
    """Measures that another version knew and this one does not are left out."""
    english = language == "en"
    reasons = [each for each in found.reasons if f"{each.activity}.{each.measure}" in LABELS]
    rising = [each for each in found.slow_reasons if f"{each.activity}.{each.measure}" in LABELS]
    check = []
    if reasons:
        check.append(check_words(found.explained, language, combination=found.unusual_combination))
    if rising:
        combination = found.slow_unusual_combination
        check.append(check_words(found.slow_explained, language, combination=combination, slow=True))
    return ExplanationWords(
        points=_points(found, english),
        stands_out=tuple(reason_line(each, language) for each in reasons),
        rising=tuple(slow_line(each, language) for each in rising),
        check=tuple(check),
        normal=_normal(found, language),
        calmed=_calmed(found, language),
        not_watched=_not_watched(found, english),
    )


def strange_words(
    found: AlertExplanation, activity: str | None, language: Language = "en", *, taken: int = 0
) -> list[str]:
    """What the alert's sentence says beside the day's acts: the strongest measure, that it is a combination,
    what rose over weeks. `activity`: one that the sentence itself tells of, with so many bytes `taken` that
    day; None: there is none."""
    english = language == "en"
    untold = [each for each in found.reasons if not _is_told(each, activity, taken)]
    said = []
    if untold:
        also = ("also " if english else "另有 ") if activity is not None else ""
        said.append(also + reason_line(untold[0], language))
    if found.unusual_combination:
        said.append("an unusual combination" if english else "少见的组合")
    if found.slow_reasons:
        rising = slow_line(found.slow_reasons[0], language)
        said.append(("risen for weeks: " if english else "数周以来上升：") + rising)
    return said


def _is_told(reason: Reason, activity: str | None, taken: int) -> bool:
    """A sum over days that is hardly more than the day itself says nothing new."""
    return reason.activity == activity and (reason.days == 1 or reason.value < 2 * taken)


def _points(found: AlertExplanation, english: bool) -> str:
    said = []
    if found.points > 0:
        said.append(f"the day {found.points:.0f} of 100" if english else f"当天 {found.points:.0f} 分")
    if found.slow_points > 0:
        said.append(
            f"the rise {found.slow_points:.0f} of 100" if english else f"上升 {found.slow_points:.0f} 分"
        )
    return (", " if english else "，").join(said)


def check_words(explained: float, language: Language, *, combination: bool, slow: bool = False) -> str:
    """How much of the surprise (0-1) goes away without what is named."""
    share = f"{100 * explained:.0f} %"
    if language == "en":
        without = "without this rise" if slow else "with these at their usual"
        if combination:
            return f"{without} only {share} of the surprise goes away: the combination is what is unusual"
        return f"{without} {share} of the surprise goes away"
    without = "若无此上升" if slow else "若这些恢复到平常水平"
    if combination:
        return f"{without}，异常程度仅减少 {share}：不寻常的是其组合"
    return f"{without}，异常程度减少 {share}"


def _normal(found: AlertExplanation, language: Language) -> str:
    if found.points < ALERT_POINTS or not found.reasons:
        return ""
    english = language == "en"
    line = change_line(
        tuple(each for each in found.changes if f"{each.activity}.{each.measure}" in LABELS), language
    )
    if not line:
        return (
            "no smaller amount on this day alone would have made it normal"
            if english
            else "仅减少当天的数量不足以使当天恢复正常"
        )
    # Rounded down: it is below the line.
    after, line_at = f"{math.floor(found.changed_points)}", f"{ALERT_POINTS:.0f}"
    return line + (
        f": scored again {after}, the line is {line_at}"
        if english
        else f"：重新计算为 {after} 分，告警线为 {line_at}"
    )


def _calmed(found: AlertExplanation, language: Language) -> tuple[str, ...]:
    known = [each for each in found.calmed if f"{each.activity}.{each.measure}" in LABELS]
    if not known:
        return ()
    said = [
        _accepted(day, [each for each in known if each.day == day], language)
        for day in sorted({each.day for each in known})
    ]
    if language == "en":
        without = f"counting all of it the day would be at {found.uncalmed:.0f}, not {found.points:.0f}"
    else:
        without = f"若全部计入，当天为 {found.uncalmed:.0f} 分而非 {found.points:.0f} 分"
    return (*said, without)


def _accepted(day: int, judged: Sequence[Accepted], language: Language) -> str:
    what = [amount(each.activity, each.measure, each.value, language) for each in judged]
    on = date.fromordinal(day).isoformat()
    if language == "en":
        return f"about as much as was judged harmless on {on} counts as usual: {', '.join(what)}"
    return f"与 {on} 认定为无害的数量相当，按平常计：{'、'.join(what)}"


def _not_watched(found: AlertExplanation, english: bool) -> tuple[str, ...]:
    lines = []
    if found.unseen:
        named = _named(found.unseen, english)
        lines.append(f"nobody watched that day: {named}" if english else f"当天无人监测：{named}")
    if found.never_seen:
        named = _named(found.never_seen, english)
        lines.append(f"never watched: {named}" if english else f"从未监测：{named}")
    return tuple(lines)


def _named(activities: Sequence[str], english: bool) -> str:
    words = [ACTIVITY_WORDS.get(name, (name, name))[0 if english else 1] for name in activities]
    return (", " if english else "、").join(words)
