"""Where a log's earlier lines are after it was rotated: NAME.1, NAME-20261122, NAME.1.gz, STEM-1.SUFFIX …

Only names that are the log's own with a number or date, `.old` or `.bak`, and how it was compressed: beside
/var/log/mail there may be /var/log/mail.err, and beside access.log a copy that somebody made.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import msgspec

from collectors.log_lines import BEGINNING_BYTES, PACKED, UNREADABLE, Cursor, LineReader

OLDER_MAX: Final = 100
"""So many of them are looked at, the newest."""
_NUMBER: Final = re.compile(r"[.\-_]\d[\d.\-_:T]*")
_KEPT: Final = frozenset({".old", ".bak"})


class OlderFile(msgspec.Struct, frozen=True):
    """Read it from `offset` on."""

    path: Path
    offset: int


class _Found(msgspec.Struct, frozen=True):
    modified_ns: int
    path: Path
    inode: int
    beginning: bytes


def older_files(path: Path, cursor: Cursor, *, but_not: int | None) -> list[OlderFile]:
    """The file beside `path` that the cursor is of, and those that were written after it, oldest first. Empty
    where the first cannot be found. but_not: inode of the current file."""
    found = _distinct([each for each in _rotated(path) if each.inode != but_not])
    own = [
        each
        for each in found
        if cursor.is_how(each.beginning) and (cursor.length or each.inode == cursor.inode)
    ]
    if not own:
        return []
    first = max(own, key=lambda each: (each.inode == cursor.inode, each.modified_ns))
    later = [each for each in found if each.modified_ns > first.modified_ns]
    return [OlderFile(first.path, cursor.offset), *(OlderFile(each.path, 0) for each in later)]


def is_rotated_name(name: str, log: str) -> bool:
    """Whether a file of this name is an earlier part of the log.

    >>> is_rotated_name("mail.1.gz", "mail"), is_rotated_name("mail.err", "mail")
    (True, False)
    """
    end = Path(name).suffix
    plain = name.removesuffix(end) if end in PACKED else name
    if plain == log:
        return end in PACKED
    if plain.startswith(log):
        rest = plain[len(log) :]
        return rest in _KEPT or _NUMBER.fullmatch(rest) is not None
    stem, suffix = Path(log).stem, Path(log).suffix
    if not suffix or not plain.startswith(stem) or not plain.endswith(suffix):
        return False
    return _NUMBER.fullmatch(plain[len(stem) : len(plain) - len(suffix)]) is not None


def _rotated(path: Path) -> list[_Found]:
    """Oldest first. What cannot be read is left out."""
    dated: list[tuple[int, Path]] = []
    try:
        beside = [each for each in path.parent.iterdir() if is_rotated_name(each.name, path.name)]
    except OSError:
        return []
    for each in beside:
        try:
            dated.append((each.stat().st_mtime_ns, each))
        except OSError:
            continue
    found = []
    for modified_ns, each in sorted(dated)[-OLDER_MAX:]:
        try:
            reader = LineReader(each, line_bytes_max=1, cut_long=False)
        except UNREADABLE:
            continue
        found.append(_Found(modified_ns, each, reader.inode, reader.beginning))
        reader.close()
    return found


def _distinct(found: list[_Found]) -> list[_Found]:
    """While a file is being compressed it is there twice."""
    plain = {each.beginning for each in found if each.path.suffix not in PACKED}
    return [
        each
        for each in found
        if each.path.suffix not in PACKED
        or len(each.beginning) < BEGINNING_BYTES
        or each.beginning not in plain
    ]
