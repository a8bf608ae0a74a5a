"""What the report says of its own, English and Chinese."""

from __future__ import annotations

from functools import partial
from typing import Final

from server.alerts.queue.rows import shipped_ids
from server.alerts.view_types import ShareView
from server.commands.evidence_rows import IN_ENGLISH, Words
from server.console.act_words import label_word
from server.console.charts.svg import Text
from server.console.phrases import Language, phrase
from server.console.said_words import seen_in
from server.evidence_pack import statements as english

WORDS: Final[dict[str, tuple[str, str]]] = {
    "title": ("Evidence pack", "证据包"),
    "case": ("Case", "案件"),
    "alert": ("Alert", "告警"),
    "made": ("Made", "生成时间"),
    "by": ("by", "生成人"),
    "names": ("Names", "姓名"),
    "pseudonyms": ("pseudonyms; nobody is named", "使用化名，不显示任何人的姓名"),
    "unmasked": ("shown, because", "已显示，原因："),
    "contents": ("Contents", "内容"),
    "counts": ("alerts: {alerts}, events: {events}", "{alerts} 条告警，{events} 个事件"),
    "digest": ("Digest of the contents", "内容摘要"),
    "key": ("Key of the installation", "系统密钥"),
    "head": ("Head of the audit trail", "审计记录末行"),
    "row": ("row", "第"),
    "outcome": ("Outcome", "结论"),
    "open": ("open", "未结案"),
    "owner": ("Owner", "负责人"),
    "nobody": ("nobody", "无"),
    "check": (
        "To check that nothing was changed: python3 verify.py PACK --key FINGERPRINT, with the verifier from"
        " the pack; the fingerprint from the installation.",
        "如需确认未被改动：使用包内的校验程序运行 python3 verify.py PACK --key FINGERPRINT，"
        "指纹请向系统方获取。",
    ),
    "summary": ("Summary", "概要"),
    "when": ("When it happened", "时间分布"),
    "times": ("Times are UTC.", "时间均为 UTC。"),
    "score": ("score", "分数"),
    "who": ("who", "对象"),
    "what": ("what", "内容"),
    "span": ("first to last event", "首个至末个事件"),
    "verdict": ("verdict", "结论"),
    "why": ("Why {score}", "为何 {score} 分"),
    "stands_out": ("What stands out", "突出之处"),
    "evidence": ("Evidence", "证据"),
    "evidence_counts": (
        "{total} events, {files} files, {size}; {shown} shown here, all in evidence.jsonl",
        "共 {total} 个事件，{files} 个文件，{size}；此处列出 {shown} 个，全部见 evidence.jsonl",
    ),
    "time": ("time", "时间"),
    "act": ("act", "行为"),
    "size": ("amount", "数量"),
    "program": ("with / from", "程序/来源"),
    "hash": ("SHA-256", "SHA-256"),
    "sure": ("how sure", "确定程度"),
    "exact": ("exact", "确切"),
    "likely": ("likely", "很可能"),
    "possible": ("possible", "可能"),
    "where_to": ("Where to", "目的地"),
    "holds": ("Content", "文件内容"),
    "not_seen": ("What could not be seen", "未能看到的内容"),
    "all_seen": ("Nothing is known to be missing.", "没有已知的缺失。"),
    "purged": (
        "{missing} events are no longer stored: only the summary is left of them.",
        "{missing} 个事件已不再保存，仅余概要。",
    ),
    "damaged": ("{count} stored blocks could not be read.", "{count} 个数据块无法读取。"),
    "proof": ("Proof", "证明"),
    "proof_good": (
        "{events} events lie in {blocks} records that their agents signed; the signatures hold.",
        "{events} 个事件位于 {blocks} 条由终端代理签名的记录中，签名有效。",
    ),
    "proof_bad": (
        "The proof is not whole: {events} events well signed, {missing} missing, {bad} records with faults.",
        "证明不完整：{events} 个事件签名有效，缺失 {missing} 个，{bad} 条记录有问题。",
    ),
    "sealed": (
        "{count} of the records were written anew after an erasure, under the installation's seal.",
        "其中 {count} 条记录在依法删除后由系统重写并加封。",
    ),
    "judged": ("Verdict", "结论"),
    "not_judged": ("Not judged yet.", "尚无结论。"),
    "confirmed": ("confirmed", "确认泄露"),
    "expected": ("expected", "允许的业务行为"),
    "false": ("false", "误报"),
    "duplicate": ("duplicate", "重复"),
    "inconclusive": ("inconclusive", "无法定论"),
    "notes": ("Notes and history of the case", "案件备注与历史"),
    "no_notes": ("None.", "无。"),
    "custody": ("Who did what: custody log", "保管记录"),
    "custody_more": (
        "{count} further rows stand in custody.jsonl.",
        "其余 {count} 行见 custody.jsonl。",
    ),
    "masked_mark": ("* something of the row is hidden", "* 该行部分内容已隐藏"),
    "actor": ("by", "操作人"),
    "action": ("did", "操作"),
    "object": ("to", "对象"),
    "reason": ("reason", "原因"),
    "fingerprint": ("fingerprint", "指纹"),
    "did_open": ("opened", "建立案件"),
    "did_add": ("added", "添加告警"),
    "did_remove": ("took out", "移出告警"),
    "did_note": ("note", "备注"),
    "did_rename": ("renamed", "修改标题"),
    "did_assign": ("assigned", "分配"),
    "did_close": ("closed", "结案"),
    "did_reopen": ("reopened", "重新打开"),
    "did_pack": ("evidence pack", "生成证据包"),
    "did_download": ("download", "下载证据包"),
    "page": ("page {page} of {of}", "第 {page} 页，共 {of} 页"),
    "says": ("What this pack says and does not say", "本证据包的效力说明"),
    "picture": (
        "Events by channel, from {first} to {last}. A dot's size is the number of bytes.",
        "各渠道事件，{first} 至 {last}。圆点大小表示字节数。",
    ),
    "last_day": ("{days} d to the last day", "距最后工作日 {days} 天"),
    "left": ("left {days} d ago", "{days} 天前离职"),
    "notice": ("on notice", "离职通知期"),
}

_CHINESE_STATEMENTS: Final[dict[bool, tuple[str, ...]]] = {
    False: (
        "签名证明本包由持有该密钥的系统生成，但不证明生成时间：请将密钥指纹与系统显示的指纹核对。",
        "事件是终端代理所观察到的行为。每个事件均标明确定程度；未能看到的内容见报告。",
        "custody.jsonl 中标有 masked 的行有内容被隐藏。每行的指纹对应写入时的原始内容，"
        "可在系统上用 leaver audit verify --row 行号 核对。",
        "人员、账号、主机和设备均以系统化名显示。文件名按原样显示，因为它们是事件的内容。人工填写的文字中，"
        "姓名以 [name] 代替。",
        "终端代理签名的原始记录含有姓名，因此不在本包内。系统在生成时已校验其签名，"
        "结果见 alerts.jsonl 的 proof。",
    ),
    True: (
        "签名证明本包由持有该密钥的系统生成，但不证明生成时间：请将密钥指纹与系统显示的指纹核对。",
        "事件是终端代理所观察到的行为。每个事件均标明确定程度；未能看到的内容见报告。",
        "custody.jsonl 中标有 masked 的行有内容被隐藏。每行的指纹对应写入时的原始内容，"
        "可在系统上用 leaver audit verify --row 行号 核对。",
        "本包经说明原因后显示真实姓名，该操作已记录在案。",
    ),
}


_CHINESE_RECORDS: Final[dict[bool, tuple[str, ...]]] = {
    False: (
        "终端代理签名的原始记录也涉及他人，因此不在本包内。系统在生成时已校验其签名，"
        "结果见 alerts.jsonl 的 proof。",
    ),
    True: (
        "记录以整体签名：除本案事件外，还含有同一终端代理在相同数秒内的其他行为，可能属于他人，不构成本案证据。",
    ),
}


def word(language: str, key: str, **values: object) -> str:
    text = WORDS[key][language == "zh"]
    return text.format(**values) if values else text


def known(language: str, key: str | None) -> str:
    """A verdict or the like, in words; what is not known stays as it is."""
    return "" if key is None else word(language, key) if key in WORDS else key


def told(language: str, *, names: bool, records: bool) -> list[str]:
    """The statements."""
    if language != "zh":
        return english.statements(names=names, records=records)
    extra = () if not names else _CHINESE_RECORDS[records]
    return [*_CHINESE_STATEMENTS[names], *extra]


def text_of(language: str) -> Text:
    """The console's phrases in the report's language."""
    return partial(phrase, language=_language(language))


def row_words(language: str) -> Words:
    """How rows of evidence are worded."""
    text = text_of(language)
    return Words(text, partial(label_word, text=text)) if language == "zh" else IN_ENGLISH


def share_title(share: ShareView, language: str) -> str:
    """Of a part of the score; a shipped rule's title is a phrase."""
    if share.source in shipped_ids():
        return text_of(language)(share.title)
    return share.words.get(language) or share.title


def unseen(line: str, language: str) -> str:
    return seen_in(_language(language), line)


def _language(language: str) -> Language:
    return "zh" if language == "zh" else "en"
