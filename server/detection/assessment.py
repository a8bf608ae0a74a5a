"""The risk of one subject in one policy family, day by day, and whether it makes an alert.

For each day with hits or an anomaly the risk is taken as of that day, from all hits up to it. Days at or
above the line make the alert; its score and words are those of the highest (the earliest of equals).
Pure: a function of the subject's state, so late events and replays give the same alert.

Rules outside of the budget (PolicyHit.outside_budget) that reach ALERT_LINE by themselves on any day
make the alert at once, with all days from ALERT_LINE on. Of any other alert each day is a candidate in a
queue (alerts/queueing.py): in the slow one where drift alone reaches ALERT_LINE and all else stays below
the day's line; else in the day queue, where the whole risk reaches that line. The line is ALERT_LINE, or
higher where the budget asks for it (analytics/risk_line.py).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

import msgspec

from analytics.risk import PI, SLOW_SOURCE, Level, Risk, RuleDay, counted, risk, unrounded_risk
from analytics.risk_line import ALERT_LINE, LineScores, QueueName
from policies.correlated_policies import Reach
from server.detection.activity_families import FAMILIES, channels_of
from server.pipeline.activity_history import SOURCES
from server.pipeline.anomaly_day import AnomalyDay
from server.pipeline.subject_state import RuleHits, SubjectState, days_with_rules
from server.retention import EVER

RULE_DAYS_BACK = 90
"""Older hits weigh 1 % and less; they take no part."""
ANOMALY = ""
"""In the place of a rule's id: the anomaly of a day."""
DRIFT = SLOW_SOURCE
"""The same: the drift up to a day."""
POINT: Final = 1000
"""Points that were judged are kept in thousandths."""
_RISK_DIGITS: Final = 3
_STRONGEST: Final = 2
"""Activities whose evidence adds up (analytics/anomaly_model.py)."""

NO_REACHES: Mapping[str, Reach] = {}

Judged = Mapping[tuple[str, int], int]
"""(rule id, ANOMALY or DRIFT; day): how many hits the rule had, or thousandths of a point the day, when a
person closed an alert about it."""


class Lines(msgspec.Struct, frozen=True):
    """The risk that makes a day a candidate of the day queue: one that had candidates keeps the line that it
    had then, so that next week's line closes nothing of this one's."""

    current: int = ALERT_LINE
    of_days: Mapping[int, int] = {}

    def on(self, day: int) -> int:
        return self.of_days.get(day, self.current)


DEFAULT_LINES: Final = Lines()


class Candidate(msgspec.Struct, frozen=True):
    """A day over the line, in its queue (analytics/alert_queues.py)."""

    queue: QueueName
    day: int
    risk: float
    """Of the whole day, 0-100, not rounded to whole points."""
    points: float
    """Of the queue's anomaly."""
    strength: float
    """T: among equal risks."""
    rules: int
    """What the risk of rules alone is."""


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
    by_rules: bool
    """Rules outside of the budget reach ALERT_LINE by themselves, on one of the days."""
    activities: tuple[str, ...]
    """Those of the family that were strange on the peak, the strangest first."""
    slow: bool
    """Without its drift the peak would be below the line."""
    candidates: tuple[Candidate, ...]
    """All days; none of an alert outside of the budget."""


class StrangePoints(msgspec.Struct, frozen=True):
    """What a day's anomaly and drift add to a family (risk.counted)."""

    day: float = 0.0
    slow: float = 0.0


_NONE: Final = StrangePoints()


def assess(
    state: SubjectState,
    family: str,
    judged: Judged,
    reaches: Mapping[str, Reach] = NO_REACHES,
    *,
    since: int = EVER,
    lines: Lines = DEFAULT_LINES,
    outside: bool = False,
) -> Assessment | None:
    """None: nothing reaches the line. A rule's day with no more hits than were judged takes no part, nor does
    an anomaly that is not clearly stranger than what was judged. What counts is how much came, not when it
    happened: a laptop may deliver old days after the closing.

    `reaches`: of correlations, whose evidence lies where the rules hit that they count. `since`: the first
    day that may make an alert; earlier ones only weigh. `outside`: of the budget already, by what was
    found before; such an alert takes in all days from ALERT_LINE on."""
    hits = _unjudged(list(days_with_rules(state, family)), judged)
    anomalies = _anomalies(state, family, judged)
    scores = {
        day: _risk_on(day, hits, anomalies.get(day, _NONE)).score
        for day in sorted({h.day for h in hits} | anomalies.keys())
        if day >= since
    }
    over = [day for day, score in scores.items() if score >= ALERT_LINE]
    by_rules = outside or any(is_outside(day, hits) for day in over)
    candidates: list[Candidate] = []
    if not by_rules:
        for day in over:
            strange = anomalies.get(day, _NONE)
            queue = line_scores(day, hits, strange).queue(lines.on(day))
            if queue is not None:
                candidates.append(_candidate(queue, state, day, hits, strange))
        over = [each.day for each in candidates]
    if not over:
        return None
    peak = max(over, key=lambda day: scores[day])
    whole, pointed = _places(state, over, family, hits, anomalies, reaches)
    strange = anomalies.get(peak, _NONE)
    return Assessment(
        family=family,
        days=tuple(over),
        places=tuple(sorted(whole | pointed)),
        whole=frozenset(whole),
        correlated=tuple(
            sorted({(h.rule_id, h.day) for h in hits if h.day in over and h.rule_id in reaches})
        ),
        peak=peak,
        risk=_risk_on(peak, hits, strange),
        hits=tuple(sorted(_hits_on(peak, hits), key=lambda h: (-h.day, h.rule_id))),
        by_rules=by_rules,
        activities=activities_of(state.anomalies[peak], family) if strange is not _NONE else (),
        slow=strange.slow > 0
        and _risk_on(peak, hits, StrangePoints(strange.day)).score
        < (ALERT_LINE if by_rules else lines.on(peak)),
        candidates=tuple(candidates),
    )


class DayRisk(msgspec.Struct, frozen=True):
    day: int
    risk: Risk
    hits: tuple[RuleHits, ...]
    """Of the day itself."""


def risks(state: SubjectState, family: str, judged: Judged, days: Collection[int]) -> Iterator[DayRisk]:
    """Of these days, as of each, whatever it comes to; without those on which nothing happened."""
    hits = _unjudged(list(days_with_rules(state, family)), judged)
    anomalies = _anomalies(state, family, judged)
    for day in sorted(({h.day for h in hits} | anomalies.keys()) & set(days)):
        found = _risk_on(day, hits, anomalies.get(day, _NONE))
        yield DayRisk(day, found, tuple(h for h in hits if h.day == day))


def is_outside(day: int, hits: Sequence[RuleHits]) -> bool:
    """Whether rules outside of the budget reach the line by themselves. hits: of one family."""
    outside = [h for h in hits if h.outside_budget]
    return bool(outside) and _risk_on(day, outside, _NONE).score >= ALERT_LINE


def line_scores(day: int, hits: Sequence[RuleHits], strange: StrangePoints) -> LineScores:
    """hits: of one family."""
    whole = _risk_on(day, hits, strange).score
    if not strange.slow:
        return LineScores(whole, whole, 0)
    drift = risk(0, (), day, slow_0_100=strange.slow).score
    return LineScores(whole, _risk_on(day, hits, StrangePoints(strange.day)).score, drift)


def is_clearly_stranger(points: float, judged: float) -> bool:
    """By more than half of what was left to 100: ten times as rare (score_pools.anomaly_points)."""
    return points > judged + (100 - judged) / 2


def judged_points(day: AnomalyDay, family: str) -> dict[str, int]:
    """What a verdict on an alert of the family says of the day: by ANOMALY and DRIFT, as in Judged."""
    found = {}
    if day.points > 0 and day.family == family:
        found[ANOMALY] = math.ceil(day.points * POINT)
    if day.slow_points > 0 and day.slow_family == family:
        found[DRIFT] = math.ceil(day.slow_points * POINT)
    return found


def strength_of(day: AnomalyDay) -> float:
    """T of the day."""
    return sum(sorted(day.evidence.values())[-_STRONGEST:])


def strongest(day: AnomalyDay) -> tuple[str, ...]:
    """Activities whose evidence made T, the strangest first."""
    strange = sorted((-e, activity) for activity, e in day.evidence.items() if e > 0)
    return tuple(activity for _, activity in strange[:_STRONGEST])


def activities_of(day: AnomalyDay, family: str) -> tuple[str, ...]:
    """Those of the family that were strange, the strangest first; all of it where nothing is known of any."""
    mine = [activity for activity, its in FAMILIES.items() if its == family]
    strange = [activity for activity in mine if day.evidence.get(activity, 0) > 0]
    return tuple(sorted(strange, key=lambda each: -day.evidence[each]) or mine)


def _unjudged(hits: list[RuleHits], judged: Judged) -> list[RuleHits]:
    """Those of rules and days that have more by now than when they were judged, on whatever channel."""
    total: Counter[tuple[str, int]] = Counter()
    for h in hits:
        total[h.rule_id, h.day] += h.hits
    return [h for h in hits if total[h.rule_id, h.day] > judged.get((h.rule_id, h.day), 0)]


def _anomalies(state: SubjectState, family: str, judged: Judged) -> dict[int, StrangePoints]:
    """By day, where there is any that was not judged."""
    found: dict[int, StrangePoints] = {}
    for day, row in state.anomalies.items():
        points = counted(row.points) if row.family == family else 0.0
        slow = counted(row.slow_points) if row.slow_family == family else 0.0
        if not _is_new(points, judged.get((ANOMALY, day))):
            points = 0.0
        if not _is_new(slow, judged.get((DRIFT, day))):
            slow = 0.0
        # Old rows go table by table: without its events nothing of a day can be shown.
        if (points or slow) and any(day in days for days in state.channels.values()):
            found[day] = StrangePoints(points, slow)
    return found


def _is_new(points: float, judged: int | None) -> bool:
    return judged is None or is_clearly_stranger(points, judged / POINT)


def _candidate(
    queue: QueueName, state: SubjectState, day: int, hits: Sequence[RuleHits], strange: StrangePoints
) -> Candidate:
    whole = unrounded_risk(strange.day, _together(day, hits), day, slow_0_100=strange.slow)
    return Candidate(
        queue,
        day,
        risk=round(whole, _RISK_DIGITS),
        points=strange.slow if queue == "slow" else strange.day,
        strength=0.0 if strange is _NONE else strength_of(state.anomalies[day]),
        rules=_risk_on(day, hits, _NONE).score,
    )


def _places(
    state: SubjectState,
    days: Collection[int],
    family: str,
    hits: list[RuleHits],
    anomalies: Mapping[int, StrangePoints],
    reaches: Mapping[str, Reach],
) -> tuple[set[tuple[str, int]], set[tuple[str, int]]]:
    """Those of rules and anomalies, and those of what correlations count."""
    found: set[tuple[str, int]] = set()
    for day in days:
        if day in anomalies:
            found.update(_anomaly_places(state, day, family))
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


def _anomaly_places(state: SubjectState, day: int, family: str) -> Iterator[tuple[str, int]]:
    """Channels that fed what was strange; where the day has none of them, all that it has."""
    there = {channel for channel, rows in state.channels.items() if day in rows}
    fed = frozenset[str]()
    for activity in activities_of(state.anomalies[day], family):
        source = SOURCES[activity]
        fed |= source.own | source.company | source.or_company
    for channel in (there & fed) or (there & channels_of(family)) or there:
        yield channel, day


def _hits_on(day: int, hits: Sequence[RuleHits]) -> list[RuleHits]:
    return [h for h in hits if day - RULE_DAYS_BACK < h.day <= day]


def _risk_on(day: int, hits: Sequence[RuleHits], strange: StrangePoints) -> Risk:
    return risk(strange.day, _together(day, hits), day, slow_0_100=strange.slow)


def _together(day: int, hits: Sequence[RuleHits]) -> list[RuleDay]:
    """Channels of a day as one."""
    together: dict[tuple[str, int], tuple[Level, int]] = {}
    for h in sorted(_hits_on(day, hits), key=lambda h: (h.last_version, PI[h.level])):
        # A rule that changed during the day has one level: that of its highest version.
        _, before = together.get((h.rule_id, h.day), (h.level, 0))
        together[h.rule_id, h.day] = (h.level, before + h.hits)
    return [RuleDay(rule_id, level, at, count) for (rule_id, at), (level, count) in together.items()]
