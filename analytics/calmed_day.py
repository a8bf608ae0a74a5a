"""What somebody judged harmless calms the same pattern of the same person: visibly, and for a limited time.

A measure that stays within one and a half times of what was judged counts as the person's usual until the
judgement ends; what goes beyond, and every other measure, counts in full. The day is scored twice, as it is
and calmed, and both are shown: nothing is hidden.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from analytics.anomaly_explanation import Subject, usual_values
from analytics.anomaly_model import Today
from analytics.measures import ACTIVITIES

CALM_DAYS: Final = 30
"""How long a judgement holds."""
_MORE: Final = 1.5


class Accepted(msgspec.Struct, frozen=True):
    """One measure of a day that was judged harmless."""

    activity: str
    measure: str
    value: int
    day: int
    """Ordinal of the day that was judged."""


class CalmedDay(msgspec.Struct, frozen=True, eq=False):
    today: dict[str, Today]
    because: tuple[Accepted, ...]
    """The judgements that calmed something; empty: the day counts as it is."""


def accepted_day(today: Mapping[str, Today], day: int) -> tuple[Accepted, ...]:
    """All that a subject did on a day that was judged harmless (arrays of one row)."""
    return tuple(
        Accepted(name, measure.name, int(value), day)
        for name, each in today.items()
        for measure, value in zip(ACTIVITIES[name], each.values[0], strict=True)
        if value
    )


def calmed_day(subject: Subject, day: int, accepted: Sequence[Accepted]) -> CalmedDay:
    """The subject's day (ordinal `day`) with what was accepted at its usual."""
    usual = usual_values(subject)
    today = {name: Today(each.values.copy(), each.seen) for name, each in subject.today.items()}
    because: list[Accepted] = []
    for one in accepted:
        if not 0 < day - one.day <= CALM_DAYS or one.activity not in ACTIVITIES:
            continue
        names = [measure.name for measure in ACTIVITIES[one.activity]]
        if one.measure not in names:
            continue
        at = names.index(one.measure)
        value, own = int(subject.today[one.activity].values[0, at]), int(usual[one.activity][at])
        if own < value <= _MORE * one.value:
            today[one.activity].values[0, at] = own
            because.append(one)
    return CalmedDay(today, tuple(because))
