"""File names as text: Linux names are bytes, JSON wants Unicode, and evidence must not be lost."""

from __future__ import annotations

import os


def printable_name(name: str | bytes) -> str:
    r"""The name as valid Unicode; a byte that is not UTF-8 shows as \xNN, control characters too.

    >>> printable_name(b"caf\xe9.txt")
    'caf\\xe9.txt'
    """
    try:
        raw = os.fsencode(name)
    except UnicodeEncodeError:
        # Lone surrogates that stand for no byte: no name of a file, but somebody's text may hold them.
        raw = name.encode("utf-8", "backslashreplace") if isinstance(name, str) else name
    text = raw.decode("utf-8", "backslashreplace")
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
