"""The words by which a person's name is found in free text, and the pattern that finds them.

HR writes "Anna Weber" or "Weber, Anna"; people write ANNA, anna_weber, WeberAnna, 小明 on their drives. So a
name is looked for in both orders, joined or not, and by its parts of three letters and more; of a Chinese
name by its given name of two characters. Words end where letters and digits end, so that Ann is not in
"planning"; scripts that are written without spaces have no word ends.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_JOINS = re.compile(r"[\s.,_-]+")
_SPACELESS = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff]")
_PART_LETTERS_MIN = 3
_GIVEN_NAME = 2
_NO_NAMES = frozenset(
    {"von", "van", "der", "den", "dem", "del", "des", "dos", "das", "bin", "ibn", "zum", "zur", "los", "las"}
)
"""Parts of names that are ordinary words."""


def name_words(name: str) -> frozenset[str]:
    """Lower case, with single spaces between words. Empty for an empty name."""
    pieces = [piece for piece in _JOINS.split(name.casefold()) if piece]
    if not pieces:
        return frozenset()
    orders = [pieces, [*pieces[1:], pieces[0]], [pieces[-1], *pieces[:-1]]]
    whole = {" ".join(order) for order in orders} | {"".join(order) for order in orders}
    parts = {piece for piece in pieces if len(piece) >= _PART_LETTERS_MIN and piece not in _NO_NAMES}
    written_as_one = "".join(pieces)
    if all(map(_SPACELESS.match, written_as_one)):
        parts = {written_as_one[-_GIVEN_NAME:]} if len(written_as_one) > _GIVEN_NAME else set()
    return frozenset(whole | parts)


def net(words: Iterable[str]) -> re.Pattern[str] | None:
    """Finds any of the words, the longest first; None: there are none."""
    longest_first = sorted(words, key=lambda word: (-len(word), word))
    if not longest_first:
        return None
    return re.compile("|".join(map(_word_pattern, longest_first)), re.IGNORECASE)


def joined(found: str) -> str:
    """The word that the net found, as it was given."""
    return _JOINS.sub(" ", found.casefold())


def _word_pattern(word: str) -> str:
    pattern = _JOINS.pattern.join(map(re.escape, word.split()))
    return pattern if _SPACELESS.search(word) else rf"(?<![^\W_]){pattern}(?![^\W_])"
