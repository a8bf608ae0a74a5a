"""How an act after leaving weighs less with time, and never nothing: one published case went on for over a
year. Pure."""

from __future__ import annotations

from typing import Final

from analytics.risk import PI, Level

STEPS_DAYS: Final = (180, 540)
"""A level lower from so many days after the last working day on."""
FLOOR: Final[Level] = "medium"
"""One hit of it still makes an alert; a rule that begins lower stays where it is."""


def faded(level: Level, days_since_left: int) -> Level:
    """The level of a hit so long after somebody left."""
    by_worth = sorted(PI, key=lambda each: -PI[each])
    at = by_worth.index(level)
    lowest = max(at, by_worth.index(FLOOR))
    return by_worth[min(at + sum(days_since_left >= step for step in STEPS_DAYS), lowest)]


def higher(one: Level, other: Level) -> Level:
    return one if PI[one] >= PI[other] else other
