"""A small company's days as a panel, by seed: sparse activities, heavy tails, weekends, people nobody watched
for a while. Drawn from distributions only."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from analytics.anomaly_explanation import Subject
from analytics.anomaly_model import Today
from analytics.calmed_day import Accepted
from analytics.measures import ACTIVITIES, MEGABYTE, DayType
from analytics.panel import ActivityDays, Floats, Panel

GROUPS = ("sales", "engineering", "finance", "support")


def day_types(days: int) -> list[DayType]:
    return ["off" if day % 7 >= 5 else "work" for day in range(days)]


def company(seed: int, people: int, days: int) -> dict[str, ActivityDays]:
    """Everybody's days by activity."""
    source = np.random.default_rng(seed)
    off = np.array([day_type == "off" for day_type in day_types(days)])
    seen = source.random((people, days)) < 0.97
    working = np.where(off[None], source.random((people, days)) < 0.05, source.random((people, days)) < 0.95)
    found = {}
    for name, measures in ACTIVITIES.items():
        uses = source.random(people) < 0.5
        active = uses[:, None] & working & (source.random((people, days)) < 0.5)
        values = np.zeros((people, days, len(measures)), dtype=np.int64)
        for i, measure in enumerate(measures):
            scale = 5 * MEGABYTE if measure.unit == "bytes" else 0.2 if measure.novelty else 4
            level: Floats = scale * np.exp(source.normal(0, 1, people))[:, None]
            drawn = level * np.exp(source.normal(0, 1, (people, days)))
            values[:, :, i] = np.where(active & seen, np.ceil(drawn) if not measure.novelty else drawn, 0)
        found[name] = ActivityDays(values, seen)
    return found


def panel_of(history: dict[str, ActivityDays], first_day: int = 739_000) -> Panel:
    people, days = next(iter(history.values())).seen.shape
    groups = [GROUPS[i % len(GROUPS)] for i in range(people)]
    names = [f"p{i:04d}" for i in range(people)]
    return Panel(names, groups, first_day, day_types(days), lambda name: history[name])


def quiet_today(people: int) -> dict[str, Today]:
    return {
        name: Today(np.zeros((people, len(measures)), dtype=np.int64), np.ones(people, dtype=np.bool_))
        for name, measures in ACTIVITIES.items()
    }


def subject(history: dict[str, ActivityDays], row: int, today: dict[str, Today], *, off: bool) -> Subject:
    """One row of the company with its own running day (of one row)."""
    days = next(iter(history.values())).seen.shape[1]
    return Subject(
        {name: each.of(slice(row, row + 1)) for name, each in history.items()},
        np.array([day_type == "off" for day_type in day_types(days)]),
        today,
        off,
        GROUPS[row % len(GROUPS)],
    )


def accepted_day(today: Mapping[str, Today], day: int) -> tuple[Accepted, ...]:
    """All that a subject did on a day that was judged harmless (arrays of one row)."""
    return tuple(
        Accepted(name, measure.name, int(value), day)
        for name, each in today.items()
        for measure, value in zip(ACTIVITIES[name], each.values[0], strict=True)
        if value
    )
