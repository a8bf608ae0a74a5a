"""Which encoding an HR file is in.

UTF-8 with or without BOM, UTF-16 with BOM, GBK/GB18030; anything else must be named. Bytes that are no
UTF-8 pass for GB18030 only where most of their characters are everyday ones (the GB 2312 part): Latin-1's
`ü` followed by a letter would decode too, to a rare character.
"""

from __future__ import annotations

import codecs
from typing import Final

_HEAD: Final = 4096
_NO_TEXT: Final = bytes(code for code in range(32) if code not in b"\t\n\r\f")
"""Control characters, NUL among them."""


class UnreadableFile(Exception):
    """The file as a whole cannot be read; the message says where and why. `quotes`: what it quotes of the
    file, for whoever brought it alone: in a file without a header that may be somebody's name."""

    def __init__(self, why: str, quotes: str = "") -> None:
        super().__init__(why + quotes)
        self.why = why
        """What may be kept."""


def decoded(data: bytes, encoding: str | None) -> tuple[str, str]:
    """(text, name of the encoding). Raises UnreadableFile that names the line."""
    if encoding is not None:
        return _decode(data, encoding), encoding
    if data.startswith(codecs.BOM_UTF8):
        return _decode(data, "utf-8-sig"), "UTF-8 with BOM"
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return _decode(data, "utf-16"), "UTF-16"
    if _is_binary(data):
        raise UnreadableFile("neither text nor an XLSX workbook: save it as .xlsx or CSV; .xls is not read")
    try:
        return _without_nul(data.decode("utf-8")), "UTF-8"
    except UnicodeDecodeError as utf8_error:
        try:
            text = data.decode("gb18030")
        except UnicodeDecodeError as error:
            raise UnreadableFile(
                f"line {_line_of(data, utf8_error.start)} is not UTF-8, line {_line_of(data, error.start)} "
                "is not GBK either: say which encoding it is"
            ) from error
        if not _looks_chinese(text):
            raise UnreadableFile(
                f"line {_line_of(data, utf8_error.start)} is not UTF-8, and does not read like Chinese "
                "in GBK: say which encoding it is"
            ) from utf8_error
        return _without_nul(text), "GBK/GB18030"


def _is_binary(data: bytes) -> bool:
    """Whether it begins with characters that no text has, more than one in a hundred."""
    head = data[:_HEAD]
    return len(head.translate(None, _NO_TEXT)) < len(head) * 0.99 and b"\0\0" in data


def _decode(data: bytes, encoding: str) -> str:
    try:
        return _without_nul(data.decode(encoding))
    except UnicodeDecodeError as error:
        raise UnreadableFile(
            f"line {_line_of(data, error.start)} is not {encoding}: {error.reason}"
        ) from error
    except (LookupError, ValueError):
        # Codecs that only refuse, and names that can be none.
        raise UnreadableFile(f"encoding {encoding!r} is unknown") from None


def _without_nul(text: str) -> str:
    at = text.find("\0")
    if at >= 0:
        line = text.count("\n", 0, at) + 1
        raise UnreadableFile(f"line {line} holds a NUL character: UTF-16 without a BOM, or no text at all")
    return text


def _line_of(data: bytes, offset: int) -> int:
    return data.count(b"\n", 0, offset) + 1


def _looks_chinese(text: str) -> bool:
    everyday = other = 0
    for character in text:
        if character > "\x7f":
            encoded = character.encode("gb18030")
            if len(encoded) == 2 and 0xA1 <= encoded[0] <= 0xF7 and encoded[1] >= 0xA1:
                everyday += 1
            else:
                other += 1
    return everyday > other * 4
