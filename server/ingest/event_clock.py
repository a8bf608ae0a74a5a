"""Event time: the agent's clock, corrected by what its heartbeats show. Milliseconds UTC.

A heartbeat is sent live, so the log's receive time minus `sent_at` is the clock's error plus the way.
Differences that the way can explain are left alone. A heartbeat that was held back, or sent again, looks
like a clock that was set back; so the smallest difference counts, and a larger one only when for DOUBT_MS
no smaller one was heard. Where the agent itself says that its clock was set, the new difference holds at
once, and events from before that step are corrected by what held before.
"""

from __future__ import annotations

from typing import Final

import msgspec

CLOCK_TRUSTED_MS: Final = 120_000
"""A smaller difference counts as none: a broker that was away holds a heartbeat back for so long."""
DOUBT_MS: Final = 120_000
"""What was held back comes in a rush; a clock that was set back is still so after this time."""
FUTURE_ALLOWED_MS: Final = 10 * 60_000
"""An event later than its receive time by more than this, after correction, is future-dated."""


class AgentClock(msgspec.Struct, frozen=True):
    """What the heartbeats so far tell. `offset`: milliseconds to add to the agent's times. `sent_at`: of the
    newest heartbeat, None before the first. `doubted_since`, `doubted`: where the last ones came later than
    the offset explains, when the first of these was received, and the smallest difference among them.
    `steps`: (number of the first event after it, by how many ms the clock was set), rising, from the newest
    heartbeat."""

    offset: int = 0
    sent_at: int | None = None
    doubted_since: int | None = None
    doubted: int | None = None
    steps: tuple[tuple[int, int], ...] = ()

    def heard(self, sent_at: int, received_at: int, steps: tuple[tuple[int, int], ...] = ()) -> AgentClock:
        """With one more heartbeat, in the order of the log. Its `sent_at` is the heartbeat's where that is
        the newest; the first one's difference is taken as it is."""
        difference = received_at - sent_at
        if self.sent_at is None or (steps and steps[-1] not in self.steps):
            return AgentClock(_trusted(difference), sent_at, steps=steps)
        if steps and steps[-1] in self.steps[:-1]:
            # From before the last step, sent again.
            return self
        if sent_at < self.sent_at:
            steps = self.steps
        if difference <= self.offset + CLOCK_TRUSTED_MS:
            offset = min(self.offset, _trusted(difference))
            return AgentClock(offset, max(self.sent_at, sent_at), steps=steps)
        since = received_at if self.doubted_since is None else min(self.doubted_since, received_at)
        smallest = difference if self.doubted is None else min(self.doubted, difference)
        if received_at - since >= DOUBT_MS:
            return AgentClock(_trusted(smallest), sent_at, steps=steps)
        return AgentClock(self.offset, max(self.sent_at, sent_at), since, smallest, steps)

    def overheard(self, sent_at: int) -> AgentClock:
        """The same offset, whatever the heartbeat says."""
        newest = sent_at if self.sent_at is None else max(self.sent_at, sent_at)
        return msgspec.structs.replace(self, sent_at=newest)

    def corrected(self, time: int, received_at: int, seq: int | None = None) -> int:
        """An event's time. A correction that would put it after its receipt is too large for it. `seq`: its
        number in the spool that the heartbeats speak of."""
        offset = self.offset
        if not offset and not self.steps:
            # As with nearly all.
            return max(0, time)
        later = [change for first, change in self.steps if seq is not None and seq < first]
        if later:
            offset = _trusted(offset + sum(later))
        found = max(0, time + offset)
        if offset > 0 and is_future_dated(found, received_at):
            return max(time, received_at)
        return found


def _trusted(difference: int) -> int:
    return 0 if abs(difference) <= CLOCK_TRUSTED_MS else difference


def is_future_dated(time: int, received_at: int) -> bool:
    """`time` corrected."""
    return time > received_at + FUTURE_ALLOWED_MS
