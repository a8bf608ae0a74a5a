"""Text as it lies in a file, decoded piece by piece; pieces end between lines or words."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import Final, Protocol

_PIECE_BYTES: Final = 262_144
_LONGEST_WORD: Final = 4_096
OVERLAP: Final = 200
"""Characters of the piece before, so that a word before a number is seen."""


class Readable(Protocol):
    """A binary stream, not necessarily seekable."""

    def read(self, size: int, /) -> bytes: ...


def pieces(stream: Readable, encoding: str) -> Iterator[str]:
    """What cannot be decoded is replaced."""
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    left = ""
    while data := stream.read(_PIECE_BYTES):
        text = left + decoder.decode(data)
        cut = _cut(text)
        if cut:
            yield text[:cut]
        left = text[cut:]
    left += decoder.decode(b"", final=True)
    if left:
        yield left


def overlapping(texts: Iterator[str]) -> Iterator[tuple[str, str]]:
    """(the piece with the end of the one before it, the piece)."""
    before = ""
    for text in texts:
        yield before + text, text
        end = text[-OVERLAP:]
        # From the beginning of a line or word on: half a number would look like another one.
        begin = max(end.find("\n"), 0) or max(end.find(" "), 0)
        before = end[begin:] if begin else ""


def _cut(text: str) -> int:
    for separator in ("\n", " ", "\t", ",", ";"):
        at = text.rfind(separator, max(0, len(text) - _LONGEST_WORD))
        if at >= 0:
            return at + 1
    return len(text)
