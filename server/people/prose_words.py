"""Finds names, accounts, ids and machines in what people typed, however they are written. Pure.

A text and a name are both read as words: width, accents, case and marks that cannot be seen do not count,
letters and digits are words of their own, and so is each character of a script without spaces. So
`ANNA WEBER`, `weber_anna`, fullwidth letters, `AnnaWeber`, `anna2024`, `王 小明` and `小明王` are all found.
How long it takes depends on the text, not on how many people there are.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Container, Iterable, Iterator
from itertools import pairwise
from typing import Final

import msgspec

_SPACELESS = "\u1100-\u11ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
_WORD = re.compile(rf"[{_SPACELESS}]|[^\W\d_{_SPACELESS}]+|\d+")
_IS_SPACELESS = re.compile(rf"[{_SPACELESS}]")
_GAP_MAX = 3
"""Characters between two words of one name: `Weber, Anna`."""
_PART_LETTERS_MIN = 3
_DIGITS_MIN = 4
"""Shorter numbers are amounts more often than somebody's id."""
_SPELT_OUT = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ø": "oe", "å": "aa", "æ": "ae", "œ": "oe"})
_LIKE_LETTERS = str.maketrans({"ø": "o", "đ": "d", "ł": "l", "ı": "i", "ħ": "h"})
"""What is no accent to Unicode, and is written without by whoever does not have the key."""


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_NO_NAMES: Final = _set(
    "von van der den dem del des dos das bin ibn zum zur los las the and for not was with from this that"
)
"""Parts of names that are ordinary words, and say nothing alone."""
_CAPITALISED: Final = _set(
    "art bill black brown case chance chase day dean drew faith frank grace grant green guy hope"
    " hunter iris jack joy king kind lane left long major mark max may miles page pat penny price"
    " prince rich rob rose rush sue summer victor wade white will young"
)
"""Names that are ordinary words in lower case."""
_GENERIC: Final = _set(
    "account admin administrator backup desktop finance guest hr info it laptop local mail office"
    " root sales security server service support system test unknown user workstation"
)
"""Accounts and machines are called so everywhere: they name nobody."""

Words = tuple[str, ...]


class Token(msgspec.Struct, frozen=True):
    word: str
    start: int
    """In the text as it was given; the end is exclusive."""
    end: int
    place: int
    """In what was read of it, without marks that cannot be seen."""
    place_end: int
    capital: bool
    open_left: bool
    """No letter or digit stands right before it."""
    open_right: bool


class Entry(msgspec.Struct):
    """What is hidden under some words."""

    whose: set[str]
    """Subjects: `person:ID`, `account:NAME`; empty: nobody's in particular (a machine)."""
    within: bool
    """Also where letters or digits stand right beside it."""
    capitalised: bool
    """Only where it begins with a capital letter."""


class Hidden:
    """Words that are not to be seen, by whom they tell of."""

    def __init__(self) -> None:
        self._entries: dict[Words, Entry] = {}
        self._longest: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def add_name(self, whose: str, name: str) -> None:
        """Of a person, as HR or they themselves write it."""
        # How a name without such letters is spelt out is how it is written.
        for spelling in (name,) if name.isascii() else {name, name.casefold().translate(_SPELT_OUT)}:
            for words, is_part in set(_name_forms(spelling)):
                capitalised = is_part and words[0] in _CAPITALISED
                self._add(words, whose, within=True, capitalised=capitalised)

    def add_id(self, whose: str, value: str) -> None:
        """Of a person, an account or a machine: found as a whole."""
        words = words_of(value)
        if len(words) == 1 and (words[0] in _GENERIC or len(words[0]) < 2):
            return
        if not words or (all(map(str.isdigit, words)) and len("".join(words)) < _DIGITS_MIN):
            return
        if "".join(words) not in _NO_NAMES:
            capitalised = len(words) == 1 and words[0] in _CAPITALISED
            self._add(words, whose, within=False, capitalised=capitalised)

    def add_account(self, whose: str, account: str) -> None:
        """As it is listed, and its name alone where it is listed for a domain or a host."""
        for form in {account, account.rpartition("\\")[2], account.partition("@")[0]}:
            self.add_id(whose, form)

    def _add(self, words: Words, whose: str, *, within: bool, capitalised: bool) -> None:
        known = self._entries.get(words)
        if known is None:
            self._entries[words] = Entry({whose} if whose else set(), within, capitalised)
        else:
            # A machine's name tells nobody apart: once it is hidden for no one in particular it stays so.
            if whose and known.whose:
                # In place: thousands share a first name.
                known.whose.add(whose)
            else:
                known.whose = set()
            known.within |= within
            known.capitalised &= capitalised
        if len(words) > self._longest.get(words[0], 0):
            self._longest[words[0]] = len(words)

    def found(self, text: str, revealed: Container[str] = ()) -> list[tuple[int, int]]:
        """Where in the text something is to be hidden, from the left, not overlapping. `revealed`: subjects
        whose names may be seen; what tells of others too stays hidden."""
        spans: list[tuple[int, int]] = []
        for split in (False, True):
            read = list(tokens(text, camel=split))
            at = 0
            while at < len(read):
                count, hides = self._match(read, at, revealed)
                if hides:
                    spans.append((read[at].start, read[at + count - 1].end))
                at += max(1, count)
            if not split and text.islower():
                break
        return _joined(spans, text)

    def _match(self, read: list[Token], at: int, revealed: Container[str]) -> tuple[int, bool]:
        """How many tokens from here belong together, and whether they are hidden; 0: none."""
        longest = min(self._longest.get(read[at].word, 0), len(read) - at)
        for count in range(longest, 0, -1):
            run = read[at : at + count]
            entry = self._entries.get(tuple(token.word for token in run))
            if entry is None or not _is_one(run):
                continue
            if entry.capitalised and not run[0].capital:
                continue
            if not entry.within and not (run[0].open_left and run[-1].open_right):
                continue
            # Of a whole name that may be seen no part is hidden for somebody else's sake.
            return count, not entry.whose or any(whose not in revealed for whose in tuple(entry.whose))
        return 0, False


def tokens(text: str, *, camel: bool = False) -> Iterator[Token]:
    """`camel`: also split where a capital letter follows a small one."""
    if text.isascii():
        read, places = text, None
    else:
        read, places = _readable(text)
    for found in _WORD.finditer(read):
        start, end = found.span()
        cuts = [start, *(_humps(read, start, end) if camel else ()), end]
        for first, last in pairwise(cuts):
            yield Token(
                _folded(read[first:last]),
                first if places is None else places[first],
                last if places is None else places[last - 1] + 1,
                first,
                last,
                read[first].isupper() or not read[first].islower(),
                first == 0 or not read[first - 1].isalnum(),
                last == len(read) or not read[last].isalnum(),
            )


def is_spaceless(text: str) -> bool:
    """Whether any of it is of a script without spaces."""
    return _IS_SPACELESS.search(text) is not None


def words_of(text: str) -> Words:
    """Those of the tokens, for who does not ask where they stand: that costs most of the time."""
    read = text if text.isascii() else _readable(text)[0]
    return tuple(map(_folded, _WORD.findall(read)))


def _folded(word: str) -> str:
    if word.isascii():
        return word.lower()
    return word.casefold().translate(_LIKE_LETTERS)


def _readable(text: str) -> tuple[str, list[int]]:
    """The text without accents, width and what cannot be seen, and where each character comes from."""
    read: list[str] = []
    places: list[int] = []
    for place, character in enumerate(text):
        for part in unicodedata.normalize("NFKD", character):
            if unicodedata.category(part) not in {"Mn", "Me", "Cf"}:
                read.append(part)
                places.append(place)
    return "".join(read), places


def _humps(read: str, start: int, end: int) -> Iterator[int]:
    for at in range(start + 1, end):
        if read[at].isupper() and read[at - 1].islower():
            yield at


def _is_one(run: list[Token]) -> bool:
    return all(later.place - earlier.place_end <= _GAP_MAX for earlier, later in pairwise(run))


def _joined(spans: Iterable[tuple[int, int]], text: str) -> list[tuple[int, int]]:
    """What overlaps or has but spaces and hyphens between is one."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and (start <= merged[-1][1] or not text[merged[-1][1] : start].strip(" -_.·")):
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged


def _name_forms(name: str) -> Iterator[tuple[Words, bool]]:
    """Words by which a name is found, and whether they are only a part of it."""
    pieces = [words_of(piece) for piece in re.split(r"[\s,]+", name)]
    pieces = [piece for piece in pieces if piece]
    words = [word for piece in pieces for word in piece]
    if not words:
        return
    if all(map(_IS_SPACELESS.match, words)):
        yield from _spaceless_forms(words)
        return
    orders = [pieces, [*pieces[1:], pieces[0]], [pieces[-1], *pieces[:-1]]]
    for order in orders:
        flat = tuple(word for piece in order for word in piece)
        if sum(map(len, flat)) > 1:
            yield flat, len(flat) == 1
            yield ("".join(flat),), len(flat) == 1
        # `JeanLuc Picard`: each piece of it in one word.
        yield tuple("".join(piece) for piece in order), len(order) == 1
    for word in {*words, *("".join(piece) for piece in pieces)}:
        spaceless = _IS_SPACELESS.match(word)
        if len(word) >= _PART_LETTERS_MIN and word not in _NO_NAMES and not spaceless:
            yield (word,), True


def _spaceless_forms(words: list[str]) -> Iterator[tuple[Words, bool]]:
    """A family name of one character comes first, of two where there are four; given names are told alone."""
    whole = tuple(words)
    if len(whole) < 2:
        return
    yield whole, False
    family = 2 if len(whole) >= 4 else 1
    yield (*whole[family:], *whole[:family]), False
    if len(whole) > 2:
        yield whole[-2:], True
