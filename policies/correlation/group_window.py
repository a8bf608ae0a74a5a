"""The events of one group of one correlation, by time, and which of them completed its condition.

Windows slide and are inclusive: an event at t is judged with all events of [t - timespan, t] that come
before it in the order (time, event), and itself. An event that arrives late takes its place among the others,
and those after it are judged again: what fires does not depend on the order of arrival. What fired stays
fired, also where a late event would have kept it from firing ("fewer than", "not").
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator
from typing import Any, Protocol

import msgspec

from policies.correlation.aggregates import Aggregate, Values, new_aggregate
from policies.correlation.definition import Correlation, Number
from policies.correlation.event_spans import EventId


class Entry(msgspec.Struct, array_like=True, gc=False):
    """One event's share. `carried`: values of the correlation's carried fields. `day`, `note`: as they were
    given. `late`: it fired when events after it had been judged before."""

    time: int
    event: EventId
    mask: int
    values: Values
    carried: tuple[Any, ...]
    fired: bool = False
    day: int = 0
    note: Any = None
    late: bool = False


class Fired(msgspec.Struct, frozen=True):
    """`late`: events after it had been judged before. `time`, `day`: what it is an alert of; `count` events
    from `begun` on: of a window of whole days all that the day has."""

    entry: Entry
    value: Number
    late: bool
    time: int
    day: int
    begun: int
    count: int


class KeptDay(msgspec.Struct, array_like=True, frozen=True):
    """One day of a window of whole days (day_window.py). `total`: a fraction, as text."""

    day: int
    events: int
    first: int
    last: int
    fired: bool
    total: str
    number: int
    values: list[bytes]
    spans: dict[str, list[int]] = {}
    """Its events: EventSpans.kept."""
    late: bool = False
    untold: bool = False
    """It had events before `spans` were kept."""


class Kept(msgspec.Struct, array_like=True, frozen=True):
    """A group's state. `entries` by (time, event), or `days` of a window of whole days."""

    complete_from: int | None
    quiet_until: int | None
    entries: list[Entry]
    days: list[KeptDay] = []


class Window(Protocol):
    """One group of one correlation. `size`: of its state."""

    quiet_until: int | None

    @property
    def size(self) -> int: ...
    @property
    def newest(self) -> int | None:
        """Time (ms) of the newest event."""
        ...

    @property
    def newest_day(self) -> int | None: ...
    @property
    def oldest_day(self) -> int | None: ...
    def take(self, entry: Entry, keep: int) -> list[Fired] | None:
        """What fires now. Lets go of what is `keep` ms older than the newest window; None: it is so old."""
        ...

    def trim(self, most: int) -> int:
        """Lets go of the oldest where there are more than so many; how many went."""
        ...

    def drop_before_day(self, oldest: int) -> int:
        """Forgets the events of older days; how many entries of the state that were."""
        ...

    def kept(self) -> Kept: ...
    def restore(self, kept: Kept) -> None: ...


class GroupWindow:
    """`entries` by (time, event). `complete_from`: from this time (ms) on nothing was dropped."""

    __slots__ = (
        *("_aggregate", "_begin", "_correlation", "_missing", "_timespan"),
        *("complete_from", "entries", "quiet_until", "times"),
    )

    def __init__(self, correlation: Correlation) -> None:
        self._correlation = correlation
        self.entries: list[Entry] = []
        self.times: list[int] = []
        self.complete_from: int | None = None
        self.quiet_until: int | None = None
        self._aggregate: Aggregate = new_aggregate(correlation)
        self._begin = 0
        """Of the window that ends with the last entry."""
        self._missing = correlation.needed_mask
        """Sources that were not seen yet, and without which nothing can fire: as long as there are some,
        events are only kept, and the aggregate is empty."""
        self._timespan = correlation.timespan

    @property
    def size(self) -> int:
        return len(self.entries)

    @property
    def newest(self) -> int | None:
        return self.times[-1] if self.times else None

    @property
    def newest_day(self) -> int | None:
        return max((entry.day for entry in self.entries), default=None)

    @property
    def oldest_day(self) -> int | None:
        return min((entry.day for entry in self.entries), default=None)

    def kept(self) -> Kept:
        return Kept(self.complete_from, self.quiet_until, self.entries)

    def restore(self, kept: Kept) -> None:
        self.complete_from, self.quiet_until = kept.complete_from, kept.quiet_until
        self.entries = kept.entries
        self.times = [entry.time for entry in kept.entries]
        self._rebuild()

    def trim(self, most: int) -> int:
        if len(self.entries) <= most:
            return 0
        # A quarter at once: what is left is added up anew.
        count = 1 + most // 4
        kept = self._rare(most) if self._correlation.kind.startswith("temporal") else frozenset[int]()
        if not kept:
            return self.drop_first(count)
        going = set([at for at in range(len(self.entries)) if at not in kept][:count])
        last = max(self.times[at] for at in going) + 1
        self.complete_from = max(last, self.complete_from or last)
        self._keep([entry for at, entry in enumerate(self.entries) if at not in going])
        return len(going)

    def _rare(self, most: int) -> frozenset[int]:
        """The newest events of each rule: many copies do not push out the export before them."""
        sources = len(self._correlation.sources)
        each = most // (4 * sources)
        found: set[int] = set()
        for at in range(sources):
            own = [index for index, entry in enumerate(self.entries) if entry.mask >> at & 1]
            found.update(own[len(own) - each :] if each else ())
        return frozenset(found)

    def _keep(self, left: list[Entry]) -> None:
        self.entries = left
        self.times = [entry.time for entry in left]
        self._rebuild()

    def drop_before_day(self, oldest: int) -> int:
        left = [entry for entry in self.entries if entry.day >= oldest]
        dropped = len(self.entries) - len(left)
        if dropped:
            last = max(entry.time for entry in self.entries if entry.day < oldest)
            self.complete_from = max(last + 1, self.complete_from or last + 1)
            self._keep(left)
        return dropped

    def take(self, entry: Entry, keep: int) -> list[Fired] | None:
        """An event that is here already adds no more than sources it was not seen with."""
        times = self.times
        if not times:
            return self._append(entry)
        reach = self._timespan + keep
        if entry.time < times[-1] - reach:
            return None
        fired = self._insert(entry)
        if times[0] < times[-1] - reach:
            self.drop_before(times[-1] - reach)
        return fired

    def _insert(self, entry: Entry) -> list[Fired]:
        if entry.time > self.times[-1] or _key(entry) > _key(self.entries[-1]):
            return self._append(entry)
        at = bisect.bisect_left(self.entries, _key(entry), key=_key)
        if at < len(self.entries) and _key(self.entries[at]) == _key(entry):
            known = self.entries[at]
            if known.mask | entry.mask == known.mask:
                return []
            known.mask |= entry.mask
        else:
            self.entries.insert(at, entry)
            self.times.insert(at, entry.time)
        self._missing &= ~entry.mask
        if self._missing:
            return []
        fired = list(self._judge_again(at))
        self._rebuild()
        return fired

    def drop_before(self, time: int) -> int:
        """Forgets what is older, some time after it is; how many it forgot."""
        count = bisect.bisect_left(self.times, time)
        if count * 2 < len(self.times) and count < 256:
            return 0
        return self.drop_first(count)

    def drop_first(self, count: int) -> int:
        if not count:
            return 0
        self.complete_from = self.times[count - 1] + 1
        del self.entries[:count], self.times[:count]
        if self._missing:
            return count
        if count > self._begin:
            self._rebuild()
        else:
            self._begin -= count
        return count

    def begin_of(self, at: int) -> int:
        """Of the window with which entry number `at` is judged, itself the last."""
        return bisect.bisect_left(self.times, self.times[at] - self._correlation.timespan)

    def _append(self, entry: Entry) -> list[Fired]:
        self.entries.append(entry)
        self.times.append(entry.time)
        if self._missing:
            self._missing &= ~entry.mask
            if self._missing:
                return []
            self._rebuild()
        else:
            self._add(entry)
        fired = self._judge(entry, self._aggregate, late=False)
        return [] if fired is None else [fired]

    def _add(self, entry: Entry) -> None:
        """The last one."""
        aggregate, times = self._aggregate, self.times
        aggregate.add(entry.time, entry.mask, entry.values)
        start = entry.time - self._timespan
        begin = self._begin
        while times[begin] < start:
            out = self.entries[begin]
            aggregate.remove(out.mask, out.values)
            begin += 1
        self._begin = begin

    def _judge(self, entry: Entry, aggregate: Aggregate, *, late: bool) -> Fired | None:
        start = entry.time - self._correlation.timespan
        if entry.fired:
            return None
        if self.complete_from is not None and start < self.complete_from and not self._correlation.only_grows:
            return None
        value = aggregate.value(start)
        if value is None or not self._correlation.holds(value, aggregate.seen):
            return None
        entry.fired, entry.late = True, late
        return Fired(entry, value, late, entry.time, entry.day, entry.time, 1)

    def _judge_again(self, at: int) -> Iterator[Fired]:
        """Entries from `at` on, as far as the entry there reaches."""
        span = self._correlation.timespan
        time = self.times[at]
        aggregate = new_aggregate(self._correlation)
        begin = end = bisect.bisect_left(self.times, time - span)
        while end < len(self.entries) and self.times[end] <= time + span:
            entry = self.entries[end]
            aggregate.add(entry.time, entry.mask, entry.values)
            while self.times[begin] < entry.time - span:
                aggregate.remove(self.entries[begin].mask, self.entries[begin].values)
                begin += 1
            if end >= at:
                fired = self._judge(entry, aggregate, late=True)
                if fired is not None:
                    yield fired
            end += 1

    def _rebuild(self) -> None:
        self._aggregate = new_aggregate(self._correlation)
        self._begin = len(self.entries)
        for entry in self.entries if self._missing else ():
            self._missing &= ~entry.mask
        if not self.entries or self._missing:
            return
        self._begin = bisect.bisect_left(self.times, self.times[-1] - self._correlation.timespan)
        for entry in self.entries[self._begin :]:
            self._aggregate.add(entry.time, entry.mask, entry.values)


def _key(entry: Entry) -> tuple[int, EventId]:
    return entry.time, entry.event
