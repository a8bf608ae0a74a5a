"""Passports: machine-readable lines whose check digits fit (ICAO 9303, TD3), and Chinese passport numbers
beside a word that says so."""

from __future__ import annotations

import re
from typing import Final

from collectors.labels.distinct import Distinct

_LINES: Final = re.compile(
    r"P[A-Z<][A-Z]{3}[A-Z<]{39}\s{1,4}([A-Z0-9<]{9})(\d)[A-Z<]{3}(\d{6})(\d)[MFX<](\d{6})(\d)([A-Z0-9<]{14})([\d<])(\d)"
)
_CHINESE: Final = re.compile(r"(?<![0-9A-Za-z])(?:[EGDSP]\d{8}|E[A-HJ-NP-Z]\d{7}|[DSP]E\d{7})(?![0-9A-Za-z])")
_WORDS: Final = re.compile(r"(?i)护照|passport")
_NEAR: Final = 40
_FEW: Final = 3


class Passports:
    """Counts different numbers."""

    def __init__(self) -> None:
        self._sure, self._likely = Distinct(), Distinct()
        self._header_speaks = False
        self._is_first = True

    def feed(self, text: str) -> None:
        if self._is_first:
            self._header_speaks = _WORDS.search(text[:2000].partition("\n")[0]) is not None
            self._is_first = False
        if "P" in text and "<" in text:
            for match in _LINES.finditer(text):
                if _fits(match):
                    self._sure.add(match[1].rstrip("<"))
        speaks = self._header_speaks or _WORDS.search(text)
        if not speaks:
            return
        for match in _CHINESE.finditer(text):
            if _WORDS.search(text, max(0, match.start() - _NEAR), match.start()):
                self._sure.add(match[0])
            elif self._header_speaks:
                self._likely.add(match[0])

    def counts(self) -> dict[str, int]:
        likely = len(self._likely)
        return {"passport": len(self._sure) + (likely if likely >= _FEW else 0)}


def _fits(match: re.Match[str]) -> bool:
    number, n, born, b, until, u, other, o, whole = match.groups()
    line = number + n + born + b + until + u + other + o
    parts = ((number, n), (born, b), (until, u), (other, "0" if o == "<" else o), (line, whole))
    return all(check_digit(part) == digit for part, digit in parts)


def check_digit(text: str) -> str:
    """ICAO 9303: weights 7, 3, 1; letters count from 10, "<" is 0."""
    return str(sum((0 if c == "<" else int(c, 36)) * (7, 3, 1)[at % 3] for at, c in enumerate(text)) % 10)
