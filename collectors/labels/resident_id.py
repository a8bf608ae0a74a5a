"""Chinese resident identity numbers (GB 11643-1999): province, date of birth and check digit must fit."""

from __future__ import annotations

import re
from datetime import date
from typing import Final

from stdnum.iso7064 import mod_11_2

from collectors.labels.distinct import Distinct

_NUMBER: Final = re.compile(
    r"(?<![0-9A-Za-z])(?:1[1-5]|2[1-3]|3[1-7]|4[1-6]|5[0-4]|6[1-5]|71|8[1-3])\d{4}"
    r"(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3}[0-9Xx](?![0-9A-Za-z])"
)


class ResidentIds:
    """Counts different numbers."""

    def __init__(self) -> None:
        self._found = Distinct()

    def feed(self, text: str) -> None:
        for number in _NUMBER.findall(text):
            if is_resident_id(number):
                self._found.add(number.upper())

    def counts(self) -> dict[str, int]:
        return {"resident_id": len(self._found)}


def is_resident_id(number: str) -> bool:
    """18 characters whose date exists and whose check digit fits."""
    try:
        born = date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    except ValueError:
        return False
    return born <= date.today() and mod_11_2.is_valid(number.upper())  # noqa: DTZ011 - any zone will do
