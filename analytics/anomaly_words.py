"""An explanation in words, English or Chinese: what a person would say. From facts only, gender-free, never
with a name in it: the lines may be shown beside a pseudonym."""

from __future__ import annotations

from typing import Final

from analytics.anomaly_explanation import Change, Reason
from analytics.explanation import Language, human_ratio
from analytics.measures import ACTIVITIES, CARRIED_BY, MEASURES
from analytics.slow_explanation import SlowReason
from event_schema.byte_size import byte_size

LABELS: Final[dict[str, tuple[str, str]]] = {
    "removable_storage.bytes": ("copied to removable storage", "复制到移动存储"),
    "removable_storage.files": ("files copied to removable storage", "个文件复制到移动存储"),
    "removable_storage.new_devices": ("storage devices used for the first time", "个首次使用的存储设备"),
    "messaging.bytes": ("sent by messenger", "通过即时通讯发送"),
    "messaging.files": ("files sent by messenger", "个文件通过即时通讯发送"),
    "cloud.bytes": ("put into cloud storage", "上传到云存储"),
    "cloud.files": ("files put into cloud storage", "个文件上传到云存储"),
    "cloud.new_destinations": ("cloud destinations used for the first time", "个首次使用的云存储目的地"),
    "mail.bytes": ("mailed outside", "通过邮件外发"),
    "mail.messages": ("messages mailed outside", "封外发邮件"),
    "mail.personal_messages": ("messages to personal mailboxes", "封发往私人邮箱的邮件"),
    "web_upload.upload_bytes": ("uploaded to websites", "上传到网站"),
    "web_upload.uploads": ("uploads to websites", "次网站上传"),
    "web_upload.new_destinations": ("websites uploaded to for the first time", "个首次上传的网站"),
    "database.queries": ("database queries", "次数据库查询"),
    "database.rows": ("database rows read", "行数据库读取"),
    "database.export_bytes": ("exported from databases", "从数据库导出"),
    "files.sensitive_reads": ("sensitive files read", "次读取敏感文件"),
    "files.reads": ("files read", "次读取文件"),
    "files.deletions": ("files deleted", "次删除文件"),
    "files.archives": ("archives made", "个新建压缩包"),
    "files.renames": ("files renamed", "次重命名文件"),
    "logins.logins": ("logins", "次登录"),
    "logins.off_hours": ("logins outside working hours", "次非工作时间登录"),
    "logins.hosts": ("machines used", "台使用的计算机"),
    "logins.failures": ("failed logins", "次登录失败"),
    "logins.new_hosts": ("machines used for the first time", "台首次使用的计算机"),
    "logins.new_addresses": ("addresses used for the first time", "个首次使用的地址"),
    "application.actions": ("acts in applications", "次业务系统操作"),
    "application.sensitive_actions": ("sensitive acts in applications", "次业务系统敏感操作"),
    "code.code_bytes": ("sent to code hosting", "上传到代码托管平台"),
    "printing.pages": ("pages printed", "页打印"),
    "screenshots.screenshots": ("screenshots", "次截图"),
}
"""By measure: said after the amount."""
ONE: Final[dict[str, str]] = {
    "removable_storage.files": "file copied to removable storage",
    "removable_storage.new_devices": "storage device used for the first time",
    "messaging.files": "file sent by messenger",
    "cloud.files": "file put into cloud storage",
    "cloud.new_destinations": "cloud destination used for the first time",
    "mail.messages": "message mailed outside",
    "mail.personal_messages": "message to a personal mailbox",
    "web_upload.uploads": "upload to a website",
    "web_upload.new_destinations": "website uploaded to for the first time",
    "database.queries": "database query",
    "database.rows": "database row read",
    "files.sensitive_reads": "sensitive file read",
    "files.reads": "file read",
    "files.deletions": "file deleted",
    "files.archives": "archive made",
    "files.renames": "file renamed",
    "logins.logins": "login",
    "logins.off_hours": "login outside working hours",
    "logins.hosts": "machine used",
    "logins.failures": "failed login",
    "logins.new_hosts": "machine used for the first time",
    "logins.new_addresses": "address used for the first time",
    "application.actions": "act in an application",
    "application.sensitive_actions": "sensitive act in an application",
    "printing.pages": "page printed",
    "screenshots.screenshots": "screenshot",
}
"""The same in English of one; bytes have none."""
_NOVELTIES: Final = frozenset(measure.key for measure in MEASURES if measure.novelty)
_RATIO_MAX: Final = 1000
_MORE: Final = 1.1


def amount(activity: str, measure: str, value: float, language: Language = "en") -> str:
    """ "4.1 GB copied to removable storage", "312 files sent by messenger"."""
    of_bytes = any(m.name == measure and m.unit == "bytes" for m in ACTIVITIES[activity])
    number = byte_size(value) if of_bytes else f"{value:,.0f}"
    key = f"{activity}.{measure}"
    english, chinese = LABELS[key]
    if language == "zh":
        return f"{number} {chinese}"
    return f"{number} {ONE.get(key, english) if value == 1 else english}"


def reason_line(reason: Reason, language: Language = "en") -> str:
    """ "4.1 GB copied to removable storage, 40 × usual, above all peers' days"."""
    english = language == "en"
    what = amount(reason.activity, reason.measure, reason.value, language)
    if reason.days > 1:
        what += f" in {reason.days} days" if english else f"（{reason.days} 天内）"
    said = [what]
    # How often something is new tells nothing about how much is usual.
    is_new = f"{reason.activity}.{reason.measure}" in _NOVELTIES
    if reason.first_in_days is not None and not is_new:
        said.append(_first(reason.first_in_days, english))
    elif reason.usual and not is_new and reason.value >= _MORE * reason.usual:
        said.append(_times(reason.value / reason.usual, english))
    if reason.peers_percentile is not None:
        if reason.peers_percentile >= 100:
            said.append("above all peers' days" if english else "高于同组所有日子")
        else:
            share = f"{reason.peers_percentile:.0f} %"
            said.append(f"above {share} of peers' days" if english else f"高于同组 {share} 的日子")
    return (", " if english else "，").join(said)


def _first(days: int, english: bool) -> str:
    """`days`: that were seen."""
    if not days:
        return "the first ever seen" if english else "首次出现"
    if english:
        return f"the first in {days} {'day' if days == 1 else 'days'}"
    return f"{days} 天内首次"


def slow_line(reason: SlowReason, language: Language = "en") -> str:
    """ "30 MB sent by messenger a day over 28 days, 4 × what it was one to three months ago"."""
    english = language == "en"
    what = amount(reason.activity, reason.measure, reason.value, language)
    text = f"{what} a day over {reason.days} days" if english else f"{reason.days} 天内平均每天 {what}"
    if not reason.usual:
        return text + (", none one to three months ago" if english else "，一至三个月前没有")
    if reason.value < _MORE * reason.usual:
        # On a typical day there is more, though single large ones of then are missing.
        steady = ", more steadily than one to three months ago"
        return text + (steady if english else "，比一至三个月前更频繁")
    ratio = _ratio(reason.value / reason.usual)
    earlier = f", {ratio} × what it was one to three months ago"
    return text + (earlier if english else f"，为一至三个月前的 {ratio} 倍")


def change_line(changes: tuple[Change, ...], language: Language = "en") -> str:
    """What would have been normal, all else as it was: less than usual, where other things were strange
    too. Empty where nothing is known."""
    if not changes:
        return ""
    nothing = {(each.activity, each.measure) for each in changes if not each.normal}
    gone = {(place[0], count) for place, count in CARRIED_BY.items() if place in nothing}
    # No files goes without saying where nothing at all was copied.
    changes = tuple(each for each in changes if (each.activity, each.measure) not in gone & nothing)
    if language == "zh":
        said = [amount(each.activity, each.measure, each.normal, language) for each in changes]
        return f"其余不变，若不超过 {'、'.join(said)}，当天即属正常"
    some = [amount(each.activity, each.measure, each.normal) for each in changes if each.normal]
    said = [f"at most {some[0]}", *some[1:]] if some else []
    said += [_none_of(each) for each in changes if not each.normal]
    listed = said[0] if len(said) == 1 else f"{', '.join(said[:-1])} and {said[-1]}"
    return f"{listed} would have been a normal day, all else as it was"


def _none_of(change: Change) -> str:
    key = f"{change.activity}.{change.measure}"
    return f"{'no' if key in ONE else 'nothing'} {LABELS[key][0]}"


def _times(ratio: float, english: bool) -> str:
    shown = _ratio(ratio)
    return f"{shown} × usual" if english else f"平常的 {shown} 倍"


def _ratio(ratio: float) -> str:
    return human_ratio(ratio) if ratio <= _RATIO_MAX else f"over {_RATIO_MAX:,}"
