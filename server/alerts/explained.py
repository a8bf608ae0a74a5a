"""An alert's explanation in words, from its facts (detection/alert_text.py), whichever version wrote them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from analytics.alert_explanation import AlertExplanation
from analytics.explanation import Language
from analytics.explanation_words import LANGUAGES, ExplanationWords, check_words, explanation_words


class _Older(msgspec.Struct, frozen=True):
    """What alerts about removable storage held when only that was scored: lines by language."""

    features: dict[str, tuple[str, ...]]
    explained: float = 0.0
    unusual_combination: bool = False


_NOTHING: Final = ExplanationWords()


def explained(facts: Mapping[str, Any]) -> dict[str, ExplanationWords]:
    """By language; empty where nothing is explained, or by a version that this one cannot read."""
    try:
        if "explanation" in facts:
            found = msgspec.convert(facts["explanation"], AlertExplanation, strict=False)
            words = {str(language): explanation_words(found, language) for language in LANGUAGES}
        elif "features" in facts:
            older = msgspec.convert(dict(facts), _Older, strict=False)
            words = {str(language): _older_words(older, language) for language in LANGUAGES}
        else:
            return {}
    except msgspec.ValidationError:
        return {}
    return {} if all(each == _NOTHING for each in words.values()) else words


def _older_words(older: _Older, language: Language) -> ExplanationWords:
    lines = older.features.get(language, ())
    if not lines:
        return _NOTHING
    check = check_words(older.explained, language, combination=older.unusual_combination)
    return ExplanationWords(stands_out=lines, check=(check,))
