"""Payment card numbers: an issuer range of the right length, a Luhn digit, and a sign that cards are meant.

One in ten numbers has a right Luhn digit by chance, and order numbers may begin like a card. So a file counts
only if most numbers that could be cards are right, and a few alone only beside a word that speaks of cards.
"""

from __future__ import annotations

import re
from typing import Final

from stdnum import luhn

from collectors.labels.distinct import Distinct

_NUMBER: Final = re.compile(
    r"(?<![0-9A-Za-z.+])(?<!\d[ -])(?:[2-6]\d{3}([ -])\d{4}\1\d{4}\1\d{1,4}(?:\1\d{3})?"
    r"|3\d{3}([ -])\d{6}\2\d{4,5}|[2-69]\d{12,18})(?![0-9A-Za-z])(?![.-]\d)"
)
_RANGES: Final = re.compile(
    r"(?:4\d{15}|4\d{12}|4\d{18}|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}|3[47]\d{13}"
    r"|62\d{14,17}|81\d{14,17}|9558\d{15}|35(?:2[89]|[3-8]\d)\d{12}|6(?:011|5\d\d|4[4-9]\d)\d{12}"
    r"|3(?:0[0-5]|[689]\d)\d{11}|220[0-4]\d{12})"
)
_WORDS: Final = re.compile(
    r"(?i)card|visa|mastercard|amex|unionpay|\bpan\b|\bcvv|\bcvc|\bccn?\b|credit|debit|卡号|银行|信用卡|储蓄卡|银联|账号|帐号|账户"
)
_FEW: Final = 3
_NEAR: Final = 80


class BankCards:
    """Counts different numbers."""

    def __init__(self) -> None:
        self._right, self._near_words, self._wrong = Distinct(), Distinct(), Distinct()
        self._header_speaks = False
        self._is_first = True

    def feed(self, text: str) -> None:
        if self._is_first:
            self._header_speaks = _WORDS.search(text[:2000].partition("\n")[0]) is not None
            self._is_first = False
        for match in _NUMBER.finditer(text):
            number = match[0].replace(" ", "").replace("-", "")
            if not _RANGES.fullmatch(number):
                continue
            if not luhn.is_valid(number) or len(set(number)) < 3:
                self._wrong.add(number)
                continue
            self._right.add(number)
            if self._header_speaks or _WORDS.search(text, max(0, match.start() - _NEAR), match.end() + 20):
                self._near_words.add(number)

    def counts(self) -> dict[str, int]:
        right, wrong = len(self._right), len(self._wrong)
        if right < wrong:
            return {}
        return {"bank_card": right if right >= _FEW and right > 2 * wrong else len(self._near_words)}
