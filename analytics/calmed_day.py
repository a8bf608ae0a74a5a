"""What somebody judged harmless calms the same pattern of the same person: visibly, and for a limited time.

A measure that stays within one and a half times of what was judged counts as the person's usual until the
judgement ends; what goes beyond, and every other measure, counts in full. The day is scored twice, as it is
and calmed, and both are shown: nothing is hidden.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from analytics.anomaly_explanation import Subject, usual_values
from analytics.anomaly_model import Today
from analytics.measures import ACTIVITIES
from analytics.panel import Counts

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


def calmed_day(subject: Subject, day: int, accepted: Sequence[Accepted]) -> CalmedDay:
    """The subject's day (ordinal `day`) with what was accepted at its usual."""
    usual = usual_values(subject)
    today, because = {}, []
    for name, each in subject.today.items():
        values, why = calmed_values(name, each.values[0], usual[name], day, accepted)
        today[name] = Today(values[None], each.seen)
        because += why
    return CalmedDay(today, tuple(one for one in accepted if one in because))


def calmed_values(
    activity: str, values: Counts, usual: Counts, day: int, accepted: Sequence[Accepted]
) -> tuple[Counts, list[Accepted]]:
    """One activity's values (measures,), and what calmed them."""
    calmed = values.copy()
    because = []
    names = [measure.name for measure in ACTIVITIES[activity]]
    for one in accepted:
        if one.activity != activity or one.measure not in names or not 0 < day - one.day <= CALM_DAYS:
            continue
        at = names.index(one.measure)
        if int(usual[at]) < int(values[at]) <= _MORE * one.value:
            calmed[at] = usual[at]
            because.append(one)
    return calmed, because
