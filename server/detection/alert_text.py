"""What an alert says: the sentence, and the facts that it was made from. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from analytics.explanation import copy_facts, sentence
from analytics.top_features import Explanation, explain, feature_line
from server.detection.assessment import Assessment
from server.detection.storage_anomaly import StorageAnomaly, storage_day
from server.people.calendar import day_type
from server.pipeline.subject_state import ChannelDay, SubjectState

_AGAIN_EN = "; part of it was judged before"
_AGAIN_ZH = "；其中一部分此前已处理"


class AlertText(msgspec.Struct, frozen=True):
    """`sentence`: {"en": …, "zh": …}. `facts`: JSON values, see `alert_text`."""

    sentence: dict[str, str]
    facts: dict[str, Any]


def alert_text(
    state: SubjectState,
    assessment: Assessment,
    scorer: StorageAnomaly,
    *,
    peer_group: str,
    days_to_last_day: int | None,
    person_known: bool,
    again: bool = False,
) -> AlertText:
    """Words and facts of the assessment's peak day. again: on its days something was judged before.

    facts: `day` (local), `days`, `copy` (explanation.CopyFacts), `rules` (id, title, level, days, hits),
    `features` (lines by language), `explained`, `unusual_combination`, `anomaly` (0–100).
    """
    day = assessment.peak
    row = state.days.get(day) or ChannelDay(day, day_type(day))
    history = scorer.history(state, day)
    model = scorer.model
    today = storage_day(row)
    facts = copy_facts(
        today,
        history,
        model.peers(peer_group) if model is not None else None,
        days_to_last_day=days_to_last_day,
        person_known=person_known,
    )
    explanation = (
        explain(model, today, day_type(day), history, peer_group)
        if model is not None
        else Explanation((), 0.0, False)
    )
    return AlertText(
        sentence={
            "en": sentence(facts, "en") + (_AGAIN_EN if again else ""),
            "zh": sentence(facts, "zh") + (_AGAIN_ZH if again else ""),
        },
        facts={
            "day": day,
            "days": list(assessment.days),
            "copy": msgspec.to_builtins(facts),
            "rules": _rules(assessment),
            "features": {
                "en": [feature_line(f, "en") for f in explanation.top],
                "zh": [feature_line(f, "zh") for f in explanation.top],
            },
            "explained": round(explanation.explained, 3),
            "unusual_combination": explanation.unusual_combination,
            "anomaly": round(row.anomaly, 1),
        },
    )


def _rules(assessment: Assessment) -> list[dict[str, Any]]:
    by_rule: dict[str, dict[str, Any]] = {}
    for hits in assessment.hits:
        entry = by_rule.setdefault(
            hits.rule_id,
            {"id": hits.rule_id, "title": hits.title, "level": hits.level, "days": 0, "hits": 0},
        )
        entry["days"] += 1
        entry["hits"] += hits.hits
    return sorted(by_rule.values(), key=lambda entry: str(entry["id"]))
