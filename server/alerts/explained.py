"""An alert's explanation in words, from its facts (detection/alert_text.py), whichever version wrote them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from analytics.alert_explanation import AlertExplanation
from analytics.explanation import Language
from analytics.explanation_words import (
    ACTIVITY_WORDS,
    LANGUAGES,
    check_words,
    explanation_words,
)
from analytics.told_explanation import ExplanationWords


class _Older(msgspec.Struct, frozen=True):
    """What alerts about removable storage held when only that was scored: lines by language."""

    features: dict[str, tuple[str, ...]]
    explained: float = 0.0
    unusual_combination: bool = False


_NOTHING: Final = ExplanationWords()
_WHEN_OPEN: Final[dict[Language, str]] = {
    "en": "what stands out of it is worked out when the alert is let through",
    "zh": "具体异常之处在告警放行后给出",
}


def explained(facts: Mapping[str, Any], *, held: bool = False) -> dict[str, ExplanationWords]:
    """By language. Of a held alert only which activities were strange. Empty where nothing is explained, or
    by a version that this one cannot read."""
    try:
        if "explanation" in facts:
            found = msgspec.convert(facts["explanation"], AlertExplanation, strict=False)
            words = {str(language): explanation_words(found, language) for language in LANGUAGES}
        elif facts.get("strange"):
            strange = msgspec.convert(facts["strange"], tuple[str, ...])
            words = {str(language): _only_activities(strange, language, held=held) for language in LANGUAGES}
        elif "features" in facts:
            older = msgspec.convert(dict(facts), _Older, strict=False)
            words = {str(language): _older_words(older, language) for language in LANGUAGES}
        else:
            return {}
    except msgspec.ValidationError:
        return {}
    return {} if all(each == _NOTHING for each in words.values()) else words


def _only_activities(strange: Sequence[str], language: Language, *, held: bool) -> ExplanationWords:
    names = [ACTIVITY_WORDS.get(each, (each, each))[language == "zh"] for each in strange]
    line = ("、" if language == "zh" else ", ").join(names)
    return ExplanationWords(stands_out=(line, _WHEN_OPEN[language]) if held else (line,))


def _older_words(older: _Older, language: Language) -> ExplanationWords:
    lines = older.features.get(language, ())
    if not lines:
        return _NOTHING
    check = check_words(older.explained, language, combination=older.unusual_combination)
    return ExplanationWords(stands_out=lines, check=(check,))
