"""Rows under a known person's id that tell of somebody else by all that they say: another name, and none of
the accounts that the known one ever had.

An id that HR gave again, or a list of another company: taken over, what one person did would be the other
one's. Somebody who marries keeps an account, so is no question. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from server.people.facts import PersonFacts
from server.people.hr_columns import Problem
from server.people.person_rows import PersonRow, shown_value
from server.people.prose_words import is_spaceless, words_of

MESSAGE: Final = (
    "another person, most likely: this id is known by another name, and has none of these accounts"
    " (--same-people says that they are the same)"
)

_SPELT_OUT: Final = re.compile("([aou])e")
"""Müller is Mueller where there is no key for it; `words_of` took the dots off."""


class OtherPerson(msgspec.Struct, frozen=True):
    """`before`, `after`: the names, for who may see them alone."""

    line: int
    id: str
    before: str
    after: str

    def problem(self) -> Problem:
        """As reports tell it, which say no name but what stands in the file."""
        return Problem(self.line, "name", shown_value(self.after), MESSAGE)


def other_person(rows: Sequence[PersonRow], known: PersonFacts | None) -> OtherPerson | None:
    """`rows`: of one id, the one that counts last. A file without ids tells by accounts who it is, and a name
    that is missing on either side tells nothing, nor does one that an identity provider gave: HR's word
    stands over it."""
    row = rows[-1]
    if known is None or not known.name or not row.name or "id" not in row.given:
        return None
    if "name" in known.scim_fields:
        return None
    if same_name(known.name, row.name):
        return None
    had = _short(held.name for held in known.accounts)
    given = _short(name for each in rows for name in each.accounts)
    # Without accounts on either side a name alone says too little to keep a leaving date out.
    if not had or not given or had & given:
        return None
    return OtherPerson(row.line, known.id, known.name, row.name)


def same_name(one: str, other: str) -> bool:
    """Whether two spellings may be of one name: the same words in any order, or some left out. What stands in
    a script without spaces is the same characters, and says it alone where both have some: a name may be
    written in two scripts at once."""
    (signs, first), (other_signs, second) = _in_scripts(one), _in_scripts(other)
    if signs and other_signs:
        return signs == other_signs
    few, many = sorted((first, second), key=len)
    return bool(few) and few <= many


def _in_scripts(name: str) -> tuple[str, set[str]]:
    """(characters of scripts without spaces, words of the others)."""
    words = words_of(name)
    signs = "".join(word for word in words if is_spaceless(word))
    return signs, {_SPELT_OUT.sub(r"\1", word) for word in words if not is_spaceless(word)}


def _short(accounts: Iterable[str]) -> set[str]:
    """Without domain and host: HR's file and the next one may list them in other ways."""
    return {name.rpartition("\\")[2].partition("@")[0] for name in accounts}
