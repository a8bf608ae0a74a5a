"""How much goes out at once: less where the far side says "too large", until it is clear which event is.

A broker's or a proxy's limit may lie below the wire format's. Portions are halved until they pass, and
grow again after. An event that is refused alone is tried a few times more, slowly, in case the limit is
raised; then it is hopeless, and must not hold up all that come after it.
"""

from __future__ import annotations

from event_schema.wire import RECORDS_PER_REQUEST_MAX

PORTION_ITEMS = RECORDS_PER_REQUEST_MAX
"""So that they fit one call even if each makes a record of its own (events and losses in turn)."""
TRIES_ALONE = 3


class Portion:
    def __init__(self, most: int = PORTION_ITEMS, *, tries_alone: int = TRIES_ALONE) -> None:
        self._most, self._tries_alone = most, tries_alone
        self._refused_alone = 0
        self.items = most

    def cut(self, sent: int) -> bool:
        """`sent` items were too large. Whether to try at once with fewer; False where it was a single one."""
        if sent > 1:
            self.items = sent // 2
            return True
        self._refused_alone += 1
        return False

    def is_hopeless(self) -> bool:
        """Whether the one item was refused alone often enough. Asked so, it starts counting anew: where the
        item can be neither sent nor given up, it is tried as often again."""
        hopeless = self._refused_alone >= self._tries_alone
        if hopeless:
            self._refused_alone = 0
        return hopeless

    def went(self) -> None:
        self.items = min(self._most, self.items * 2)
        self._refused_alone = 0
