"""Marks that say how secret a document is: 绝密 机密 秘密 内部, top secret, confidential, internal use only.

A mark is a line of its own that says nothing else (but a term, a page, a copyright line), or follows
"密级:", "classification:"; and it stands where marks stand: in a header or footer, or among the first
lines. The same words within a sentence, as in a licence, are no mark."""

from __future__ import annotations

import re
from typing import Final

HEAD_LINES: Final = 25
FOOT_LINES: Final = 3
_LONGEST: Final = 120
_LEAD: Final = (
    r"^[\W_]*(?:(?:文件|资料|信息)?(?:密级|保密等级|保密级别)[\W_]*"
    r"|(?:(?:security|data|document|information) )?(?:classification|sensitivity)(?: level)?\s*[:：]\s*"
    r")?[\W_]*"
)
_END: Final = (
    r"(?i:(?>(?:(?!©|\(c\))[\W_])*+(?:\d{1,4} ?年|长期|\d{1,3} ?个?月|page \d+(?: of \d+)?|第 ?\d+ ?页.{0,10}"
    r"|\d{1,4}|do not (?:distribute|copy|forward)|not for distribution"
    r"|(?:严禁|请勿|禁止|不得)(?:外传|传播|复制|外泄|翻印|转发)"
    r"|注意保密|妥善保管|(?:©|\(c\)|copyright)[^\n]{0,60}))*+[\W_]*$)"
)
"""Each part is tried in one way only: a line of digits can be cut up in more ways than can be tried."""
_MARKS: Final[tuple[tuple[str, str], ...]] = (
    ("mark_top_secret", r"绝密(?:文件|资料|级)?|TOP[ -]SECRET|Top Secret|核心商密|核心商业秘密"),
    ("mark_secret", r"机密(?:文件|资料|级)?|公司机密|商业机密|SECRET"),
    (
        "mark_confidential",
        r"秘密(?:文件|资料|级)?|公司秘密|商业秘密|普通商密|保密文件|保密资料"
        r"|(?i:(?:strictly |highly |company |commercial[ -]in[ -]|"
        r"(?:strictly )?private (?:and|&) |proprietary (?:and|&) |[\w.]{2,20} )?confidential"
        r"(?: (?:and|&) proprietary(?: information)?| information| document)?|commercial in confidence)",
    ),
    (
        "mark_internal",
        r"(?:公司|仅限|仅供|限)?内部(?:资料|文件|使用|公开|传阅|参考)|内部"
        r"|(?i:(?:for )?(?:company )?internal use only"
        r"|(?:company )?internal only|for official use only|internal[ -–]*company use)|INTERNAL",
    ),
)
_BARE: Final = re.compile(r"(?i)(?:secret|internal|内部|confidential)[\W_]*")
_LINES: Final = [(kind, re.compile(_LEAD + f"(?:{words})" + _END)) for kind, words in _MARKS]
_AFTER_LABEL: Final = [
    (
        kind,
        re.compile(
            r"(?i)(?:密级|保密等级|保密级别|(?:classification|sensitivity)(?: level)?)\s*[:：]\s*"
            rf"(?:{words.replace('(?i:', '(?:')})(?:\s*[★☆*][^\n]{{0,12}})?\s*$"
        ),
    )
    for kind, words in (
        ("mark_top_secret", "绝密|top secret"),
        ("mark_secret", "机密|secret"),
        ("mark_confidential", "秘密|(?:strictly |company )?confidential"),
        ("mark_internal", "内部(?:资料|使用|公开)?|internal(?: use)?(?: only)?"),
    )
]
_HINT: Final = re.compile(r"(?i)密|内部|confiden|secret|internal|official use")


class ClassificationMarks:
    """Counts lines that are marks, over all headers, footers and first lines of the file."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def feed(self, text: str, *, is_margin: bool = False) -> None:
        """The beginning of one text, or one page. `is_margin`: it is a header or footer as a whole."""
        if not _HINT.search(text):
            return
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        if not is_margin and len(lines) > HEAD_LINES + FOOT_LINES:
            lines = lines[:HEAD_LINES] + lines[-FOOT_LINES:]
        for at, line in enumerate(lines):
            kind = mark_of(line)
            if kind is None:
                continue
            if _BARE.fullmatch(line) and not is_margin and not _stands_apart(line, at):
                continue
            self._counts[kind] = self._counts.get(kind, 0) + 1

    def counts(self) -> dict[str, int]:
        return self._counts


def mark_of(line: str) -> str | None:
    """What kind of mark this line is."""
    if len(line) > _LONGEST or not _HINT.search(line):
        return None
    for kind, pattern in (*_LINES, *_AFTER_LABEL):
        if pattern.search(line):
            return kind
    return None


def _stands_apart(line: str, at: int) -> bool:
    """One word alone is a mark in capitals or Chinese at the very top; else it may be a heading or a list."""
    return at < 3 and (line.isupper() or not line.isascii())
