"""When what happened on which channel, counted in bounded memory: for the report's picture."""

from __future__ import annotations

import msgspec

BINS = 180
CHANNELS_MAX = 20
_SHORTEST_MS = 60 * 60 * 1000


class Bin(msgspec.Struct):
    events: int = 0
    bytes: int = 0


class Timeline:
    """first, last: ms UTC, of all events."""

    def __init__(self, first: int, last: int) -> None:
        middle = (first + last) // 2
        half = max(last - first, _SHORTEST_MS) / 2
        self.first, self.last = int(middle - half), int(middle + half) + 1
        self.channels: dict[str, list[Bin]] = {}
        self.events = 0
        self.earliest: int | None = None
        self.latest: int | None = None

    def add(self, time: int, channel: str, size: int) -> None:
        self.events += 1
        self.earliest = time if self.earliest is None else min(self.earliest, time)
        self.latest = time if self.latest is None else max(self.latest, time)
        if channel not in self.channels and len(self.channels) >= CHANNELS_MAX:
            return
        bins = self.channels.setdefault(channel, [Bin() for _ in range(BINS)])
        place = (time - self.first) * BINS // (self.last - self.first)
        found = bins[min(BINS - 1, max(0, place))]
        found.events += 1
        found.bytes += size
