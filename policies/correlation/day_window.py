"""One group of a correlation whose window is whole days: a few numbers a day instead of its events.

For windows of a week or four, which many small acts fill (`leaver: {window: days}` beside `correlation`).
A window of N days ends with the event's day, and holds that day and the N - 1 before it, whole; the days are
those that the caller gives with the events (on the server the person's own), else UTC's. What completes a
condition is a day: when its window fulfils the condition for the first time, whichever event of the window
brought that about, the day fires with all of its events so far, and after that with each further one. An
event that comes late is added to its day, and all days whose window holds it are judged again. So for
conditions that only grow (gt, gte of counts; of sums of what is not negative) the days that fire, and with
how many events, are the same in every order of arrival.

Counts, sums and averages are exact. Different values are kept as digests of 64 bits, a day at most more than
the condition asks for: so it is judged as if all were there, and the value that is told is "at least".
"""

from __future__ import annotations

import hashlib
from fractions import Fraction
from typing import Any, Final, NamedTuple

import msgspec

from policies.correlation.aggregates import exact
from policies.correlation.definition import Correlation, Number
from policies.correlation.event_spans import EventSpans
from policies.correlation.group_window import Entry, Fired, Kept, KeptDay

DAY_MS: Final = 86_400_000
VALUES_A_DAY: Final = 1_000
"""At least, and more than the condition's bound."""


class _Day(msgspec.Struct, gc=False):
    """`first`, `last`: times of its events. `number`: of the values that `total` adds up. `late`: a later day
    had been judged before it fired. `untold`: not all of its events are in `spans`."""

    events: int = 0
    first: int = 1 << 62
    last: int = -(1 << 62)
    fired: bool = False
    total: int | Fraction = 0
    number: int = 0
    values: set[bytes] | None = None
    spans: EventSpans = msgspec.field(default_factory=EventSpans)
    late: bool = False
    untold: bool = False

    @property
    def size(self) -> int:
        return 1 + (len(self.values) // 8 if self.values else 0) + self.spans.count // 8


class WindowOfDays(NamedTuple):
    """`days`: first and last time and events of each. `late`: it came late. `untold`: `days` lack events."""

    days: list[tuple[int, int, EventSpans]]
    late: bool
    untold: bool


class DayWindow:
    """`complete_from`: from this day on nothing was dropped. Which events a day had is kept as ranges."""

    __slots__ = (
        *("_correlation", "_days", "_most", "_newest", "_running", "_union"),
        *("complete_from", "quiet_until", "size"),
    )

    def __init__(self, correlation: Correlation) -> None:
        self._correlation = correlation
        self._days: dict[int, _Day] = {}
        self._newest: int | None = None
        self._running: _Day | None = None
        """Events, total and number of the window that ends with the newest day; None: to be made again."""
        self._union: set[bytes] | None = None
        """Different values of the window that ends with the newest day; None: to be made again."""
        self._most = VALUES_A_DAY
        if correlation.kind == "value_count":
            self._most = max(VALUES_A_DAY, int(correlation.bound) + 2)
        self.complete_from: int | None = None
        self.quiet_until: int | None = None
        self.size = 0
        """Of its state, in days and in eighths of values and of ranges of events."""

    @property
    def newest(self) -> int | None:
        """ms."""
        return None if self._newest is None else self._days[self._newest].last

    @property
    def newest_day(self) -> int | None:
        return self._newest

    @property
    def oldest_day(self) -> int | None:
        return min(self._days, default=None)

    def take(self, entry: Entry, keep: int) -> list[Fired] | None:
        """It cannot know an event again: each is to be given once."""
        newest = self._newest
        if entry.day == newest:
            day = self._days[entry.day]
            self._note(day, entry)
            self._add(day, entry)
            return self._judge(entry, entry.day, day)
        if newest is not None and entry.day < newest and entry.day < self._oldest_kept(keep):
            return None
        return self._take_other(entry, keep)

    def _take_other(self, entry: Entry, keep: int) -> list[Fired]:
        """Of a day that is not the newest by now."""
        day = self._days.get(entry.day)
        if day is None:
            day = self._days[entry.day] = _Day()
            self.size += 1
            if self._newest is None or entry.day > self._newest:
                self._newest = entry.day
                self._running = self._union = None
                self.drop_before_day(self._oldest_kept(keep))
        self._note(day, entry)
        self._add(day, entry)
        if entry.day == self._newest:
            return self._judge(entry, entry.day, day)
        last = entry.day + self._correlation.days
        later = sorted(number for number in self._days if entry.day <= number < last)
        return [fired for number in later for fired in self._judge(entry, number, self._days[number])]

    def _note(self, day: _Day, entry: Entry) -> None:
        day.events += 1
        time = entry.time
        if not day.first <= time <= day.last:
            day.first, day.last = min(day.first, time), max(day.last, time)
        spans = day.spans
        before = spans.count
        spans.add(entry.event)
        if spans.count != before:
            self.size += spans.count // 8 - before // 8

    def _add(self, day: _Day, entry: Entry) -> None:
        kind = self._correlation.kind
        if kind == "value_count":
            day.values = set() if day.values is None else day.values
            for value in entry.values:
                digest = _digest(value)
                if digest not in day.values and len(day.values) < self._most:
                    day.values.add(digest)
                    self.size += len(day.values) % 8 == 0
                    if (
                        self._union is not None
                        and entry.day > self._newest_or_first() - self._correlation.days
                    ):
                        self._union.add(digest)
            return
        running = self._running
        if running is not None and entry.day <= self._newest_or_first() - self._correlation.days:
            running = None
        if kind != "event_count":
            values = entry.values
            single = len(values) == 1 and values[0].__class__ is int
            total = values[0] if single else sum(map(exact, values))
            day.total += total
            day.number += len(values)
            if running is not None:
                running.total += total
                running.number += len(values)
        if running is not None:
            running.events += 1

    def _newest_or_first(self) -> int:
        return 0 if self._newest is None else self._newest

    def _judge(self, entry: Entry, number: int, day: _Day) -> list[Fired]:
        correlation = self._correlation
        own = number == entry.day
        if day.fired and not own:
            return []
        begin = number - correlation.days + 1
        if self.complete_from is not None and begin < self.complete_from and not correlation.only_grows:
            return []
        value = self._value(number)
        if not day.fired and (value is None or not correlation.holds(value, 0)):
            return []
        value = 0 if value is None else value
        late = number != self._newest
        if day.fired:
            return [Fired(entry, value, late, entry.time, number, entry.time, 1)]
        day.fired, day.late = True, late
        return [Fired(entry, value, late, day.last, number, day.first, day.events)]

    def _value(self, number: int) -> Number | None:
        """Of the window that ends with the day."""
        kind = self._correlation.kind
        begin = number - self._correlation.days + 1
        if kind == "value_count" and number == self._newest and self._union is not None:
            return len(self._union)
        running = self._running if number == self._newest else None
        if running is None:
            window = [day for at, day in self._days.items() if begin <= at <= number]
            if kind == "value_count":
                union: set[bytes] = set().union(*(day.values for day in window if day.values))
                if number == self._newest:
                    self._union = union
                return len(union)
            running = _Day(
                events=sum(day.events for day in window),
                total=sum((day.total for day in window), start=0),
                number=sum(day.number for day in window),
            )
            if number == self._newest:
                self._running = running
        if kind == "event_count":
            return running.events
        if kind == "value_sum":
            return running.total
        return Fraction(running.total, running.number) if running.number else None

    def _oldest_kept(self, keep: int) -> int:
        return self._newest_or_first() - self._correlation.days + 1 - keep // DAY_MS

    def window_of(self, number: int) -> WindowOfDays | None:
        """Of a day that fired; None: it did not."""
        day = self._days.get(number)
        if day is None or not day.fired:
            return None
        begin = number - self._correlation.days + 1
        window = [each for at, each in sorted(self._days.items()) if begin <= at <= number]
        days = [(each.first, each.last, each.spans) for each in window]
        return WindowOfDays(days, day.late, any(each.untold for each in window))

    def trim(self, most: int) -> int:
        """Its days are bound enough."""
        return 0

    def drop_before_day(self, oldest: int) -> int:
        old = [number for number in self._days if number < oldest]
        for number in old:
            self.size -= self._days.pop(number).size
        if old:
            self.complete_from = max(oldest, self.complete_from or oldest)
            self._running = self._union = None
            self._newest = max(self._days, default=None)
        return len(old)

    def kept(self) -> Kept:
        days = [
            KeptDay(
                number,
                day.events,
                day.first,
                day.last,
                day.fired,
                str(day.total),
                day.number,
                sorted(day.values or ()),
                day.spans.kept(),
                day.late,
                day.untold,
            )
            for number, day in sorted(self._days.items())
        ]
        return Kept(self.complete_from, self.quiet_until, [], days)

    def restore(self, kept: Kept) -> None:
        self.complete_from, self.quiet_until = kept.complete_from, kept.quiet_until
        for each in kept.days:
            self._days[each.day] = _Day(
                each.events,
                each.first,
                each.last,
                each.fired,
                exact(Fraction(each.total)),
                each.number,
                set(each.values) or None,
                EventSpans(each.spans),
                each.late,
                each.untold or (each.events > 0 and not each.spans),
            )
        self._newest = max(self._days, default=None)
        self.size = sum(day.size for day in self._days.values())


def _digest(value: Any) -> bytes:
    return hashlib.blake2b(str(value).encode("utf-8", "surrogatepass"), digest_size=8).digest()
