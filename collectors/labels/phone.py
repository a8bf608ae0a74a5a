"""Telephone numbers: Chinese mobile numbers by the numbering plan, others where they are written with "+".

Eleven digits that begin with 1 may be anything. They count only if most numbers of that length in the file
fit the plan, and a few alone only beside a word that speaks of telephones, or written as people write them.
"""

from __future__ import annotations

import re
from typing import Final

import phonenumbers

from collectors.labels.distinct import Distinct

_ELEVEN: Final = re.compile(r"(?<![0-9A-Za-z.+-])(\d{3}([ -]?)\d{4}\2\d{4})(?![0-9A-Za-z])(?![.-]\d)")
_PLAN: Final = re.compile(r"1(?:3\d|4[014-9]|5[0-35-9]|6[2567]|7[0-8]|8\d|9[0-35-9])\d{8}")
_WITH_CODE: Final = re.compile(r"(?<![0-9A-Za-z+])\+[1-9][\d() .\-]{6,20}\d(?![0-9A-Za-z])")
_WORDS: Final = re.compile(
    r"(?i)手机|电话|移动|联系|热线|微信|phone|mobile|\btel|\bcell|contact|call|sms|whatsapp"
)
_FEW: Final = 3
_NEAR: Final = 40
_MOST_PARSED: Final = 20_000


class Phones:
    """Counts different numbers: `mobile_phone` (China), `phone` (elsewhere)."""

    def __init__(self) -> None:
        self._fit, self._told, self._others, self._abroad = Distinct(), Distinct(), Distinct(), Distinct()
        self._parsed = 0
        self._header_speaks = False
        self._is_first = True

    def feed(self, text: str) -> None:
        if self._is_first:
            self._header_speaks = _WORDS.search(text[:2000].partition("\n")[0]) is not None
            self._is_first = False
        for match in _ELEVEN.finditer(text):
            number = match[1].replace(" ", "").replace("-", "")
            if not _PLAN.fullmatch(number) or len(set(number)) < 3:
                self._others.add(number)
                continue
            self._fit.add(number)
            near = _WORDS.search(text, max(0, match.start() - _NEAR), match.start())
            if match[2] or self._header_speaks or near:
                self._told.add(number)
        if "+" in text:
            for written in _WITH_CODE.findall(text):
                self._with_code(written)

    def counts(self) -> dict[str, int]:
        fit, others = len(self._fit), len(self._others)
        mobile = fit if fit >= _FEW and fit > 2 * others else len(self._told)
        return {"mobile_phone": mobile if fit > others else 0, "phone": len(self._abroad)}

    def _with_code(self, written: str) -> None:
        self._parsed += 1
        if self._parsed > _MOST_PARSED:
            return
        try:
            number = phonenumbers.parse(written, None)
        except phonenumbers.NumberParseException:
            return
        if not phonenumbers.is_valid_number(number):
            return
        national = str(number.national_number)
        if number.country_code == 86 and _PLAN.fullmatch(national):
            self._fit.add(national)
            self._told.add(national)
        else:
            self._abroad.add(f"{number.country_code} {national}")


def load_all() -> None:
    """Reads the numbering plans of all countries now; they are opened one by one otherwise."""
    phonenumbers.PhoneMetadata.load_all()
