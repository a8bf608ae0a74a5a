"""Which sequence numbers of one (agent, epoch) are accounted for, as ranges.

Text form, as stored: "0-41,50-99", rising, not touching; empty for none. A number counts when its event
was stored, set aside as a dead letter, or covered by a loss record; what lies between ranges is a gap.
"""

from __future__ import annotations

import bisect

RANGES_MAX = 1000
"""More ranges than this are joined from the left: the oldest gaps count as lost for good."""


class SeenNumbers:
    """Mutable; `str()` gives the text form."""

    def __init__(self, text: str = "") -> None:
        self._ranges: list[tuple[int, int]] = []
        for part in text.split(",") if text else ():
            first, _, last = part.partition("-")
            self._ranges.append((int(first), int(last)))

    def __str__(self) -> str:
        return ",".join(f"{first}-{last}" for first, last in self._ranges)

    def add(self, first: int, last: int) -> list[tuple[int, int]]:
        """Accounts for first…last. Returns the parts of it that are new, rising."""
        start = bisect.bisect_left(self._ranges, first, key=lambda r: r[1] + 1)
        end = start
        new: list[tuple[int, int]] = []
        wanted = first
        low, high = first, last
        while end < len(self._ranges) and self._ranges[end][0] <= last + 1:
            known_first, known_last = self._ranges[end]
            if wanted < known_first:
                new.append((wanted, min(last, known_first - 1)))
            wanted = max(wanted, known_last + 1)
            low, high = min(low, known_first), max(high, known_last)
            end += 1
        if wanted <= last:
            new.append((wanted, last))
        self._ranges[start:end] = [(low, high)]
        if len(self._ranges) > RANGES_MAX:
            self._ranges[:2] = [(self._ranges[0][0], self._ranges[1][1])]
        return new

    def highest(self) -> int:
        """The highest number accounted for; -1: none yet."""
        return self._ranges[-1][1] if self._ranges else -1

    def gaps(self) -> list[tuple[int, int]]:
        """Numbers below the highest one that are not accounted for. Numbering starts at 0."""
        found = []
        expected = 0
        for first, last in self._ranges:
            if first > expected:
                found.append((expected, first - 1))
            expected = last + 1
        return found
