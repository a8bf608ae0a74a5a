"""Whether this host has the C libraries that labels make use of."""

from __future__ import annotations

from collectors.contract import Unsupported
from collectors.labels import unpacking
from collectors.labels.file_kind import has_libmagic


def check() -> None:
    """Raises Unsupported with what to install."""
    missing = []
    if not unpacking.has_libarchive():
        missing.append("7z, rar, cab, iso, cpio, ar and xar are not looked into: install libarchive13")
    if not has_libmagic():
        missing.append("kinds of files that Leaver does not read have no name: install libmagic1")
    if missing:
        raise Unsupported("; ".join(missing))
