"""A company whose people copy to removable storage, by seed: volumes with heavy tails, weekends, newcomers.

Drawn from distributions only; the planted bursts differ from ordinary days by size, files and device.
"""

from __future__ import annotations

import math
import random

from analytics.storage_day import DayType, HistoryDay, StorageDay
from analytics.storage_features import HISTORY_DAYS
from analytics.storage_model import SubjectHistory

GROUPS = ("sales", "engineering", "finance", "support")


def day_type_of(day: int) -> DayType:
    return "off" if day % 7 >= 5 else "work"


def simulated_histories(seed: int, people: int, days: int) -> dict[str, list[HistoryDay]]:
    """Oldest day first. The subject's group is people's number modulo the groups."""
    source = random.Random(seed)
    return {f"p{number:04d}": _person(source, days) for number in range(people)}


def _person(source: random.Random, days: int) -> list[HistoryDay]:
    uses = source.random() < 0.3
    level = math.log(20) + source.gauss(0, 1.3)
    active_share = min(0.9, 0.55 * math.exp(source.gauss(0, 0.35))) if uses else 0.01
    away: set[int] = set()
    for _ in range(source.randrange(3)):
        first = source.randrange(days)
        away.update(range(first, first + source.randrange(1, 6)))
    found = []
    for day in range(days):
        day_type = day_type_of(day)
        chance = active_share * (1 if day_type == "work" else 0.05)
        active = day not in away and source.random() < chance
        silent = source.random() < 0.01
        found.append(
            HistoryDay(day_type, None if silent else _copies(source, level) if active else StorageDay())
        )
    return found


def _copies(source: random.Random, level: float) -> StorageDay:
    megabytes = math.exp(level + source.gauss(0, 1.2))
    if source.random() < 0.01:
        megabytes *= 1 + 4 * source.paretovariate(1.5)
    files = max(1, round(math.exp(source.gauss(2, 1))))
    return StorageDay(round(megabytes * 1_000_000), files, int(source.random() < 0.03))


def planted_burst(source: random.Random) -> StorageDay:
    """A leak in one day: 0.8 to 15 GB, 100 to 6,000 files, in four of five cases to a new device."""
    size = math.exp(source.uniform(math.log(800), math.log(15_000)))
    files = round(math.exp(source.uniform(math.log(100), math.log(6_000))))
    return StorageDay(round(size * 1_000_000), files, int(source.random() < 0.8))


def training_set(histories: dict[str, list[HistoryDay]], first: int, end: int) -> dict[str, SubjectHistory]:
    """Days first … end − 1 of everybody, as StorageModel.train wants them."""
    return {
        subject: SubjectHistory(group_of(subject), tuple(reversed(days[first:end])))
        for subject, days in histories.items()
    }


def group_of(subject: str) -> str:
    return GROUPS[int(subject[1:]) % len(GROUPS)]


def before(days: list[HistoryDay], day: int) -> list[HistoryDay]:
    """The 60 days before `day`, most recent first."""
    return days[max(0, day - HISTORY_DAYS) : day][::-1]
