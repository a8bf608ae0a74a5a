"""The extension of a file's name, as events have it. Pure."""

from __future__ import annotations

from typing import Final

from event_schema.printable import printable_name

_LONGEST: Final = 16


def extension_of(name: str) -> str | None:
    """In lower case, without its dot. None: the name has none, begins with its only dot, or has one so long
    that it is none."""
    stem, dot, last = name.rpartition(".")
    if not dot or not stem.strip(".") or not 0 < len(last) <= _LONGEST:
        return None
    return printable_name(last).lower()
