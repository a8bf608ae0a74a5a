"""Text of Office (OOXML) and OpenDocument files: XML parts, parsed as a stream by expat.

No document type and no entity is accepted: nobody's word processor writes one, and they are how XML bombs are
made. Limits of expat itself (amplification) hold besides.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final
from xml.parsers import expat

from collectors.labels.budget import Unreadable
from collectors.labels.plain_text import Readable

_PIECE_BYTES: Final = 65_536
_FLUSH_AT: Final = 65_536
_DEEPEST: Final = 256
_ENDS_LINE: Final = frozenset(("p", "h", "si", "row", "table-row", "br", "line-break", "is", "comment"))
_ENDS_CELL: Final = frozenset(("c", "tc", "table-cell", "tab", "v", "f"))
_SILENT: Final = frozenset(("f", "instrText", "script", "binData", "binary-data", "rPh"))
"""Formulas, field codes, macros, phonetic hints."""
_TEXT_PARTS: Final = re.compile(
    r"(?i)word/(?:document|footnotes|endnotes|comments)\d*\.xml|xl/sharedStrings\.xml|xl/worksheets/[^/]+\.xml"
    r"|xl/comments\d*\.xml|ppt/(?:slides|notesSlides|comments)/[^/]+\.xml|content\.xml"
)
_MARGIN_PARTS: Final = re.compile(
    r"(?i)word/(?:header|footer)\d*\.xml|ppt/slideMasters/[^/]+\.xml|styles\.xml|docProps/core\.xml"
)
EMBEDDED: Final = re.compile(r"(?i)(?:word|xl|ppt)/embeddings/|Object [^/]+/")


def is_text_part(name: str) -> bool:
    return _TEXT_PARTS.fullmatch(name) is not None


def is_margin_part(name: str) -> bool:
    """Headers, footers, masters: they say what every page says."""
    return _MARGIN_PARTS.fullmatch(name) is not None


def read_part(stream: Readable, give: Callable[[str], None]) -> None:
    """Hands on the text of one part in pieces. Raises Unreadable."""
    text = _Text(give)
    parser = expat.ParserCreate(namespace_separator="}")
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _refuse
    parser.EntityDeclHandler = _refuse
    parser.ExternalEntityRefHandler = _refuse
    parser.StartElementHandler = text.begin
    parser.EndElementHandler = text.end
    parser.CharacterDataHandler = text.characters
    try:
        while data := stream.read(_PIECE_BYTES):
            parser.Parse(data, False)
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise Unreadable("broken XML") from error
    finally:
        text.flush()


def _refuse(*_: object) -> int:
    raise Unreadable("XML with a document type or entities")


class _Text:
    def __init__(self, give: Callable[[str], None]) -> None:
        self._give = give
        self._pieces: list[str] = []
        self._size = self._depth = self._silent = 0
        self._is_shared = False

    def begin(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise Unreadable("XML nested too deep")
        name = name.rpartition("}")[2]
        if name == "c":
            # A cell whose value is only the number of a shared string.
            self._is_shared = attributes.get("t") == "s"
        if self._silent or name in _SILENT or (name == "v" and self._is_shared):
            self._silent += 1
        for attribute, value in attributes.items():
            if attribute.endswith("value") and name == "table-cell" and len(value) < 64:
                self.characters(f"{value} ")
                break

    def end(self, name: str) -> None:
        self._depth -= 1
        self._silent = max(0, self._silent - 1)
        name = name.rpartition("}")[2]
        if name in _ENDS_LINE:
            self.characters("\n")
            if self._size > _FLUSH_AT:
                self.flush()
        elif name in _ENDS_CELL:
            self.characters("\t")

    def characters(self, text: str) -> None:
        if not self._silent:
            self._pieces.append(text)
            self._size += len(text)

    def flush(self) -> None:
        if self._pieces:
            self._give("".join(self._pieces))
        self._pieces, self._size = [], 0
