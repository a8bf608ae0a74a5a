"""What an alert says: the sentence, and the facts that it was made from. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date
from functools import lru_cache
from typing import Any, Final

import msgspec

from analytics.act_sentence import ActFacts, ChannelAmount, act_sentence
from analytics.alert_explanation import AlertExplanation, explain_alert
from analytics.anomaly_explanation import Subject
from analytics.anomaly_model import AnomalyModel
from analytics.calmed_day import Accepted
from analytics.explanation import Language, copy_facts, sentence
from analytics.explanation_words import LANGUAGES, strange_words
from analytics.risk import ANOMALY_SOURCE, COUNTS_FROM, SLOW_SOURCE
from analytics.step_words import StepFacts, step_words
from server.detection.activity_families import FAMILIES
from server.detection.assessment import Assessment
from server.people.calendar import Calendar
from server.pipeline.anomaly_day import AnomalyDay
from server.pipeline.subject_state import BORROWED, ChannelDay, SubjectState, borrowed, is_borrowed

_COPYING: Final = "removable_storage"
"""The activity, and the channel, with a sentence of its own."""
_EXPLAINED_KEPT: Final = 512
_DAY_ZERO: Final = date(1970, 1, 1).toordinal()
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
    subject: Subject | None,
    model: AnomalyModel | None,
    calendar: Calendar,
    *,
    accepted: Sequence[Accepted] = (),
    days_to_last_day: int | None,
    person_known: bool,
    again: bool = False,
    steps: Sequence[StepFacts] = (),
    late: Collection[str] = (),
) -> AlertText:
    """Words and facts of the assessment's peak day. `subject`: as of that day; without it, or without a
    model, nothing is said of what is usual. `accepted`: judgements of harmless that may calm it. again: on
    its days something was judged before. `steps`: of a sequence that was completed on it. `late`:
    correlations that an event completed which came late.

    facts: `day` (local), `days`, `channels`, `rules` (id, title, level, days, hits, versions; `late` where it
    is so), `steps` (step_words.StepFacts) of a sequence; `explanation` (alert_explanation.AlertExplanation)
    where there is a model; of removable storage `copy` (explanation.CopyFacts), of all else `act`
    (act_sentence.ActFacts). Alerts of older versions have, of removable storage, in place of `explanation`
    `features` (lines by language), `explained`, `unusual_combination` and `anomaly` (0–100).
    """
    about = _Whom(days_to_last_day, person_known, again, tuple(steps), frozenset(late))
    through_others = {channel for channel, day in assessment.places if day == assessment.peak} == {
        borrowed(_COPYING)
    }
    explanation = _explanation(state, assessment, subject, model, accepted)
    if assessment.family == FAMILIES[_COPYING] and not through_others:
        text = _storage_text(state, assessment, subject, model, calendar, about, explanation)
    else:
        text = _act_text(state, assessment, calendar, about, explanation)
    if explanation is None:
        return text
    return AlertText(text.sentence, text.facts | {"explanation": msgspec.to_builtins(explanation)})


def _explanation(
    state: SubjectState,
    assessment: Assessment,
    subject: Subject | None,
    model: AnomalyModel | None,
    accepted: Sequence[Accepted],
) -> AlertExplanation | None:
    """Of the anomaly as far as it counts in this alert: the day's may belong to another family's."""
    if model is None or subject is None:
        return None
    day = state.anomalies.get(assessment.peak) or AnomalyDay(assessment.peak)
    counted = {share.source for share in assessment.risk.shares}
    is_calmed = day.points < COUNTS_FROM <= day.uncalmed
    is_ours = day.family == assessment.family and (ANOMALY_SOURCE in counted or is_calmed)
    is_slow = day.slow_family == assessment.family and SLOW_SOURCE in counted
    return _explained(
        model,
        subject,
        assessment.peak + _DAY_ZERO,
        tuple(accepted),
        points=day.points if is_ours else 0.0,
        uncalmed=day.uncalmed if is_ours else 0.0,
        slow_points=day.slow_points if is_slow else 0.0,
    )


_explained: Final = lru_cache(maxsize=_EXPLAINED_KEPT)(explain_alert)
"""A subject's day is the same object until something of it changes (anomaly_scoring.py): it takes a twentieth
of a second, and an open alert is written anew with every batch that has an event of its subject."""


class _Whom(msgspec.Struct, frozen=True):
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
        return f"依次：{said}" if language == "zh" else f"in this order: {said}"


def _storage_text(
    state: SubjectState,
    assessment: Assessment,
    subject: Subject | None,
    model: AnomalyModel | None,
    calendar: Calendar,
    about: _Whom,
    explanation: AlertExplanation | None,
) -> AlertText:
    day = assessment.peak
    row = state.days(_COPYING).get(day) or ChannelDay(_COPYING, day, calendar.day_type(day))
    facts = copy_facts(
        row.bytes,
        row.files,
        new_device=row.new_places > 0,
        subject=subject,
        model=model,
        days_to_last_day=about.days_to_last_day,
        person_known=about.person_known,
    )
    told = {
        language: strange_words(explanation, _COPYING, language, taken=row.bytes) if explanation else []
        for language in LANGUAGES
    }
    return AlertText(
        sentence={
            language: sentence(facts, language, [about.in_order(language), *told[language]])
            + about.ending(language)
            for language in LANGUAGES
        },
        facts=_shared(assessment, about) | {"copy": msgspec.to_builtins(facts)},
    )


def _act_text(
    state: SubjectState,
    assessment: Assessment,
    calendar: Calendar,
    about: _Whom,
    explanation: AlertExplanation | None,
) -> AlertText:
    """Of all other families: the peak day's acts, the channel with the most of them first."""
    day = assessment.peak
    channels = [channel for channel, at in assessment.places if at == day] or [_COPYING]
    rows = [
        state.days(channel).get(day) or ChannelDay(channel, day, calendar.day_type(day))
        for channel in channels
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
    more = {
        language: [
            "" if only_steps else about.in_order(language),
            *(strange_words(explanation, None, language) if explanation else ()),
        ]
        for language in LANGUAGES
    }
    return AlertText(
        sentence={
            language: act_sentence(facts, language, more[language]) + about.ending(language)
            for language in LANGUAGES
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
