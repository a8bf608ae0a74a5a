"""The lines of one header block, as far as they are looked at: the others, of any number and size, pass by.

So nothing that a sender puts in front hides what stands behind it: neither many headers nor lines that are
none. Subjects are among those that are never kept.
"""

from __future__ import annotations

from typing import Final

_ADDRESSES: Final = (b"from", b"to", b"cc", b"bcc", b"resent-to", b"resent-cc", b"return-path")
_PART: Final = (b"content-type", b"content-disposition", b"content-transfer-encoding")
WANTED: Final = frozenset((*_ADDRESSES, *_PART, b"message-id", b"received"))
_RECEIVED_MAX: Final = 10
"""Our own server's is the first; a sender can add others below it."""
_ONE_MAX: Final = 101 << 10
"""Of one header; Postfix itself cuts one at 100 KiB (header_size_limit)."""
_ONE_OF_A_PART_MAX: Final = 4 << 10
"""A name of 255 Chinese characters takes 2 KiB. Python reads parameters in the square of their length."""


class HeaderBlock:
    """Keeps `most` bytes. Lines may come in pieces."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lines: list[bytes] = []
        self._size = self._of_this = self._received = 0
        self._one_max = _ONE_MAX
        self._is_wanted = self._ends_line = True
        self.is_cut = False
        """Whether something that is wanted was left out."""

    def add(self, piece: bytes) -> None:
        begins, self._ends_line = self._ends_line, piece.endswith(b"\n")
        if begins and piece[:1] not in (b" ", b"\t"):
            name, colon, _ = piece.partition(b":")
            name = name.strip().lower()
            self._of_this, self._one_max = 0, _ONE_OF_A_PART_MAX if name in _PART else _ONE_MAX
            self._received += name == b"received"
            too_many = name == b"received" and self._received > _RECEIVED_MAX
            self._is_wanted = bool(colon) and name in WANTED and not too_many
        if not self._is_wanted:
            return
        room = max(0, min(self._most - self._size, self._one_max - self._of_this))
        self.is_cut = self.is_cut or len(piece) > room
        piece = piece[:room]
        if begins and self._lines and not self._lines[-1].endswith(b"\n"):
            # What was cut before ended without one.
            self._lines.append(b"\n")
        if piece:
            self._lines.append(piece)
            self._size += len(piece)
            self._of_this += len(piece)

    def content(self) -> bytes:
        return b"".join(self._lines)
