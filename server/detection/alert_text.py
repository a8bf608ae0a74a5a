"""What an alert says: the sentence, and the facts that it was made from. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import msgspec

from analytics.act_sentence import ActFacts, ChannelAmount, act_sentence
from analytics.explanation import Language, copy_facts, sentence
from analytics.step_words import StepFacts, step_words
from analytics.top_features import Explanation, explain, feature_line
from server.detection.assessment import Assessment
from server.detection.storage_anomaly import CHANNEL, FAMILY, StorageAnomaly, storage_day
from server.people.calendar import Calendar
from server.pipeline.subject_state import BORROWED, ChannelDay, SubjectState, borrowed, is_borrowed

# The sentence counts whole days; the alert's evidence leaves out what was judged.
_AGAIN_EN = "; part of it was judged before and is not among this alert's evidence"
_AGAIN_ZH = "；其中一部分此前已处理，不在本告警的证据中"
LATE_EN = "; an event that came late completed it"
_LATE_ZH = "；由迟到的事件补全"


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
    steps: Sequence[StepFacts] = (),
    late: Collection[str] = (),
) -> AlertText:
    """Words and facts of the assessment's peak day. again: on its days something was judged before. `steps`:
    of a sequence that was completed on it. `late`: correlations that an event completed which came late.

    facts: `day` (local), `days`, `channels`, `rules` (id, title, level, days, hits, versions; `late` where it
    is so), `steps` (step_words.StepFacts) of a sequence; of removable
    storage `copy` (explanation.CopyFacts), `features` (lines by language), `explained`,
    `unusual_combination`, `anomaly` (0–100); of other channels `act` (act_sentence.ActFacts).
    """
    about = _Whom(peer_group, days_to_last_day, person_known, again, tuple(steps), frozenset(late))
    through_others = {channel for channel, day in assessment.places if day == assessment.peak} == {
        borrowed(CHANNEL)
    }
    if assessment.family == FAMILY and not through_others:
        return _storage_text(state, assessment, scorer, about)
    return _act_text(state, assessment, scorer.calendar, about)


class _Whom(msgspec.Struct, frozen=True):
    peer_group: str
    days_to_last_day: int | None
    person_known: bool
    again: bool
    steps: tuple[StepFacts, ...]
    late: frozenset[str]

    def ending(self, language: Language) -> str:
        words = {"en": (LATE_EN, _AGAIN_EN), "zh": (_LATE_ZH, _AGAIN_ZH)}[language]
        return (words[0] if self.late else "") + (words[1] if self.again else "")

    def in_order(self, language: Language) -> str:
        """The sequence beside what else the day holds."""
        if not self.steps:
            return ""
        said = step_words(self.steps, language)
        return f"；依次：{said}" if language == "zh" else f"; in this order: {said}"


def _storage_text(
    state: SubjectState, assessment: Assessment, scorer: StorageAnomaly, about: _Whom
) -> AlertText:
    day = assessment.peak
    row = state.days(CHANNEL).get(day) or ChannelDay(CHANNEL, day, scorer.calendar.day_type(day))
    history = scorer.history(state, day)
    model = scorer.model
    today = storage_day(row)
    facts = copy_facts(
        today,
        history,
        model.peers(about.peer_group) if model is not None else None,
        days_to_last_day=about.days_to_last_day,
        person_known=about.person_known,
    )
    explanation = (
        explain(model, today, scorer.calendar.day_type(day), history, about.peer_group)
        if model is not None
        else Explanation((), 0.0, False)
    )
    return AlertText(
        sentence={
            "en": sentence(facts, "en") + about.in_order("en") + about.ending("en"),
            "zh": sentence(facts, "zh") + about.in_order("zh") + about.ending("zh"),
        },
        facts=_shared(assessment, about)
        | {
            "copy": msgspec.to_builtins(facts),
            "features": {
                "en": [feature_line(f, "en") for f in explanation.top],
                "zh": [feature_line(f, "zh") for f in explanation.top],
            },
            "explained": round(explanation.explained, 3),
            "unusual_combination": explanation.unusual_combination,
            "anomaly": round(strange.points, 1) if (strange := state.anomalies.get(day)) else 0.0,
        },
    )


def _act_text(state: SubjectState, assessment: Assessment, calendar: Calendar, about: _Whom) -> AlertText:
    """Of a channel without an anomaly model: its peak day, the channel with the most of it first."""
    day = assessment.peak
    rows = [
        state.days(channel).get(day) or ChannelDay(channel, day, calendar.day_type(day))
        for channel, at in assessment.places
        if at == day
    ]
    rows.sort(key=lambda each: (each.items, each.events, each.channel), reverse=True)
    row = rows[0]
    on_peak = {hits.rule_id for hits in assessment.hits if hits.day == day}
    only_steps = bool(about.steps) and on_peak <= {rule_id for rule_id, _ in assessment.correlated}
    facts = ActFacts(
        channel=_plain(row.channel),
        items=_counted(row),
        bytes=row.bytes,
        new_place=row.new_places > 0,
        days_to_last_day=about.days_to_last_day,
        person_known=about.person_known,
        others=tuple(ChannelAmount(_plain(each.channel), _counted(each), each.bytes) for each in rows[1:]),
        other_days=len(assessment.days) - 1,
        borrowed=is_borrowed(row.channel),
        steps=about.steps if only_steps else (),
    )
    more_en, more_zh = ("", "") if only_steps else (about.in_order("en"), about.in_order("zh"))
    return AlertText(
        sentence={
            "en": act_sentence(facts, "en") + more_en + about.ending("en"),
            "zh": act_sentence(facts, "zh") + more_zh + about.ending("zh"),
        },
        facts=_shared(assessment, about) | {"act": msgspec.to_builtins(facts)},
    )


def _plain(channel: str) -> str:
    return channel.removesuffix(BORROWED)


def _counted(row: ChannelDay) -> int:
    """A mail's items are its recipients' domains (enrich/amounts.py); the sentence counts attachments."""
    return row.files if _plain(row.channel) == "mail" else row.items


def _shared(assessment: Assessment, about: _Whom) -> dict[str, Any]:
    steps = {"steps": msgspec.to_builtins(about.steps)} if about.steps else {}
    return steps | {
        "day": assessment.peak,
        "days": list(assessment.days),
        "channels": sorted({_plain(channel) for channel, _ in assessment.places}),
        "rules": [rule | {"late": True} if rule["id"] in about.late else rule for rule in _rules(assessment)],
    }


def _rules(assessment: Assessment) -> list[dict[str, Any]]:
    by_rule: dict[str, dict[str, Any]] = {}
    for hits in assessment.hits:
        entry = by_rule.setdefault(
            hits.rule_id,
            {
                "id": hits.rule_id,
                "title": hits.title,
                "level": hits.level,
                "days": 0,
                "hits": 0,
                "versions": [],
            },
        )
        fired = {*entry["versions"], hits.first_version, hits.last_version}
        entry["versions"] = sorted(fired - {0})
        entry["days"] += 1
        entry["hits"] += hits.hits
    return sorted(by_rule.values(), key=lambda entry: str(entry["id"]))
