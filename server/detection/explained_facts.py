"""What the model makes of an alert's peak day, beside the alert's facts (alert_text.py): put in when the
alert is open, taken out when it is held.

Working it out takes a twentieth of a second (the day is scored again many times), so it is not done for
alerts that nobody sees, of which a storm may make thousands. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from functools import lru_cache
from typing import Any, Final

import msgspec

from analytics.alert_explanation import AlertExplanation, explain_alert
from analytics.anomaly_explanation import Subject
from analytics.anomaly_model import AnomalyModel
from analytics.calmed_day import Accepted
from analytics.explanation import CopyFacts, copy_facts
from analytics.risk import ANOMALY_SOURCE, COUNTS_FROM, SLOW_SOURCE
from server.pipeline.anomaly_day import AnomalyDay

_EXPLAINED_KEPT: Final = 512
_DAY_ZERO: Final = date(1970, 1, 1).toordinal()
_EXPLANATION: Final = "explanation"


def explained_facts(
    facts: Mapping[str, Any],
    family: str,
    sources: Collection[str],
    day: AnomalyDay,
    subject: Subject,
    model: AnomalyModel | None,
    accepted: Sequence[Accepted],
) -> dict[str, Any]:
    """`sources`: of the score's shares. `day`, `subject`: the peak day's. `accepted`: judgements of harmless
    that may calm it. Without a model nothing is said but what is usual."""
    found = plain_facts(facts)
    if "copy" in found:
        copy = msgspec.convert(found["copy"], CopyFacts, strict=False)
        told = copy_facts(
            copy.bytes,
            copy.files,
            new_device=copy.new_device,
            subject=subject,
            model=model,
            days_to_last_day=copy.days_to_last_day,
            person_known=copy.person_known,
        )
        found["copy"] = msgspec.to_builtins(told)
    if model is not None:
        explanation = _explanation(family, sources, day, subject, model, accepted)
        found[_EXPLANATION] = msgspec.to_builtins(explanation)
    return found


def plain_facts(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Without what `explained_facts` adds."""
    found = {name: each for name, each in facts.items() if name != _EXPLANATION}
    if "copy" in found:
        copy = msgspec.convert(found["copy"], CopyFacts, strict=False)
        unexplained = msgspec.structs.replace(
            copy, usual_bytes=None, days_since_last_copy=None, known_days=None, peers_percentile=None
        )
        found["copy"] = msgspec.to_builtins(unexplained)
    return found


def is_explained(facts: Mapping[str, Any]) -> bool:
    return _EXPLANATION in facts


def _explanation(
    family: str,
    sources: Collection[str],
    day: AnomalyDay,
    subject: Subject,
    model: AnomalyModel,
    accepted: Sequence[Accepted],
) -> AlertExplanation:
    """Of the anomaly as far as it counts in this alert: the day's may belong to another family's."""
    is_calmed = day.points < COUNTS_FROM <= day.uncalmed
    is_ours = day.family == family and (ANOMALY_SOURCE in sources or is_calmed)
    is_slow = day.slow_family == family and SLOW_SOURCE in sources
    return _explained(
        model,
        subject,
        day.day + _DAY_ZERO,
        tuple(accepted),
        points=day.points if is_ours else 0.0,
        uncalmed=day.uncalmed if is_ours else 0.0,
        slow_points=day.slow_points if is_slow else 0.0,
    )


_explained: Final = lru_cache(maxsize=_EXPLAINED_KEPT)(explain_alert)
"""A subject's day is the same object until something of it changes (anomaly_scoring.py), and an open alert is
written anew with every batch that has an event of its subject."""
