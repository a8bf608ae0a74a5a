"""Runs correlations over the hits of rules, event by event, within bounds that are counted.

Events may come in any order. With an allowed lateness they wait in a buffer until the newest event is that
much younger, and are judged in order of time; what comes later than that, and everything if nothing is
allowed, takes its place in its group and has the events after it judged again (see group_window.py).
Nothing is lost silently: what a bound drops is in `counts`, and bounds can only make fewer alerts.

A correlation may count another's alerts; these carry the group and the time of the event that completed it.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from policies.correlation.day_window import DAY_MS, DayWindow
from policies.correlation.definition import Correlation, Number
from policies.correlation.event_spans import EventId
from policies.correlation.group_window import Entry, Fired, GroupWindow, Kept, Window
from policies.correlation.plan import CorrelationPlan
from policies.correlation.source_values import bounded_value, group_keys, values_of

GroupKey = tuple[str | None, ...]
_ONE_GROUP: Final[list[GroupKey]] = [()]


class Limits(msgspec.Struct, frozen=True):
    """`lateness`: ms that a younger event may come before an older one, and both are judged in order.
    `keep`: ms that events are kept beyond their window, for those that come later still."""

    lateness: int = 0
    keep: int = 7 * 86_400_000
    groups: int = 100_000
    """Of one correlation; the one that was quiet for longest goes."""
    entries_in_group: int = 10_000
    """Of one subject at least: a correlation that counts to more keeps more (Correlation.entries_needed)."""
    entries: int = 1_000_000
    waiting: int = 200_000
    """In the buffer; beyond that the oldest is judged early."""


class Counts(msgspec.Struct):
    """What bounds did, since the state was new."""

    groups_dropped: int = 0
    entries_dropped: int = 0
    judged_early: int = 0
    too_old: int = 0
    groups_not_counted: int = 0
    """Of events whose group fields had very many values."""
    suppressed: int = 0


class CorrelationAlert(msgspec.Struct, frozen=True):
    """`event`: the one that completed it. `value`: what was compared. `late`: others after it came before.
    `count` events since `begun` make the alert: one, but for windows of whole days (day_window.py)."""

    correlation: int
    event: EventId
    time: int
    group: dict[str, str]
    value: float
    late: bool
    day: int
    begun: int
    count: int


class Share(msgspec.Struct, array_like=True, frozen=True):
    """One event's share in one group of one correlation."""

    correlation: int
    group: GroupKey
    entry: Entry


def new_window(correlation: Correlation, first_day: int | None = None) -> Window:
    """first_day: of older days it holds nothing, though there was something."""
    window: Window = DayWindow(correlation) if correlation.days else GroupWindow(correlation)
    if first_day is not None:
        # Whose day it is is not known here: it begins everywhere within twelve hours, or fourteen before.
        begin = first_day if correlation.days else first_day * DAY_MS + DAY_MS // 2
        window.restore(Kept(begin, None, []))
    return window


class Correlator:
    """`correlations`: as define_correlations orders them, or a plan that several correlators share, as they
    may the `counts`. `of_one_subject`: one of many that are kept apart; `changed` names the groups that are
    no longer what they were, and those that have to go are found by their times, not by when they came.
    first_day: new windows hold nothing of older days."""

    def __init__(
        self,
        correlations: Sequence[Correlation] | CorrelationPlan,
        limits: Limits | None = None,
        *,
        counts: Counts | None = None,
        of_one_subject: bool = False,
        first_day: int | None = None,
    ) -> None:
        self._plan: Final = (
            correlations if isinstance(correlations, CorrelationPlan) else CorrelationPlan(correlations)
        )
        self.correlations: Final = self._plan.correlations
        self.limits: Final = limits or Limits()
        self.counts = Counts() if counts is None else counts
        self.groups: Final[list[dict[GroupKey, Window]]] = [{} for _ in self.correlations]
        self.changed: Final[set[tuple[int, GroupKey]]] = set()
        self._of_one_subject: Final = of_one_subject
        self._first_day: Final = first_day
        self.waiting: Final[list[tuple[int, EventId, int, list[Share]]]] = []
        self.newest: int | None = None
        self.arrivals = 0
        self._entries = 0

    def take(
        self,
        time: int,
        event: EventId,
        rules: Sequence[int],
        record: Mapping[str, Any],
        day: int | None = None,
        note: Any = None,
    ) -> list[CorrelationAlert]:
        """The event's hits. `time` in ms; `event` names it, and orders events of the same time. `day`: of
        windows of whole days, UTC's by default. `note`: to be kept with the event, plain."""
        if day is None:
            day = time // DAY_MS
        route = self._plan.route(tuple(rules))
        found: list[CorrelationAlert] = []
        shares: list[Share] = []
        at_once = route.alone and not self.limits.lateness
        for number, mask, place in route.steps:
            if place is None:
                values, carried, keys = (), (), _ONE_GROUP
            else:
                given = values_of(place.kind, [field(record) for field in place.fields])
                if given is None:
                    continue
                values, carried, keys = given, (), _ONE_GROUP
                if place.carried:
                    carried = tuple([bounded_value(field(record)) for field in place.carried])
                if place.group_by:
                    keys = self._keys([field(record) for field in place.group_by])
            for key in keys:
                entry = Entry(time, event, mask, values, carried, False, day, note)
                if not at_once:
                    shares.append(Share(number, key, entry))
                elif fired := self._put(number, key, entry):
                    share = Share(number, key, entry)
                    found += [alert for each in fired for alert in self._alert(share, each)]
        if at_once or not shares:
            return found
        if not self.limits.lateness:
            return list(self._judge(shares))
        return list(self._wait(time, event, shares))

    def _keys(self, values: Sequence[Any]) -> list[GroupKey]:
        keys, left_out = group_keys(values)
        self.counts.groups_not_counted += left_out
        return keys

    def finish(self) -> list[CorrelationAlert]:
        """Judges all that still waits."""
        return list(self._release(None))

    def _wait(self, time: int, event: EventId, shares: list[Share]) -> Iterator[CorrelationAlert]:
        heapq.heappush(self.waiting, (time, event, self.arrivals, shares))
        self.arrivals += 1
        self.newest = time if self.newest is None else max(self.newest, time)
        yield from self._release(self.newest - self.limits.lateness)

    def _release(self, until: int | None) -> Iterator[CorrelationAlert]:
        while self.waiting and (
            until is None or self.waiting[0][0] < until or len(self.waiting) > self.limits.waiting
        ):
            if until is not None and self.waiting[0][0] >= until:
                self.counts.judged_early += 1
            yield from self._judge(heapq.heappop(self.waiting)[3])

    def _judge(self, shares: list[Share]) -> Iterator[CorrelationAlert]:
        """Lower correlations first, whose alerts are shares in those above them."""
        waiting: dict[int, dict[tuple[GroupKey, int, EventId], Share]] = {}
        for share in shares:
            _join(waiting, share)
        while waiting:
            number = min(waiting)
            for share in waiting.pop(number).values():
                for fired in self._put(share.correlation, share.group, share.entry):
                    yield from self._alert(share, fired)
                    for above, at in self._plan.above[number]:
                        for upper in self._upper(share, fired, above, at):
                            _join(waiting, upper)

    def _put(self, number: int, group: GroupKey, entry: Entry) -> Sequence[Fired]:
        groups = self.groups[number]
        if self._of_one_subject:
            window = groups.get(group)
            self.changed.add((number, group))
        else:
            # Last now: the first is the one that was quiet for longest.
            window = groups.pop(group, None)
            if window is not None:
                groups[group] = window
        correlation = self.correlations[number]
        if window is None:
            window = new_window(correlation, self._first_day)
            if len(groups) >= self.limits.groups:
                self._drop_group(number)
            groups[group] = window
        before = window.size
        fired = window.take(entry, self.limits.keep)
        if fired is None:
            self.counts.too_old += 1
            return []
        after = window.size
        most = self.limits.entries_in_group
        if after > most:
            if self._of_one_subject:
                most = max(most, correlation.entries_needed)
            if after > most:
                self.counts.entries_dropped += window.trim(most)
                after = window.size
        self._entries += after - before
        while self._entries > self.limits.entries:
            largest = max(self.groups, key=len)
            self._drop_group(next(at for at, each in enumerate(self.groups) if each is largest))
        return fired

    def _drop_group(self, number: int) -> None:
        groups = self.groups[number]
        going = [next(iter(groups))]
        if self._of_one_subject:
            going = sorted(groups, key=lambda key: _quietest(groups, key))[: 1 + len(groups) // 16]
        for key in going:
            dropped = groups.pop(key)
            if self._of_one_subject:
                self.changed.add((number, key))
            self._entries -= dropped.size
            self.counts.groups_dropped += 1
            self.counts.entries_dropped += dropped.size

    def _alert(self, share: Share, fired: Fired) -> Iterator[CorrelationAlert]:
        """One, but for what is suppressed."""
        correlation = self.correlations[share.correlation]
        time = fired.time
        if correlation.suppress:
            window = self.groups[share.correlation].get(share.group)
            if window is not None:
                until = window.quiet_until
                if until is not None and until - correlation.suppress <= time < until:
                    self.counts.suppressed += 1
                    return
                window.quiet_until = time + correlation.suppress
        yield CorrelationAlert(
            share.correlation,
            fired.entry.event,
            time,
            _group(correlation, share.group),
            _as_float(fired.value),
            fired.late,
            fired.day,
            fired.begun,
            fired.count,
        )

    def _upper(self, share: Share, fired: Fired, above: int, at: int) -> Iterator[Share]:
        lower, upper = self.correlations[share.correlation], self.correlations[above]
        known = dict(zip(lower.carried, fired.entry.carried, strict=True))
        known |= _group(lower, share.group)
        source = upper.sources[at]
        values = values_of(upper.kind, [known.get(field) for field in source.fields])
        if values is not None:
            carried = tuple(known.get(field) for field in upper.carried)
            for key in self._keys([known.get(field) for field in source.group_by]):
                entry = Entry(
                    fired.time,
                    fired.entry.event,
                    1 << at,
                    values,
                    carried,
                    False,
                    fired.day,
                    fired.entry.note,
                )
                yield Share(above, key, entry)

    @property
    def size(self) -> int:
        """Of all that is kept."""
        return self._entries

    def count_entries(self) -> int:
        """After a state was restored: sets and gives how many events are kept."""
        windows = itertools.chain.from_iterable(groups.values() for groups in self.groups)
        self._entries = sum(window.size for window in windows)
        return self._entries


def _quietest(groups: Mapping[GroupKey, Window], key: GroupKey) -> tuple[int, tuple[str, ...]]:
    return groups[key].newest or 0, tuple(part or "" for part in key)


def _join(waiting: dict[int, dict[tuple[GroupKey, int, EventId], Share]], share: Share) -> None:
    shares = waiting.setdefault(share.correlation, {})
    key = (share.group, share.entry.time, share.entry.event)
    if key in shares:
        shares[key].entry.mask |= share.entry.mask
    else:
        shares[key] = share


def _group(correlation: Correlation, key: GroupKey) -> dict[str, str]:
    if not key:
        return {}
    return {name: value for name, value in zip(correlation.group_by, key, strict=True) if value is not None}


def _as_float(value: Number) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")
