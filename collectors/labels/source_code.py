"""Which language a text is in: source code, told from prose, tables, logs and configuration.

A linear model over words and runs of signs, each by the logarithm of how often it occurs. The numbers in
languages.json are made by benchmarks/label_languages.py from the tuning half of the corpus.

languages.json: {"classes": [...], "code": [classes that are source code], "bias": [for each class × 100],
"words": {token: [weight × 100 for each class]}}.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Container
from functools import cache
from importlib import resources
from typing import Final

import msgspec

from collectors.labels.typescript import has_types

HEAD_CHARACTERS: Final = 12_000
_FEWEST_TOKENS: Final = 25
_TOKEN: Final = re.compile(r"[A-Za-z_$@#][A-Za-z0-9_]*|\d+|[^\sA-Za-z0-9_]{1,3}|\n[ \t]*")
_SHEBANG: Final = re.compile(
    r"#!\s*\S*?/?(?:env\s+(?:-S\s+)?)?(python|perl|ruby|bash|dash|zsh|ksh|sh|node|php|lua|Rscript)[\d.]*\b"
)
_MARKUP: Final = re.compile(r"(?i)\s*(?:<\?xml|<!doctype|<html|<svg)|\s*[{\[]\s*(?:\"|[{\[]\s*\")")
_INTERPRETED: Final = {
    **dict.fromkeys(("bash", "dash", "zsh", "ksh", "sh"), "shell"),
    "node": "javascript",
    "Rscript": "r",
}
_MARGIN: Final = 0.0
"""By so much (natural logarithm of the odds) code must be likelier than all else."""


class Languages(msgspec.Struct, frozen=True):
    """The numbers."""

    classes: list[str]
    code: list[str]
    bias: list[int]
    words: dict[str, list[int]]


def tokens_of(text: str) -> Counter[str]:
    """Words, numbers as "0", runs of up to three signs, and indents, of the beginning of a text."""
    counted: Counter[str] = Counter()
    for token in _TOKEN.findall(text[:HEAD_CHARACTERS]):
        if token[0] == "\n":
            counted["\n" if len(token) == 1 else "\n\t" if token[1] == "\t" else "\n  "] += 1
        elif token[0].isdigit():
            counted["0"] += 1
        elif ord(token[0]) > 127:
            counted["…"] += 1
        else:
            counted[token[:20]] += 1
    return counted


def language_of(text: str) -> str | None:
    """The language of source code; None for all other text."""
    if _MARKUP.match(text):
        # PHP may stand within a page, and begins with "<?php".
        return None
    shebang = _SHEBANG.match(text)
    if shebang:
        return _INTERPRETED.get(shebang[1], shebang[1])
    found, is_sure = likeliest(tokens_of(text), _languages())
    if found == "typescript" and not has_types(text[:HEAD_CHARACTERS]):
        found = "javascript"
    return found if is_sure else None


def features_of(counted: Counter[str], known: Container[str]) -> list[tuple[str, float]]:
    """The known tokens with their weights; the squares of all weights sum up to 1."""
    found = [(token, math.log2(1 + times)) for token, times in counted.items() if token in known]
    length = math.sqrt(sum(value * value for _, value in found)) or 1.0
    return [(token, value / length) for token, value in found]


def likeliest(counted: Counter[str], languages: Languages) -> tuple[str | None, bool]:
    """(the likeliest class, whether it is source code and clearly likelier than what is not)."""
    if sum(counted.values()) < _FEWEST_TOKENS:
        return None, False
    scores = [float(value) for value in languages.bias]
    for token, weight in features_of(counted, languages.words):
        for at, value in enumerate(languages.words[token]):
            scores[at] += weight * value
    code = set(languages.code)
    ranked = sorted(zip(scores, languages.classes, strict=True), reverse=True)
    best = ranked[0][1]
    best_other = next(score for score, name in ranked if name not in code)
    return best, best in code and (ranked[0][0] - best_other) / 100 > _MARGIN


@cache
def _languages() -> Languages:
    text = resources.files("collectors.labels").joinpath("languages.json").read_text(encoding="utf-8")
    return msgspec.convert(json.loads(text), Languages)
