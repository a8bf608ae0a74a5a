"""Streams for members of archives: bounded, counted, and read ahead by some kilobytes."""

from __future__ import annotations

import io
from typing import Final

from collectors.labels.budget import Budget, Unreadable
from collectors.labels.plain_text import Readable

WHOLE_BYTES_MAX: Final = 24 << 20
"""What has to be read whole (a document within an archive) may be so large."""


class Counted(io.RawIOBase):
    """What comes out of a member, with its first bytes given back."""

    def __init__(self, stream: Readable, budget: Budget, head_bytes: int) -> None:
        super().__init__()
        self._stream, self._budget = stream, budget
        self.head = self._ahead = self._read_up_to(head_bytes)

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        if self._ahead:
            data, self._ahead = self._ahead[:size], self._ahead[size:]
            return data
        return self._more(size)

    def whole(self) -> io.BytesIO:
        """All of it. Raises Unreadable where it is too large to be held."""
        data = self._read_up_to(WHOLE_BYTES_MAX + 1)
        if len(data) > WHOLE_BYTES_MAX:
            raise Unreadable("a document within an archive is too large")
        return io.BytesIO(data)

    def _more(self, size: int) -> bytes:
        data = self._stream.read(size)
        self._budget.unpacked(len(data))
        return data

    def _read_up_to(self, size: int) -> bytes:
        data = b""
        parts = []
        left = size
        if hasattr(self, "_ahead"):
            data, self._ahead = self._ahead, b""
            parts.append(data)
            left -= len(data)
        while left > 0 and (data := self._more(min(left, 1 << 20))):
            parts.append(data)
            left -= len(data)
        return b"".join(parts)
