"""Text columns that hold the same on SQLite and PostgreSQL.

- Both compare and sort by code point. On PostgreSQL that is COLLATE "C": else the order would be that of
  the server's language, and an index could break when the operating system's sorting rules change.
- PostgreSQL's text has no place for U+0000, and no driver takes half a surrogate pair. Whatever carries
  one is stored with U+FFFD in its place: such text comes from hostile or broken endpoints, and must not
  stop what stores it. What is a key in memory too goes through `storable` first, so that both agree.
- PostgreSQL enforces lengths, SQLite does not: whoever writes keeps within them; `key_text` does for keys
  that endpoints choose. Both are strict about 64 bits: `WHOLE_MAX` is the greatest whole number.
"""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache

from sqlalchemy import Dialect, String, Text, TypeDecorator
from sqlalchemy.types import TypeEngine

WHOLE_MAX = 2**63 - 1
KEYS_KEPT = 10_000
"""Keys repeat from event to event; looked up they cost a third."""
_REPLACED = "\ufffd"
_MARK_CHARACTERS = 17
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def storable(text: str) -> str:
    """The text as any database can keep it."""
    # Nearly all text is; isprintable is false for both kinds of character, and quicker than the pattern.
    return text if text.isprintable() else _UNSTORABLE.sub(_REPLACED, text)


def is_storable(text: str) -> bool:
    return text.isprintable() or _UNSTORABLE.search(text) is None


def key_start(text: str, characters: int) -> str:
    """With what every `key_text` begins, long or short, whose text begins with this."""
    return storable(text)[: characters - _MARK_CHARACTERS]


@lru_cache(maxsize=KEYS_KEPT)
def key_text(text: str, characters: int) -> str:
    """The text as a key of at most so many characters. A longer one ends in its hash, so that it stays apart
    from others that begin the same."""
    text = storable(text)
    if len(text) <= characters:
        return text
    return text[: characters - _MARK_CHARACTERS] + "~" + hashlib.sha256(text.encode()).hexdigest()[:16]


class PlainText(TypeDecorator[str]):
    """VARCHAR(length), or TEXT without a length."""

    impl = String
    cache_ok = True

    def __init__(self, length: int | None = None) -> None:
        super().__init__(length)
        self.length = length

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[str]:
        collation = "C" if dialect.name == "postgresql" else None
        return Text(collation=collation) if self.length is None else String(self.length, collation)

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else storable(value)
