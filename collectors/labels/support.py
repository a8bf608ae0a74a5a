"""Whether this host has the C libraries that labels make use of."""

from __future__ import annotations

from collectors.contract import Unsupported
from collectors.install_command import install_command
from collectors.labels import unpacking
from collectors.labels.file_kind import has_libmagic


def check() -> None:
    """Raises Unsupported with what to install."""
    missing, debian, fedora = [], [], []
    if not unpacking.has_libarchive():
        missing.append("7z, rar, cab, iso, cpio, ar and xar are not looked into: libarchive is missing")
        debian.append("libarchive13")
        fedora.append("libarchive")
    if not has_libmagic():
        missing.append("kinds of files that Leaver does not read have no name: libmagic is missing")
        debian.append("libmagic1")
        fedora.append("file-libs")
    if missing:
        raise Unsupported("; ".join(missing), install_command(" ".join(debian), " ".join(fedora)))
