"""The envelope of everything that analytics stores: kind, version, content, digest.

    8 bytes kind | u16 version (little-endian) | content | SHA-256 of all before

Reading refuses another kind, another version, and bytes of which a single bit changed.
"""

from __future__ import annotations

import hashlib
import struct
from typing import Final

SEALED_BYTES_MAX: Final = 512 * 1024 * 1024
_HEAD: Final = struct.Struct("<8sH")
_DIGEST_BYTES: Final = 32


class StoredStateError(ValueError):
    """Stored bytes that cannot be used; the message says why, and what to do."""


def seal(kind: bytes, version: int, content: bytes) -> bytes:
    sealed = _HEAD.pack(kind, version) + content
    return sealed + hashlib.sha256(sealed).digest()


def unseal(data: bytes, kind: bytes, version: int, what: str) -> memoryview:
    """The content. `what` names it in messages. Raises StoredStateError."""
    if len(data) > SEALED_BYTES_MAX:
        raise StoredStateError(f"{what}: {len(data)} bytes are more than {SEALED_BYTES_MAX}")
    if len(data) < _HEAD.size + _DIGEST_BYTES or data[:8] != kind:
        raise StoredStateError(f"{what}: these bytes are something else")
    _, found = _HEAD.unpack_from(data)
    if found != version:
        raise StoredStateError(f"{what} has version {found}, this program reads {version}; train it again")
    view = memoryview(data)
    if hashlib.sha256(view[:-_DIGEST_BYTES]).digest() != data[-_DIGEST_BYTES:]:
        raise StoredStateError(f"{what} is damaged: its digest does not fit; train it again")
    return view[_HEAD.size : -_DIGEST_BYTES]
