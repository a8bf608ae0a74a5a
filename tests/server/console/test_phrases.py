"""Every phrase that the console says is there in Chinese, and none is kept that nobody says."""

from __future__ import annotations

import ast
import re
import string
from pathlib import Path

import pytest

from server.console.navigation import PLACES
from server.console.phrases import FOLDER, chinese, chinese_files, phrase

CONSOLE = FOLDER.parent
_SAID_IN_TEMPLATES = re.compile(r"""\bt\(\s*(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)')""")
_FUNCTIONS = frozenset({"text", "phrase", "t", "say", "Phrase"})
"""What a phrase is an argument of in Python: ask.text("…"), phrase("…", language), Phrase("…")."""


def said_in_templates() -> dict[str, str]:
    found = {}
    for path in sorted((CONSOLE / "templates").rglob("*.html")):
        for double, single in _SAID_IN_TEMPLATES.findall(path.read_text(encoding="utf-8")):
            found[(double or single).replace("\\'", "'").replace('\\"', '"')] = path.name
    return found


def said_in_python() -> dict[str, str]:
    found = {}
    for path in sorted(CONSOLE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            first = node.args[0]
            if name in _FUNCTIONS and isinstance(first, ast.Constant) and isinstance(first.value, str):
                found[first.value] = path.name
    return found


def test_every_phrase_is_there_in_chinese() -> None:
    said = said_in_templates() | said_in_python() | {place.name: "navigation.py" for place in PLACES}
    assert len(said) > 40
    missing = {words: where for words, where in said.items() if words not in chinese()}
    assert missing == {}


def test_no_two_files_say_a_phrase_differently() -> None:
    differing = {
        words: {said, chinese()[words]}
        for phrases in chinese_files().values()
        for words, said in phrases.items()
        if said != chinese()[words]
    }
    assert differing == {}


def test_both_languages_hold_the_same_values() -> None:
    for words, said in chinese().items():
        fields = {name for _, name, _, _ in string.Formatter().parse(words) if name}
        assert {name for _, name, _, _ in string.Formatter().parse(said) if name} == fields, words


def test_chinese_is_chinese() -> None:
    for words, said in chinese().items():
        assert said.strip(), words
    translated = [said for words, said in chinese().items() if re.search(r"[\u4e00-\u9fff]", said)]
    assert len(translated) > 0.8 * len(chinese())


@pytest.mark.parametrize(("n", "said"), [(1, "1 alert"), (2, "2 alerts"), (0, "0 alerts")])
def test_one_and_many(n: int, said: str) -> None:
    assert phrase("{n} alert|{n} alerts", "en", n=n) == said


def test_each_file_is_of_a_page() -> None:
    assert {path.suffix for path in Path(FOLDER).iterdir()} == {".toml"}
