"""The company's own lists of words: all found in one pass, by an Aho-Corasick automaton."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import ahocorasick  # type: ignore[import-not-found]


class KeywordLists:
    """Made once for all files. Case does not matter; Latin words match as whole words."""

    def __init__(self, lists: Mapping[str, Sequence[str]]) -> None:
        self._automaton = ahocorasick.Automaton()
        found: dict[str, set[str]] = {}
        for name, words in lists.items():
            for word in words:
                found.setdefault(word.lower(), set()).add(name)
        for word, names in found.items():
            self._automaton.add_word(word, (len(word), tuple(sorted(names))))
        if found:
            self._automaton.make_automaton()
        self.is_empty = not found

    def count(self, text: str, into: dict[str, int]) -> None:
        """Adds the matches in this text, by list."""
        if self.is_empty:
            return
        lowered = text.lower()
        for end, (length, names) in self._automaton.iter(lowered):
            if _is_whole(lowered, end - length + 1, end):
                for name in names:
                    into[name] = into.get(name, 0) + 1


def _is_whole(text: str, begin: int, end: int) -> bool:
    before = begin > 0 and _joins(text[begin - 1], text[begin])
    return not before and not (end + 1 < len(text) and _joins(text[end], text[end + 1]))


def _joins(one: str, other: str) -> bool:
    """Two Latin letters or digits side by side belong to one word; Chinese words have no bounds."""
    return one.isascii() and other.isascii() and one.isalnum() and other.isalnum()
