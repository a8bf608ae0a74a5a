"""What the console says, in English and Simplified Chinese.

The English text is the key. phrases/*.toml hold the Chinese, a file a page; the same phrase in two files must
say the same. Where a phrase has `|`, the part before it is for one (`n=1`), the part behind for more.
"""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Final, Literal, get_args

Language = Literal["en", "zh"]
LANGUAGES: Final[tuple[Language, ...]] = get_args(Language)
FOLDER: Final = Path(__file__).parent / "phrases"


@cache
def chinese() -> dict[str, str]:
    """All of them; where two files differ the first one counts, and a test fails."""
    found: dict[str, str] = {}
    for said in chinese_files().values():
        found = said | found
    return found


def chinese_files() -> dict[str, dict[str, str]]:
    """By the name of the file."""
    return {
        path.name: tomllib.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.toml"))
    }


def phrase(words: str, language: Language, **values: object) -> str:
    """In English where the Chinese is missing, which a test finds."""
    said = chinese().get(words, words) if language == "zh" else words
    if "|" in said:
        one, _, more = said.partition("|")
        said = one if values.get("n") == 1 else more
    return said.format(**values) if values else said
