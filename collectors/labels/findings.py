"""All that was found in one file so far, its archives' members and its pages taken together."""

from __future__ import annotations

import re
from typing import Final, Protocol

from collectors.labels.bank_card import BankCards
from collectors.labels.classification_mark import ClassificationMarks
from collectors.labels.email_address import EmailAddresses
from collectors.labels.keyword_lists import KeywordLists
from collectors.labels.passport import Passports
from collectors.labels.phone import Phones
from collectors.labels.private_key import PrivateKeys
from collectors.labels.resident_id import ResidentIds

_DIGITS: Final = re.compile(r"\d{7}|\d{3}[ -]\d{4}|\+\d")


class _Detector(Protocol):
    def feed(self, text: str) -> None: ...
    def counts(self) -> dict[str, int]: ...


class Findings:
    """Fed with pieces of text that end between words."""

    def __init__(self, keywords: KeywordLists) -> None:
        self._numbers: tuple[_Detector, ...] = (ResidentIds(), BankCards(), Phones(), Passports())
        self._words: tuple[_Detector, ...] = (EmailAddresses(), PrivateKeys())
        self._marks = ClassificationMarks()
        self._keywords = keywords
        self._has_begun = False
        self._list_counts: dict[str, int] = {}
        self._more: dict[str, int] = {}

    def text(self, text: str, *, new: str = "") -> None:
        """`new`: the part of it at the end that was not passed before, where pieces overlap."""
        if not self._has_begun or _DIGITS.search(text):
            # The first lines may name the columns.
            self._has_begun = True
            for detector in self._numbers:
                detector.feed(text)
        for detector in self._words:
            detector.feed(text)
        self._keywords.count(new or text, self._list_counts)

    def beginning(self, text: str, *, is_margin: bool = False) -> None:
        """The beginning of a text or of a page, where marks may stand; or a header or footer."""
        self._marks.feed(text, is_margin=is_margin)

    def add(self, kind: str, count: int = 1) -> None:
        """Something that is no matter of text."""
        self._more[kind] = self._more.get(kind, 0) + count

    def counts(self) -> dict[str, int]:
        total = dict(self._more)
        for detector in (*self._numbers, *self._words, self._marks):
            total.update(detector.counts())
        return {kind: count for kind, count in total.items() if count > 0}

    def list_counts(self) -> dict[str, int]:
        return self._list_counts
