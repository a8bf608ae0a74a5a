"""What an alert says: the facts that the assessment gives, and the sentence that is made from them. Pure.

What the model makes of the peak day comes to the facts when the alert opens (explained_facts.py); a held
alert has none of it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

import msgspec

from analytics.act_sentence import ActFacts, ChannelAmount, act_sentence
from analytics.alert_explanation import AlertExplanation
from analytics.explanation import CopyFacts, Language, TotalFacts, copy_facts, sentence
from analytics.explanation_words import LANGUAGES, strange_words
from analytics.step_words import StepFacts, step_words
from server.detection.activity_families import FAMILIES
from server.detection.assessment import Assessment, strongest
from server.people.calendar import Calendar
from server.pipeline.anomaly_day import AnomalyDay
from server.pipeline.subject_state import BORROWED, ChannelDay, SubjectState, borrowed, is_borrowed

COPYING: Final = "removable_storage"
"""The activity, and the channel, with a sentence of its own."""
# The sentence counts whole days; the alert's evidence leaves out what was judged.
_AGAIN: Final[dict[Language, str]] = {
    "en": "; part of it was judged before and is not among this alert's evidence",
    "zh": "；其中一部分此前已处理，不在本告警的证据中",
}
LATE_EN: Final = "; an event that came late completed it"
_LATE: Final[dict[Language, str]] = {"en": LATE_EN, "zh": "；由迟到的事件补全"}


def alert_facts(
    state: SubjectState,
    assessment: Assessment,
    calendar: Calendar,
    *,
    days_to_last_day: int | None,
    person_known: bool,
    again: bool = False,
    steps: Sequence[StepFacts] = (),
    late: Collection[str] = (),
) -> dict[str, Any]:
    """JSON values about the assessment's peak day. again: on its days something was judged before. `steps`:
    of a sequence that was completed on it. `late`: correlations that an event completed which came late.

    `day` (local), `days`, `total` (explanation.TotalFacts), `channels`, `rules` (id, title, level, days,
    hits, versions; `late` where it is so), `strange` (activities, the strangest first), `steps`
    (step_words.StepFacts) of a sequence, `again` where it is so; of removable storage `copy`
    (explanation.CopyFacts), of all else `act`
    (act_sentence.ActFacts). explained_facts.py adds `explanation`. Alerts of older versions have, of
    removable storage, in its place `features` (lines by language), `explained`, `unusual_combination` and
    `anomaly` (0–100).
    """
    through_others = {channel for channel, day in assessment.places if day == assessment.peak} == {
        borrowed(COPYING)
    }
    if assessment.family == FAMILIES[COPYING] and not through_others:
        copy = _copy(state, assessment, calendar, days_to_last_day, person_known=person_known)
        told = {"copy": msgspec.to_builtins(copy)}
    else:
        act = _act(state, assessment, calendar, days_to_last_day, tuple(steps), person_known=person_known)
        told = {"act": msgspec.to_builtins(act)}
    rules = [rule | {"late": True} if rule["id"] in late else rule for rule in _rules(assessment)]
    return (
        ({"steps": msgspec.to_builtins(tuple(steps))} if steps else {})
        | ({"again": True} if again else {})
        | {
            "day": assessment.peak,
            "days": list(assessment.days),
            "total": msgspec.to_builtins(total_of(state, assessment)),
            "channels": sorted({_plain(channel) for channel, _ in assessment.places}),
            "rules": rules,
            "strange": _strange(state, assessment),
        }
        | told
    )


def total_of(state: SubjectState, assessment: Assessment) -> TotalFacts:
    """Of the days that are evidence whole, as far as they are still there."""
    whole = (place for place in assessment.places if place in assessment.whole)
    found = (state.days(channel).get(day) for channel, day in whole)
    rows = [row for row in found if row is not None]
    return TotalFacts(
        len({row.day for row in rows}), sum(row.files for row in rows), sum(row.bytes for row in rows)
    )


def alert_sentence(facts: Mapping[str, Any]) -> dict[str, str]:
    """By language, from what `alert_facts` gives, with `explanation` or without."""
    return {str(language): _sentence(facts, language) for language in LANGUAGES}


def _sentence(facts: Mapping[str, Any], language: Language) -> str:
    explanation = None
    if "explanation" in facts:
        explanation = msgspec.convert(facts["explanation"], AlertExplanation, strict=False)
    steps = msgspec.convert(facts.get("steps", ()), tuple[StepFacts, ...])
    total = msgspec.convert(facts["total"], TotalFacts) if "total" in facts else None
    if "copy" in facts:
        copy = msgspec.convert(facts["copy"], CopyFacts, strict=False)
        told = strange_words(explanation, COPYING, language, taken=copy.bytes) if explanation else []
        levels = [rule["level"] for rule in facts["rules"]]
        more = [_in_order(steps, language), *told]
        words = sentence(copy, language, more, levels=levels, total=total)
    else:
        act = msgspec.convert(facts["act"], ActFacts, strict=False)
        told = strange_words(explanation, None, language) if explanation else []
        # Of steps alone the sentence tells instead of the day's amounts.
        more = ["" if act.steps else _in_order(steps, language), *told]
        words = act_sentence(act, language, more, total=total)
    if any(rule.get("late") for rule in facts["rules"]):
        words += _LATE[language]
    return words + (_AGAIN[language] if facts.get("again") else "")


def _in_order(steps: Sequence[StepFacts], language: Language) -> str:
    """The sequence beside what else the day holds."""
    if not steps:
        return ""
    said = step_words(steps, language)
    return f"依次：{said}" if language == "zh" else f"in this order: {said}"


def _strange(state: SubjectState, assessment: Assessment) -> list[str]:
    day = state.anomalies.get(assessment.peak) or AnomalyDay(assessment.peak)
    return list(strongest(day)) if assessment.family in (day.family, day.slow_family) else []


def _copy(
    state: SubjectState,
    assessment: Assessment,
    calendar: Calendar,
    days_to_last_day: int | None,
    *,
    person_known: bool,
) -> CopyFacts:
    day = assessment.peak
    row = state.days(COPYING).get(day) or ChannelDay(COPYING, day, calendar.day_type(day))
    return copy_facts(
        row.bytes,
        row.files,
        new_device=row.new_places > 0,
        subject=None,
        model=None,
        days_to_last_day=days_to_last_day,
        person_known=person_known,
    )


def _act(
    state: SubjectState,
    assessment: Assessment,
    calendar: Calendar,
    days_to_last_day: int | None,
    steps: tuple[StepFacts, ...],
    *,
    person_known: bool,
) -> ActFacts:
    """Of all other families: the peak day's acts, the channel with the most of them first."""
    day = assessment.peak
    channels = [channel for channel, at in assessment.places if at == day] or [COPYING]
    rows = [
        state.days(channel).get(day) or ChannelDay(channel, day, calendar.day_type(day))
        for channel in channels
    ]
    rows.sort(key=lambda each: (each.items, each.events, each.channel), reverse=True)
    row = rows[0]
    on_peak = {hits.rule_id for hits in assessment.hits if hits.day == day}
    only_steps = bool(steps) and on_peak <= {rule_id for rule_id, _ in assessment.correlated}
    return ActFacts(
        channel=_plain(row.channel),
        items=_counted(row),
        bytes=row.bytes,
        new_place=row.new_places > 0,
        days_to_last_day=days_to_last_day,
        person_known=person_known,
        others=tuple(ChannelAmount(_plain(each.channel), _counted(each), each.bytes) for each in rows[1:]),
        other_days=len(assessment.days) - 1,
        borrowed=is_borrowed(row.channel),
        steps=steps if only_steps else (),
    )


def _plain(channel: str) -> str:
    return channel.removesuffix(BORROWED)


def _counted(row: ChannelDay) -> int:
    """A mail's items are its recipients' domains (enrich/amounts.py); the sentence counts attachments."""
    return row.files if _plain(row.channel) == "mail" else row.items


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
