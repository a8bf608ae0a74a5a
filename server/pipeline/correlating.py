"""Correlations in a batch: the hits of one event go in, and what is complete now is a hit of its subject.

Such a hit stands on the day of the event that completed it (of a window of whole days: the day that did),
under a channel of its own, since several may have led to it; where its evidence lies is told by the hits of
the rules that it counts (detection/assessment.py). A rule without a family makes no alert; its hits are kept
all the same, for they say on which days a correlation's evidence is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from event_schema.ocsf_events import Event
from policies.correlation.correlator import Counts
from policies.engine import PolicyHit, PolicySet
from server.pipeline.step_notes import note_of
from server.pipeline.subject_correlations import event_name
from server.pipeline.subject_state import CORRELATED, SubjectState

_NOTHING: Final[Mapping[str, Any]] = {}


class Correlating:
    """For one batch. `counts`: what bounds dropped."""

    def __init__(self, policies: PolicySet) -> None:
        self._policies = policies
        self._correlated = policies.correlated
        self.counts = Counts()

    def dropped(self) -> dict[str, int]:
        """By bound, where it is not zero."""
        return dropped_of(self.counts)

    def take(
        self,
        state: SubjectState,
        event: Event,
        leaver: Mapping[str, Any],
        hits: Sequence[PolicyHit],
        *,
        place: tuple[str, str, int],
        at: tuple[int, int],
        last_day: int | None = None,
    ) -> None:
        """`place`: (agent, epoch, seq). `leaver`: plain. `at`: the corrected time (ms), the local day.
        `last_day`: the subject's last working day."""
        time, day = at
        rules = self._correlated.counted([hit.rule_id for hit in hits])
        if not rules:
            return
        read = self._correlated.reader(rules, type(event))
        record = _NOTHING if read is None else read(event, leaver)
        name = event_name(*place)
        note = None if self._correlated.told.isdisjoint(rules) else note_of(event)
        found = state.correlations.take(
            self._correlated, rules, name, record, time=time, day=day, counts=self.counts, note=note
        )
        for alert in found:
            hit = self._policies.correlation_hit(self._correlated.id_of(alert))
            state.rule_hit(
                (hit.rule_id, CORRELATED, alert.day),
                family=hit.family,
                level=hit.level,
                title=hit.title,
                version=hit.version,
                time=alert.time,
                begun=alert.begun,
                count=alert.count,
                outside_budget=hit.outside_budget or is_after(alert.day, last_day),
            )


def is_after(day: int, last_day: int | None) -> bool:
    """The last working day: who has left is told by rules, outside of the budget."""
    return last_day is not None and day > last_day


def dropped_of(counts: Counts) -> dict[str, int]:
    """By bound, where it is not zero."""
    return {name: count for name, count in msgspec.structs.asdict(counts).items() if count}
