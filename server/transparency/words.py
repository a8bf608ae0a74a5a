"""Sentences that are shown in the reader's language: the English text is the key of its translation.

Kept apart from any language here, so that one source makes the page, the draft and its Markdown.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import msgspec


class Say(Protocol):
    """Gives a phrase in somebody's language (server/console/phrases.py)."""

    def __call__(self, words: str, /, **values: object) -> str: ...


class Words(msgspec.Struct, frozen=True):
    """A phrase and what is put into it."""

    text: str
    values: Mapping[str, str | int] = {}

    def said(self, say: Say) -> str:
        return say(self.text, **self.values)


class Several(Words, frozen=True):
    """Phrases that stand behind each other."""

    text: str = ""
    parts: tuple[str, ...] = ()

    def said(self, say: Say) -> str:
        return " · ".join(say(each) for each in self.parts)


def words(text: str, **values: str | int) -> Words:
    return Words(text, values)
