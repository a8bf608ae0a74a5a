"""What somebody did by channel and day, over months: amounts, what was found, and when nothing watched.

A day of a channel is risky as the alerts are that it is evidence of, or as the rules that hit; what people
closed as harmless counts no more. It is above usual where it holds twice what the median of the person's days
with anything on that channel holds, or where something was found.

Where no collector ran, silence says nothing: that is a gap, whatever day it is. Heartbeats tell days in UTC;
today counts as watched as long as yesterday was.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import median
from typing import Final

import msgspec
from sqlalchemy import Connection, select

from server.alerts.calming import CALMING
from server.pipeline.activity_history import ANYWHERE
from server.store.tables import (
    alert_days,
    alerts,
    channel_days,
    collector_days,
    days_watched_anywhere,
    rule_days,
    subject_agents,
)

DAYS_MAX: Final = 200
USUAL_DAYS: Final = 90
"""Before the first day shown, that the median is taken from too."""
ABOVE_USUAL: Final = 2
_USUAL_FROM_DAYS: Final = 5
_LEVELS: Final = {"critical": 90, "high": 70, "medium": 50, "low": 30, "informational": 0}
"""How risky a day is of which nothing is known but that a rule of this level hit."""
_AGENTS_MAX: Final = 500


class ChannelDay(msgspec.Struct, frozen=True):
    """`alerts`: ids, of those that still count. `risk`: 0 to 100."""

    day: int
    bytes: int
    files: int
    events: int
    above_usual: bool
    risk: int = 0
    alerts: tuple[int, ...] = ()


class ChannelLane(msgspec.Struct, frozen=True):
    """`gaps`: first and last day of each time in which nothing watched. `watched`: whether anything ever did
    on these days."""

    channel: str
    days: tuple[ChannelDay, ...]
    gaps: tuple[tuple[int, int], ...]
    watched: bool


def channel_lanes(
    connection: Connection, subject: str, channels: Sequence[str], first: int, last: int, *, today: int
) -> list[ChannelLane]:
    """In the order of `channels`; local days `first` to `last`, at most DAYS_MAX. `today`: local; what is
    later is no gap."""
    if not 0 <= last - first < DAYS_MAX:
        raise ValueError(f"{last - first + 1} days are not within 1 to {DAYS_MAX}")
    amounts = _amounts(connection, subject, channels, first, last)
    found = _found(connection, subject, first, last)
    seen = _watched(connection, subject, channels, first, last)
    lanes = []
    for channel in channels:
        rows = amounts.get(channel, {})
        usual = _usual(rows)
        days = [
            _day(day, amount, usual, found.get((channel, day)))
            for day, amount in sorted(rows.items())
            if first <= day <= last
        ]
        ran = seen.get(channel, set())
        watched = {
            day
            for day in range(first, min(last, today) + 1)
            if day in ran or day in rows or (day == today and day - 1 in ran)
        }
        gaps = _runs(day for day in range(first, min(last, today) + 1) if day not in watched)
        lanes.append(ChannelLane(channel, tuple(days), tuple(gaps), bool(watched)))
    return lanes


_Amount = tuple[int, int, int, int]
"""Bytes, files, items, events."""
_Found = tuple[int, tuple[int, ...]]
"""Risk, and ids of alerts."""


def _amounts(
    connection: Connection, subject: str, channels: Sequence[str], first: int, last: int
) -> dict[str, dict[int, _Amount]]:
    row = channel_days.c
    query = select(row.channel, row.day, row.bytes, row.files, row["items"], row.events).where(
        row.subject == subject,
        row.channel.in_(list(channels)),
        row.day.between(first - USUAL_DAYS, last),
    )
    found: dict[str, dict[int, _Amount]] = defaultdict(dict)
    for channel, day, size, files, items, events in connection.execute(query):
        found[channel][day] = (size, files, items, events)
    return found


def _usual(rows: Mapping[int, _Amount]) -> _Amount | None:
    """Medians of the days with anything; None: there are too few to tell."""
    if len(rows) < _USUAL_FROM_DAYS:
        return None
    size, files, items, events = (int(median(each[part] for each in rows.values())) for part in range(4))
    return size, files, items, events


def _day(day: int, amount: _Amount, usual: _Amount | None, found: _Found | None) -> ChannelDay:
    size, files, items, events = amount
    risk, ids = found or (0, ())
    # By what the channel is about: bytes where there are any, else what it counts.
    part = 0 if size else 2 if items else 3
    above = usual is None or amount[part] > ABOVE_USUAL * usual[part]
    return ChannelDay(day, size, files, events, above or bool(risk or ids), risk, ids)


def _found(connection: Connection, subject: str, first: int, last: int) -> dict[tuple[str, int], _Found]:
    """What rules and alerts say of a channel's day."""
    risks: dict[tuple[str, int], int] = {}
    ids: dict[tuple[str, int], set[int]] = defaultdict(set)
    hit = rule_days.c
    rules = select(hit.channel, hit.day, hit.level).where(
        hit.subject == subject, hit.day.between(first, last), hit.family != ""
    )
    for channel, day, level in connection.execute(rules):
        place = (channel, day)
        risks[place] = max(risks.get(place, 0), _LEVELS.get(level, 0))
    told = (
        select(alert_days.c.channel, alert_days.c.day, alerts.c.id, alerts.c.score, alerts.c.verdict)
        .join(alerts, alerts.c.id == alert_days.c.alert)
        .where(
            alerts.c.subject == subject,
            alerts.c.status.in_(("open", "closed")),
            alert_days.c.day.between(first, last),
        )
    )
    harmless: set[tuple[str, int]] = set()
    for channel, day, alert_id, score, verdict in connection.execute(told):
        place = (channel, day)
        if verdict in CALMING:
            harmless.add(place)
            continue
        risks[place] = max(risks.get(place, 0), score)
        ids[place].add(alert_id)
    for place in harmless - ids.keys():
        risks.pop(place, None)
    return {
        place: (risks.get(place, 0), tuple(sorted(ids.get(place, ()), reverse=True)))
        for place in {*risks, *ids}
    }


def _watched(
    connection: Connection, subject: str, channels: Sequence[str], first: int, last: int
) -> dict[str, set[int]]:
    """By channel, the UTC days on which a collector ran where the subject was seen; of those that see the
    whole company, on which one ran anywhere."""
    used = select(subject_agents.c.agent).where(subject_agents.c.subject == subject)
    agents = connection.execute(used.order_by(subject_agents.c.agent).limit(_AGENTS_MAX)).scalars().all()
    found: dict[str, set[int]] = defaultdict(set)
    ran = collector_days.c
    own = select(ran.collector, ran.day).where(
        ran.agent.in_(agents), ran.collector.in_(list(channels)), ran.day.between(first - 1, last)
    )
    for collector, day in connection.execute(own):
        found[collector].add(day)
    company = [channel for channel in channels if channel in ANYWHERE]
    all_over = days_watched_anywhere.c
    anywhere = select(all_over.collector, all_over.day).where(
        all_over.collector.in_(company), all_over.day.between(first - 1, last)
    )
    for collector, day in connection.execute(anywhere):
        found[collector].add(day)
    return found


def _runs(days: Iterable[int]) -> Iterator[tuple[int, int]]:
    """First and last of days that follow each other; `days` ascend."""
    start: int | None = None
    end = 0
    for day in days:
        if start is None:
            start = day
        elif day != end + 1:
            yield start, end
            start = day
        end = day
    if start is not None:
        yield start, end
