"""What the pipeline remembers of one subject, in memory, loaded from and written to the database.

Everything here is a sum, a minimum or a maximum over the subject's events, so the order in which events
arrive, and how they are cut into batches, do not matter. The exception is `anomaly`, see storage_anomaly.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec
from sqlalchemy import Connection, func, select

from analytics.risk import Level
from server.retention import EVER
from server.store.tables import rule_days, storage_days, subject_agents, subject_devices, subject_events


class ChannelDay(msgspec.Struct):
    """One day of a subject on removable storage: a row of `storage_days`."""

    day: int
    day_type: str
    bytes: int = 0
    files: int = 0
    new_devices: int = 0
    first_time: int = 2**62
    last_time: int = 0
    events: int = 0
    anomaly: float = 0.0
    model_id: int | None = None


class RuleHits(msgspec.Struct):
    """One rule's hits of a subject on one day: a row of `rule_days`."""

    rule_id: str
    day: int
    family: str
    level: Level
    title: str
    hits: int = 0
    first_time: int = 2**62
    last_time: int = 0


class DeviceUse(msgspec.Struct):
    first_time: int
    last_time: int


class EventRange(msgspec.Struct):
    """first_seq … last_seq, all of one subject, day and channel: a row of `subject_events`."""

    first_seq: int
    last_seq: int


RangePlace = tuple[int, str, str, str]
"""(local day, channel, agent, epoch)."""


class SubjectState:
    """Mutable. `dirty_…` name what the next commit has to write; `written` forgets them."""

    def __init__(self, subject: str) -> None:
        self.subject = subject
        self.days: dict[int, ChannelDay] = {}
        self.rules: dict[tuple[str, int], RuleHits] = {}
        self.devices: dict[str, DeviceUse] = {}
        self.agents: dict[str, int] = {}
        self.last_range: dict[RangePlace, EventRange] = {}
        self.dirty_days: set[int] = set()
        self.dirty_rules: set[tuple[str, int]] = set()
        self.dirty_devices: set[str] = set()
        self.dirty_agents: set[str] = set()
        self.dirty_ranges: dict[tuple[RangePlace, int], int] = {}

    def channel_day(self, day: int, day_type: str) -> ChannelDay:
        """The day's row, made where missing, and marked for writing."""
        found = self.days.get(day)
        if found is None:
            found = self.days[day] = ChannelDay(day, day_type)
        self.dirty_days.add(day)
        return found

    def use_device(self, device: str, time: int) -> int | None:
        """Notes a use. Returns the first use's time as it was known before, None for a new device."""
        use = self.devices.get(device)
        if use is None:
            self.devices[device] = DeviceUse(time, time)
            self.dirty_devices.add(device)
            return None
        before = use.first_time
        if time > use.last_time or time < use.first_time:
            use.first_time, use.last_time = min(before, time), max(use.last_time, time)
            self.dirty_devices.add(device)
        return before

    def seen_on(self, agent: str, time: int) -> bool:
        """Whether it was never seen there before."""
        before = self.agents.get(agent)
        if before is None or time < before:
            self.agents[agent] = time
            self.dirty_agents.add(agent)
        return before is None

    def index_event(self, place: RangePlace, seq: int) -> None:
        """Adds one event to the index, to the last range where it follows on."""
        last = self.last_range.get(place)
        if last is not None and seq == last.last_seq + 1:
            last.last_seq = seq
        else:
            last = self.last_range[place] = EventRange(seq, seq)
        self.dirty_ranges[place, last.first_seq] = last.last_seq

    def rule_hit(self, rule_id: str, day: int, *, family: str, level: Level, title: str, time: int) -> None:
        hits = self.rules.get((rule_id, day))
        if hits is None:
            hits = self.rules[rule_id, day] = RuleHits(rule_id, day, family, level, title)
        hits.hits += 1
        hits.first_time, hits.last_time = min(hits.first_time, time), max(hits.last_time, time)
        self.dirty_rules.add((rule_id, day))

    def drop_before(self, day: int) -> None:
        """Late events of days that are past their end: neither kept nor written."""
        if min(self.dirty_days, default=day) >= day:
            return
        self.days = {d: row for d, row in self.days.items() if d >= day}
        self.rules = {key: hits for key, hits in self.rules.items() if key[1] >= day}
        self.last_range = {place: last for place, last in self.last_range.items() if place[0] >= day}
        self.dirty_days = {d for d in self.dirty_days if d >= day}
        self.dirty_rules = {key for key in self.dirty_rules if key[1] >= day}
        self.dirty_ranges = {key: last for key, last in self.dirty_ranges.items() if key[0][0] >= day}

    def written(self) -> None:
        for dirty in (self.dirty_days, self.dirty_rules, self.dirty_devices, self.dirty_agents):
            dirty.clear()
        self.dirty_ranges.clear()


def load_subjects(
    connection: Connection, subjects: Sequence[str], *, since: int = EVER
) -> dict[str, SubjectState]:
    """States of all these subjects, empty for new ones. since: local day."""
    states = {subject: SubjectState(subject) for subject in subjects}
    for start in range(0, len(subjects), 500):
        _load_part(connection, subjects[start : start + 500], states, since)
    return states


def _load_part(
    connection: Connection, part: Sequence[str], states: Mapping[str, SubjectState], since: int
) -> None:
    days = select(storage_days).where(storage_days.c.subject.in_(part), storage_days.c.day >= since)
    for row in connection.execute(days):
        states[row.subject].days[row.day] = ChannelDay(*row[1:])
    rules = select(rule_days).where(rule_days.c.subject.in_(part), rule_days.c.day >= since)
    for row in connection.execute(rules):
        states[row.subject].rules[row.rule_id, row.day] = RuleHits(*row[1:])
    for row in connection.execute(select(subject_devices).where(subject_devices.c.subject.in_(part))):
        states[row.subject].devices[row.device] = DeviceUse(row.first_time, row.last_time)
    for row in connection.execute(select(subject_agents).where(subject_agents.c.subject.in_(part))):
        states[row.subject].agents[row.agent] = row.first_time
    places = (
        subject_events.c.subject,
        subject_events.c.day,
        subject_events.c.channel,
        subject_events.c.agent,
        subject_events.c.epoch,
    )
    # Ranges of one place do not overlap, so the highest start has the highest end.
    newest = (
        select(*places, func.max(subject_events.c.first_seq), func.max(subject_events.c.last_seq))
        .where(subject_events.c.subject.in_(part), subject_events.c.day >= since)
        .group_by(*places)
    )
    for subject, day, channel, agent, epoch, first_seq, last_seq in connection.execute(newest):
        states[subject].last_range[day, channel, agent, epoch] = EventRange(first_seq, last_seq)


def days_with_rules(state: SubjectState, family: str) -> Iterable[RuleHits]:
    """The subject's rule hits of one family."""
    return (hits for hits in state.rules.values() if hits.family == family)
