"""The kind of a file by its first bytes: what has a reader here; the MIME type of the rest is libmagic's."""

from __future__ import annotations

import re
from functools import cache
from typing import Any, Final

HEAD_BYTES: Final = 65_536
"""So much of a file decides what it is."""

_SIGNATURES: Final[tuple[tuple[int, bytes, str], ...]] = (
    (0, b"PK\x03\x04", "zip"),
    (0, b"PK\x05\x06", "zip"),
    (0, b"PK\x07\x08PK", "zip"),
    (0, b"\x1f\x8b\x08", "gz"),
    (0, b"BZh", "bz2"),
    (0, b"\xfd7zXZ\0", "xz"),
    (0, b"(\xb5/\xfd", "zst"),
    (0, b"7z\xbc\xaf'\x1c", "7z"),
    (0, b"Rar!\x1a\x07", "rar"),
    (0, b"MSCF\0\0\0\0", "cab"),
    (0, b"xar!", "xar"),
    (0, b"070701", "cpio"),
    (0, b"070707", "cpio"),
    (0, b"!<arch>\n", "ar"),
    (32769, b"CD001", "iso"),
    (257, b"ustar", "tar"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "cfb"),
    (0, b"LUKS\xba\xbe", "luks"),
    (3, b"-FVE-FS-", "bitlocker"),
    (0, b"Salted__", "openssl"),
    (0, b"age-encryption.org/v1\n", "age"),
    (0, b"-----BEGIN AGE ENCRYPTED FILE-----", "age"),
    (0, b"\x03\xd9\xa2\x9ag\xfbK\xb5", "keepass"),
    (0, b"\x03\xd9\xa2\x9ae\xfbK\xb5", "keepass"),
    (0, b"-----BEGIN PGP MESSAGE-----", "pgp"),
    (0, b"\x8c\x0d\x04", "pgp"),
    (0, b"$ANSIBLE_VAULT;", "ansible"),
)
_PGP_TO_KEY: Final = re.compile(rb"\x85[\x01-\x04].\x03", re.S)
CONTAINERS: Final = {
    "luks": "application/x-luks",
    "bitlocker": "application/x-bitlocker",
    "openssl": "application/x-openssl-encrypted",
    "age": "application/x-age-encryption",
    "keepass": "application/x-keepass2",
    "pgp": "application/pgp-encrypted",
    "ansible": "application/x-ansible-vault",
}
"""What is encrypted as a whole."""
MIME_TYPES: Final = {
    "zip": "application/zip",
    "gz": "application/gzip",
    "bz2": "application/x-bzip2",
    "xz": "application/x-xz",
    "zst": "application/zstd",
    "7z": "application/x-7z-compressed",
    "rar": "application/vnd.rar",
    "cab": "application/vnd.ms-cab-compressed",
    "xar": "application/x-xar",
    "cpio": "application/x-cpio",
    "ar": "application/x-archive",
    "iso": "application/x-iso9660-image",
    "tar": "application/x-tar",
    "pdf": "application/pdf",
    "cfb": "application/x-ole-storage",
    **CONTAINERS,
}


def kind_of(head: bytes) -> str | None:
    """A short name of the kind; None for all that has no reader of its own."""
    for at, signature, kind in _SIGNATURES:
        if head.startswith(signature, at):
            return kind
    if b"%PDF-" in head[:1024]:
        return "pdf"
    return "pgp" if _PGP_TO_KEY.match(head) else None


def mime_type_of(head: bytes) -> str:
    """What libmagic says, where this host has it."""
    magic = _magic()
    found: str = "application/octet-stream" if magic is None else magic.from_buffer(head)
    return found


def has_libmagic() -> bool:
    """Whether the C library is there."""
    return _magic() is not None


@cache
def _magic() -> Any:
    try:
        import magic  # noqa: PLC0415 - it fails without the C library

        return magic.Magic(mime=True)
    except (ImportError, OSError):
        return None
    except Exception as error:
        if type(error).__name__ != "MagicException":
            raise
        return None


def looks_random(sample: bytes) -> bool:
    """Whether all bytes occur as often as chance has it (chi-square, 255 degrees, p about .001 to .999).

    Compressed data comes near, but seldom so near; so this says "possibly encrypted" and no more.
    """
    if len(sample) < 16_384:
        return False
    expected = len(sample) / 256
    distance = sum((sample.count(value) - expected) ** 2 for value in range(256)) / expected
    return 190 < distance < 330
