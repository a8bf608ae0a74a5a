"""The risk of one subject in one policy family, day by day, and whether it makes an alert.

For each day with hits or an anomaly the risk is taken as of that day, from all hits up to it. Days at or
above ALERT_LINE make the alert; its score and words are those of the highest (the earliest of equals).
Pure: a function of the subject's state, so late events and replays give the same alert.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping

import msgspec

from analytics.risk import PI, Level, Risk, RuleDay, risk
from policies.correlated_policies import Reach
from server.detection.storage_anomaly import CHANNEL, FAMILY
from server.pipeline.subject_state import ChannelDay, RuleHits, SubjectState, days_with_rules
from server.retention import EVER

ALERT_LINE = 50
RULE_DAYS_BACK = 90
"""Older hits weigh 1 % and less; they take no part."""
ANOMALY = ""
"""In the place of a rule's id: the anomaly of a day."""

NO_REACHES: Mapping[str, Reach] = {}

Judged = Mapping[tuple[str, int], int]
"""(rule id or ANOMALY, day): how many hits, or events of the day, a person had before them at closing."""


class Assessment(msgspec.Struct, frozen=True):
    """`days`: local, those at or above the line, rising. `peak`: the day of the score."""

    family: str
    days: tuple[int, ...]
    places: tuple[tuple[str, int], ...]
    """(channel, day) of these days: where the evidence lies."""
    whole: frozenset[tuple[str, int]]
    """Of these those of which everything is evidence; of the others only what correlations point to."""
    correlated: tuple[tuple[str, int], ...]
    """(rule id, day) of the correlations' hits on these days."""
    peak: int
    risk: Risk
    hits: tuple[RuleHits, ...]
    """Rule hits that take part in the peak's risk, youngest first."""


def assess(
    state: SubjectState,
    family: str,
    judged: Judged,
    reaches: Mapping[str, Reach] = NO_REACHES,
    *,
    since: int = EVER,
) -> Assessment | None:
    """None: nothing reaches the line. A day that has no more than was judged takes no part. What counts is
    how much came, not when it happened: a laptop may deliver old days after the closing.

    `reaches`: of correlations, whose evidence lies where the rules hit that they count. `since`: the first
    day that may make an alert; earlier ones only weigh."""
    hits = _unjudged(list(days_with_rules(state, family)), judged)
    anomalies = _anomalies(state.days(CHANNEL), judged) if family == FAMILY else {}
    best: tuple[int, int] | None = None
    over: list[int] = []
    for day in sorted({h.day for h in hits} | anomalies.keys()):
        if day < since:
            continue
        score = _risk_on(day, hits, anomalies.get(day, 0.0)).score
        if score >= ALERT_LINE:
            over.append(day)
            if best is None or score > best[0]:
                best = (score, day)
    if best is None:
        return None
    peak = best[1]
    whole, pointed = _places(state, over, hits, anomalies, reaches)
    return Assessment(
        family=family,
        days=tuple(over),
        places=tuple(sorted(whole | pointed)),
        whole=frozenset(whole),
        correlated=tuple(
            sorted({(h.rule_id, h.day) for h in hits if h.day in over and h.rule_id in reaches})
        ),
        peak=peak,
        risk=_risk_on(peak, hits, anomalies.get(peak, 0.0)),
        hits=tuple(sorted(_hits_on(peak, hits), key=lambda h: (-h.day, h.rule_id))),
    )


def _unjudged(hits: list[RuleHits], judged: Judged) -> list[RuleHits]:
    """Those of rules and days that have more by now than when they were judged, on whatever channel."""
    total: Counter[tuple[str, int]] = Counter()
    for h in hits:
        total[h.rule_id, h.day] += h.hits
    return [h for h in hits if total[h.rule_id, h.day] > judged.get((h.rule_id, h.day), 0)]


def _places(
    state: SubjectState,
    days: Collection[int],
    hits: list[RuleHits],
    anomalies: Mapping[int, float],
    reaches: Mapping[str, Reach],
) -> tuple[set[tuple[str, int]], set[tuple[str, int]]]:
    """Those of rules and anomalies, and those of what correlations count."""
    found = {(CHANNEL, day) for day in days if day in anomalies}
    counted: set[tuple[str, int]] = set()
    for h in hits:
        if h.day not in days:
            continue
        reach = reaches.get(h.rule_id)
        if reach is None:
            found.add((h.channel, h.day))
        else:
            counted.update(
                (below.channel, below.day)
                for below in state.rules.values()
                if below.rule_id in reach.rules and h.day - reach.days <= below.day <= h.day
            )
    return found, counted


def _anomalies(days: Mapping[int, ChannelDay], judged: Judged) -> dict[int, float]:
    return {
        row.day: row.anomaly
        for row in days.values()
        if row.anomaly > 0 and row.events > judged.get((ANOMALY, row.day), 0)
    }


def _hits_on(day: int, hits: list[RuleHits]) -> list[RuleHits]:
    return [h for h in hits if day - RULE_DAYS_BACK < h.day <= day]


def _risk_on(day: int, hits: list[RuleHits], anomaly: float) -> Risk:
    together: dict[tuple[str, int], tuple[Level, int]] = {}
    for h in sorted(_hits_on(day, hits), key=lambda h: (h.last_version, PI[h.level])):
        # A rule that changed during the day has one level: that of its highest version.
        _, before = together.get((h.rule_id, h.day), (h.level, 0))
        together[h.rule_id, h.day] = (h.level, before + h.hits)
    days = [RuleDay(rule_id, level, at, count) for (rule_id, at), (level, count) in together.items()]
    return risk(anomaly, days, day)
