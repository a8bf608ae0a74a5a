"""Which encoding text is in, from its beginning. None for what is no text."""

from __future__ import annotations

import codecs
import re
from typing import Final

_BOMS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CONTROL: Final = re.compile(rb"[\x00-\x06\x0e-\x1a\x1c-\x1f\x7f]")
_COMMON_CHINESE: Final = re.compile(
    "[\u4e00-\u9fff\u3000-\u303f\uff00-\uffef\u2010-\u2027\u2190-\u21ff\u2460-\u249b\u25a0-\u260f]"
)
_MOST_CONTROL: Final = 0.003


def encoding_of(head: bytes) -> str | None:  # noqa: PLR0911 - one line each
    """The name of a Python codec. `head`: some first kilobytes, which may end within a character."""
    if not head:
        return None
    for bom, name in _BOMS:
        if head.startswith(bom):
            return name if _decodes(head, name) else None
    if b"\0" in head:
        return _utf16_without_bom(head)
    if len(_CONTROL.findall(head)) > _MOST_CONTROL * len(head):
        return None
    if _decodes(head, "utf-8"):
        return "utf-8"
    if _decodes(head, "gb18030"):
        others = [c for c in head.decode("gb18030", "ignore") if ord(c) > 127]
        if len(_COMMON_CHINESE.findall("".join(others))) >= 0.8 * len(others):
            return "gb18030"
    beyond = sum(byte >= 0x80 for byte in head)
    return "cp1252" if beyond < 0.3 * len(head) and _decodes(head, "latin-1") else None


def _decodes(head: bytes, name: str) -> bool:
    try:
        codecs.getincrementaldecoder(name)("strict").decode(head, final=False)
    except UnicodeError:
        return False
    return True


def _utf16_without_bom(head: bytes) -> str | None:
    """Mostly ASCII in UTF-16 has a zero in every second byte; Chinese has at least its line ends so."""
    even, odd = head[::2], head[1::2]
    for name, high, low in (("utf-16-le", odd, even), ("utf-16-be", even, odd)):
        if b"\0" in low or not low or len(head) % 2:
            continue
        if _decodes(head, name):
            text = head.decode(name, "ignore")
            usual = sum(c.isascii() and (c.isprintable() or c in "\r\n\t") for c in text)
            usual += len(_COMMON_CHINESE.findall(text))
            if usual >= 0.9 * len(text) and b"\0" in high:
                return name
    return None
