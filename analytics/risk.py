"""Risk 0-100 of a subject from anomaly and policy hits, with exact contribution shares.

R = 100 · [1 − Π(1 − x_i)]. The terms −ln(1 − x_i) add up, so each contribution's share of R is its term
over their sum. Independent of the order in which hits arrived.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from typing import Final, Literal

import msgspec

Level = Literal["informational", "low", "medium", "high", "critical"]

PI: Final[dict[Level, float]] = {
    "critical": 0.95,
    "high": 0.7,
    "medium": 0.5,
    "low": 0.3,
    "informational": 0.1,
}
"""What the first hit of a rule is worth by its level."""
REPEAT_EXPONENT: Final = 1.5
HALF_LIFE_DAYS: Final = 14.0
NOTICE_WEIGHT: Final = 5.0
ANOMALY_SOURCE: Final = "anomaly"
SLOW_SOURCE: Final = "slow_anomaly"
"""Drift over weeks; the other is the day's own strangeness."""
COUNTS_FROM: Final = 25.0
"""Fewer points of a day's anomaly, or of its drift, add nothing to a risk: such days are too common to say
anything about what rules found, and which family the day is of is settled only when it gets there: what
was found before would be lost when it moves."""
_WORTH_MAX: Final = 1 - 1e-9


def counted(points: float) -> float:
    """Of a day's anomaly or of its drift, 0-100: what takes part in a risk."""
    return points if points >= COUNTS_FROM else 0.0


class RuleDay(msgspec.Struct, frozen=True):
    """A rule's hits on one local day, as one: a thousand files copied at once are one with evidence 1,000."""

    rule_id: str
    level: Level
    day: int
    """Ordinal of the local day (datetime.date.toordinal)."""
    evidence: int


class Share(msgspec.Struct, frozen=True):
    source: str
    """A rule's id, ANOMALY_SOURCE or SLOW_SOURCE."""
    points: int
    """All points add up to the score."""
    share: float
    """Exact part of the whole, 0-1."""


class Risk(msgspec.Struct, frozen=True):
    score: int
    shares: tuple[Share, ...]
    """Largest first."""


def risk(anomaly_0_100: float, rule_days: Iterable[RuleDay], today: int, *, slow_0_100: float = 0.0) -> Risk:
    """Risk on day `today` from the day's anomaly, its drift (Scores.a_day, a_slow) and rules' days with hits.

    The i-th most recent day of a rule is worth π · 2^(−age/14 d) · i^−1.5, so that repetition is bounded.
    Raises ValueError on two entries for the same rule and day, or on a day after today.
    """
    terms = _terms(anomaly_0_100, rule_days, today, slow_0_100)
    total = math.fsum(terms.values())
    if total <= 0:
        return Risk(0, ())
    score = math.floor(_of_100(total) + 0.5)
    points = _largest_remainder({source: term / total for source, term in terms.items()}, score)
    shares = [Share(source, points[source], term / total) for source, term in terms.items()]
    return Risk(score, tuple(sorted(shares, key=lambda s: (-s.share, s.source))))


def unrounded_risk(
    anomaly_0_100: float, rule_days: Iterable[RuleDay], today: int, *, slow_0_100: float = 0.0
) -> float:
    """The score of `risk` with its fraction, to rank days by."""
    return _of_100(math.fsum(_terms(anomaly_0_100, rule_days, today, slow_0_100).values()))


def _of_100(total: float) -> float:
    return 100 * -math.expm1(-total)


def _terms(
    anomaly_0_100: float, rule_days: Iterable[RuleDay], today: int, slow_0_100: float
) -> dict[str, float]:
    terms: dict[str, float] = {}
    for source, anomaly in ((ANOMALY_SOURCE, anomaly_0_100), (SLOW_SOURCE, slow_0_100)):
        if not 0 <= anomaly <= 100:
            raise ValueError(f"{source} {anomaly} is not within 0 to 100")
        if anomaly > 0:
            terms[source] = _term(anomaly / 100)
    days_of: dict[str, list[RuleDay]] = defaultdict(list)
    for hit in rule_days:
        days_of[hit.rule_id].append(hit)
    for rule_id, hits in days_of.items():
        terms[rule_id] = _rule_term(hits, today)
    return terms


def notice_weights(share_on_notice: float) -> tuple[float, float]:
    """(weight of people on notice, of all others), 5 : 1 with mean 1, so that the alert budget stays."""
    if not 0 <= share_on_notice <= 1:
        raise ValueError(f"share {share_on_notice} is not within 0 to 1")
    mean = NOTICE_WEIGHT * share_on_notice + (1 - share_on_notice)
    return NOTICE_WEIGHT / mean, 1 / mean


def _term(worth: float) -> float:
    return -math.log1p(-min(worth, _WORTH_MAX))


def _rule_term(hits: list[RuleDay], today: int) -> float:
    newest_first = sorted(hits, key=lambda hit: -hit.day)
    if newest_first[0].day > today:
        raise ValueError(
            f"rule {newest_first[0].rule_id} has a hit on day {newest_first[0].day}, after {today}"
        )
    if len({hit.day for hit in hits}) != len(hits):
        raise ValueError(f"rule {newest_first[0].rule_id} has two entries for one day")
    return math.fsum(
        _term(PI[hit.level] * 2 ** ((hit.day - today) / HALF_LIFE_DAYS) * rank**-REPEAT_EXPONENT)
        for rank, hit in enumerate(newest_first, start=1)
    )


def _largest_remainder(parts: dict[str, float], whole: int) -> dict[str, int]:
    """Integers near parts · whole that add up to `whole`; ties go by name, so that the result is stable."""
    floors = {source: math.floor(part * whole) for source, part in parts.items()}
    missing = whole - sum(floors.values())
    by_remainder = sorted(parts, key=lambda source: (floors[source] - parts[source] * whole, source))
    for source in by_remainder[:missing]:
        floors[source] += 1
    return floors
