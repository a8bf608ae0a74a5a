"""What the hits of one event do: the days of rules of whoever they count for, and what correlations find.
The same code for events as they come or are scored again (event_scoring.py), and for a back-test."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from analytics.fading import faded
from analytics.risk import Level
from event_schema.ocsf_events import Event
from policies.engine import PolicyHit
from server.enrich.enrichment import Enriched
from server.pipeline.correlating import Correlating, is_after
from server.pipeline.subject_state import SubjectState, is_borrowed


class EventPlace(NamedTuple):
    """By which an event is known."""

    agent: str
    epoch: str
    seq: int


Counted = tuple[SubjectState, str, int]
"""Where a hit counts: state, channel, local day."""
CountedFor = Callable[[Collection[PolicyHit], Event, Enriched, tuple[str, str, int]], Counted | None]
"""(hits of an event, it, what was known, (agent, epoch, seq)); None: they count already, for its suspect, or
are somebody else's task."""


def count_hits(
    hits: Sequence[PolicyHit],
    event: Event,
    enriched: Enriched,
    source: tuple[str, str, int],
    counted_for: CountedFor,
    correlating: Correlating,
) -> None:
    """`hits`: what exceptions left of those of the event. `source`: (agent, epoch, seq)."""
    counted = counted_for(hits, event, enriched, source)
    if counted is None:
        return
    state, channel, day = counted
    last_day = last_day_of(enriched, channel, day)
    for hit in hits:
        state.rule_hit(
            (hit.rule_id, channel, day),
            family=hit.family,
            level=level_of(hit, enriched),
            title=hit.title,
            time=enriched.time,
            version=hit.version,
            outside_budget=hit.outside_budget or is_after(day, last_day),
        )
    at = (enriched.time, day)
    correlating.take(state, event, enriched.known.plain, hits, place=source, at=at, last_day=last_day)


def last_day_of(enriched: Enriched, channel: str, day: int) -> int | None:
    """The last working day of the one whom the hit counts for, as far as the event tells; local."""
    fields = enriched.known.fields
    if is_borrowed(channel) and fields.suspect is not None:
        return day - fields.suspect.days_since_left
    left = fields.person.days_to_last_day
    return None if left is None else day + left


def level_of(hit: PolicyHit, enriched: Enriched) -> Level:
    """It may have faded since the one whom the hit is about left."""
    if not hit.fades:
        return hit.level
    fields = enriched.known.fields
    if hit.about == "suspect" and fields.suspect is not None:
        return faded(hit.level, fields.suspect.days_since_left)
    return faded(hit.level, max(0, -(fields.person.days_to_last_day or 0)))
