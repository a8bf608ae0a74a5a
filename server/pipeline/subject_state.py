"""What the pipeline remembers of one subject, in memory, loaded from and written to the database.

Everything here is a sum, a minimum or a maximum over the subject's events, so the order in which events
arrive, and how they are cut into batches, do not matter. The exception are `anomalies`, see anomaly_scoring.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec
from sqlalchemy import Connection, func, select

from analytics.fading import higher
from analytics.risk import Level
from server.pipeline.anomaly_day import AnomalyDay, load_anomaly_days
from server.pipeline.subject_activities import SubjectActivities, load_activities
from server.pipeline.subject_correlations import GroupPlace, SubjectCorrelations
from server.retention import DAY_MS, EVER
from server.store.column_types import key_text
from server.store.tables import (
    channel_days,
    correlation_groups,
    rule_days,
    subject_agents,
    subject_events,
    subject_places,
    suspect_traits,
)

BORROWED = "~"
"""Behind a channel's name: what the subject is suspected to have done through accounts of others."""
_BORROWED_CHARACTERS = 63
CORRELATED = "correlations"
"""In the place of a channel: hits of correlations, which several channels may have led to."""


class ChannelDay(msgspec.Struct):
    """One day of a subject on one channel: a row of `channel_days`."""

    channel: str
    day: int
    day_type: str
    bytes: int = 0
    files: int = 0
    items: int = 0
    new_places: int = 0
    first_time: int = 2**62
    last_time: int = 0
    events: int = 0


class RuleHits(msgspec.Struct):
    """One rule's hits of a subject on one day and channel: a row of `rule_days`."""

    rule_id: str
    channel: str
    day: int
    family: str
    level: Level
    title: str
    hits: int = 0
    first_time: int = 2**62
    last_time: int = 0
    first_version: int = 0
    last_version: int = 0
    outside_budget: bool = False


class SuspectTrait(msgspec.Struct):
    """What leads acts of one day and channel to somebody who left: a row of `suspect_traits`. `trait` is
    empty where all acts through that account are counted."""

    channel: str
    day: int
    through: str
    trait: str
    person_id: str
    owner_id: str | None = None
    since: int | None = None
    until: int | None = None
    others: int | None = None
    events: int = 0


class PlaceUse(msgspec.Struct):
    first_time: int
    last_time: int


class EventRange(msgspec.Struct):
    """first_seq … last_seq, all of one subject, day and channel: a row of `subject_events`."""

    first_seq: int
    last_seq: int


RangePlace = tuple[int, str, str, str]
"""(local day, channel, agent, epoch)."""
RulePlace = tuple[str, str, int]
"""(rule id, channel, local day)."""
TraitPlace = tuple[str, int, str, str, str]
"""(channel, local day, through, trait, person id)."""
ChannelPlace = tuple[str, str]
"""(channel, place)."""


class SubjectState:
    """Mutable. `dirty_…` name what the next commit has to write; `written` forgets them."""

    def __init__(self, subject: str) -> None:
        self.subject = subject
        self.channels: dict[str, dict[int, ChannelDay]] = {}
        self.rules: dict[RulePlace, RuleHits] = {}
        self.places: dict[str, dict[str, PlaceUse]] = {}
        self.suspect_traits: dict[TraitPlace, SuspectTrait] = {}
        self.agents: dict[str, int] = {}
        self.last_range: dict[RangePlace, EventRange] = {}
        self.correlations = SubjectCorrelations()
        self.activities = SubjectActivities()
        self.anomalies: dict[int, AnomalyDay] = {}
        self.dirty_days: set[tuple[str, int]] = set()
        self.dirty_rules: set[RulePlace] = set()
        self.dirty_anomalies: set[int] = set()
        self.dirty_places: set[ChannelPlace] = set()
        self.dirty_traits: set[TraitPlace] = set()
        self.dirty_agents: set[str] = set()
        self.dirty_ranges: dict[tuple[RangePlace, int], int] = {}

    def days(self, channel: str) -> dict[int, ChannelDay]:
        """By local day. To be read only."""
        return self.channels.get(channel, {})

    def channel_day(self, channel: str, day: int, day_type: str) -> ChannelDay:
        """The day's row, made where missing, and marked for writing."""
        days = self.channels.setdefault(channel, {})
        found = days.get(day)
        if found is None:
            found = days[day] = ChannelDay(channel, day, day_type)
        self.dirty_days.add((channel, day))
        return found

    def anomaly_day(self, day: int) -> AnomalyDay:
        """The local day's row, made where missing, and marked for writing."""
        found = self.anomalies.get(day)
        if found is None:
            found = self.anomalies[day] = AnomalyDay(day)
        self.dirty_anomalies.add(day)
        return found

    def use_place(self, channel: str, place: str, time: int) -> int | None:
        """Notes a use. Returns when the channel used it first, as it was known before; None: never."""
        uses = self.places.setdefault(place, {})
        use = uses.get(channel)
        if use is None:
            uses[channel] = PlaceUse(time, time)
            self.dirty_places.add((channel, place))
            return None
        before = use.first_time
        if time > use.last_time or time < use.first_time:
            use.first_time, use.last_time = min(before, time), max(use.last_time, time)
            self.dirty_places.add((channel, place))
        return before

    def first_use(self, place: str) -> int:
        """Of a place that was used, on whatever channel."""
        return min(use.first_time for use in self.places[place].values())

    def seen_on(self, agent: str, time: int) -> bool:
        """Whether it was never seen there before."""
        before = self.agents.get(agent)
        if before is None or time < before:
            self.agents[agent] = time
            self.dirty_agents.add(agent)
        return before is None

    def index_event(self, place: RangePlace, seq: int) -> None:
        """Adds one event to the index, to the last range where it follows on."""
        self.index_range(place, seq, seq)

    def index_range(self, place: RangePlace, first_seq: int, last_seq: int) -> None:
        """The same of events whose numbers follow each other."""
        last = self.last_range.get(place)
        if last is not None and first_seq == last.last_seq + 1:
            last.last_seq = last_seq
        else:
            last = self.last_range[place] = EventRange(first_seq, last_seq)
        self.dirty_ranges[place, last.first_seq] = last.last_seq

    def rule_hit(
        self,
        place: RulePlace,
        *,
        family: str,
        level: Level,
        title: str,
        time: int,
        version: int = 0,
        begun: int | None = None,
        count: int = 1,
        outside_budget: bool = False,
    ) -> None:
        """`version`: of the rule. What the day says of the rule is what its highest version says. begun: the
        time of the first of `count` hits, where they are several."""
        hits = self.rules.get(place)
        if hits is None:
            hits = self.rules[place] = RuleHits(
                *place,
                family,
                level,
                title,
                first_version=version,
                last_version=version,
                outside_budget=outside_budget,
            )
        if version > hits.last_version:
            hits.family, hits.level, hits.title, hits.last_version = family, level, title, version
            hits.outside_budget = outside_budget
        if version == hits.last_version:
            hits.level = higher(hits.level, level)
            hits.outside_budget |= outside_budget
        hits.first_version = min(hits.first_version, version)
        hits.hits += count
        first = time if begun is None else begun
        if first < hits.first_time or time > hits.last_time:
            hits.first_time, hits.last_time = min(hits.first_time, first), max(hits.last_time, time)
        self.dirty_rules.add(place)

    def suspect_trait(
        self,
        place: TraitPlace,
        *,
        owner_id: str | None,
        since: int | None = None,
        until: int | None = None,
        others: int | None = None,
    ) -> None:
        """One more act of which this is true. since, until: ms UTC, of the suspect's own uses before."""
        found = self.suspect_traits.get(place)
        if found is None:
            found = self.suspect_traits[place] = SuspectTrait(*place)
        found.events += 1
        found.owner_id = min((each for each in (found.owner_id, owner_id) if each), default=None)
        found.since = least(found.since, since)
        found.until, found.others = most_of(found.until, until), most_of(found.others, others)
        self.dirty_traits.add(place)

    def drop_before(self, day: int) -> None:
        """Late events of days that are past their end: neither kept nor written."""
        if min((d for _, d in self.dirty_days), default=day) >= day:
            return
        self.channels = {
            channel: {d: row for d, row in days.items() if d >= day}
            for channel, days in self.channels.items()
        }
        self.rules = {key: hits for key, hits in self.rules.items() if key[2] >= day}
        self.anomalies = {d: row for d, row in self.anomalies.items() if d >= day}
        self.dirty_anomalies = {d for d in self.dirty_anomalies if d >= day}
        self.suspect_traits = {key: row for key, row in self.suspect_traits.items() if key[1] >= day}
        self.dirty_traits = {key for key in self.dirty_traits if key[1] >= day}
        self.last_range = {place: last for place, last in self.last_range.items() if place[0] >= day}
        self.dirty_days = {key for key in self.dirty_days if key[1] >= day}
        self.dirty_rules = {key for key in self.dirty_rules if key[2] >= day}
        self.dirty_ranges = {key: last for key, last in self.dirty_ranges.items() if key[0][0] >= day}
        self.correlations.drop_before(day)

    def all_places_dirty(self) -> None:
        """Places and endpoints are all to be written."""
        self.dirty_places = {(channel, place) for place, uses in self.places.items() for channel in uses}
        self.dirty_agents = set(self.agents)

    def written(self) -> None:
        dirty_sets = (self.dirty_days, self.dirty_rules, self.dirty_places, self.dirty_traits)
        for dirty in (*dirty_sets, self.dirty_agents):
            dirty.clear()
        self.dirty_ranges.clear()
        self.dirty_anomalies.clear()
        self.correlations.written()
        self.activities.written()


def load_subjects(
    connection: Connection, subjects: Sequence[str], *, since: int = EVER, activities_since: int | None = None
) -> dict[str, SubjectState]:
    """States of all these subjects, empty for new ones. since, activities_since: local days; None: they do
    not know their activities."""
    states = {subject: SubjectState(subject) for subject in subjects}
    for start in range(0, len(subjects), 500):
        part = subjects[start : start + 500]
        _load_part(connection, part, states, since)
        if activities_since is not None:
            for subject, activities in load_activities(connection, part, activities_since).items():
                states[subject].activities = activities
    return states


def _load_part(
    connection: Connection, part: Sequence[str], states: Mapping[str, SubjectState], since: int
) -> None:
    days = select(channel_days).where(channel_days.c.subject.in_(part), channel_days.c.day >= since)
    for row in connection.execute(days):
        states[row.subject].channels.setdefault(row.channel, {})[row.day] = ChannelDay(*row[1:])
    for subject, anomalies in load_anomaly_days(connection, part, since).items():
        states[subject].anomalies = anomalies
    rules = select(rule_days).where(rule_days.c.subject.in_(part), rule_days.c.day >= since)
    for row in connection.execute(rules):
        states[row.subject].rules[row.rule_id, row.channel, row.day] = RuleHits(*row[1:])
    traits = select(suspect_traits).where(suspect_traits.c.subject.in_(part), suspect_traits.c.day >= since)
    for row in connection.execute(traits):
        found = SuspectTrait(*row[1:])
        place = (found.channel, found.day, found.through, found.trait, found.person_id)
        states[row.subject].suspect_traits[place] = found
    # As housekeeping drops them, whether it has by now or not.
    used = (subject_places.c.subject.in_(part), subject_places.c.last_time >= since * DAY_MS)
    for row in connection.execute(select(subject_places).where(*used)):
        uses = states[row.subject].places.setdefault(row.place, {})
        uses[row.channel] = PlaceUse(row.first_time, row.last_time)
    for row in connection.execute(select(subject_agents).where(subject_agents.c.subject.in_(part))):
        states[row.subject].agents[row.agent] = row.first_time
    groups = select(correlation_groups).where(correlation_groups.c.subject.in_(part))
    for row in connection.execute(groups):
        group = GroupPlace(row.fingerprint, row.group_digest)
        states[row.subject].correlations.restore(group, bytes(row.state), since)
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


def borrowed(channel: str) -> str:
    return key_text(channel, _BORROWED_CHARACTERS) + BORROWED


def is_borrowed(channel: str) -> bool:
    return channel.endswith(BORROWED)


def least(*known: int | None) -> int | None:
    """Of those that are known."""
    return min((each for each in known if each is not None), default=None)


def most_of(*known: int | None) -> int | None:
    """Of those that are known."""
    return max((each for each in known if each is not None), default=None)


def days_with_rules(state: SubjectState, family: str) -> Iterable[RuleHits]:
    """The subject's rule hits of one family."""
    return (hits for hits in state.rules.values() if hits.family == family)
