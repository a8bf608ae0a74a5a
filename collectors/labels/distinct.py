"""Different values, counted without keeping them: only hashes stay, in the reading process, for one file."""

from __future__ import annotations

from typing import Final

_MOST: Final = 200_000


class Distinct:
    """Exact up to 200,000; what comes beyond is counted each time."""

    def __init__(self) -> None:
        self._hashes: set[int] = set()
        self._beyond = 0

    def add(self, value: str) -> None:
        if len(self._hashes) < _MOST:
            self._hashes.add(hash(value))
        elif hash(value) not in self._hashes:
            self._beyond += 1

    def __len__(self) -> int:
        return len(self._hashes) + self._beyond
