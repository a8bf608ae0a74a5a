"""The Chinese says one word for one thing, as the table of docs/console.md has it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
import pytest

from server.console.phrases import chinese_files

ROOT: Final = Path(__file__).parents[3]
_ROW: Final = re.compile(r"^\| [^|]+ \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
_CHINESE: Final = re.compile(r"[\u4e00-\u9fff]")
_READ_ONLY: Final = frozenset({"hr_columns.py", "hr_words.py"})
"""What HR's files may say, which nobody is shown."""


class Word(msgspec.Struct, frozen=True):
    """The words that are said, and those that are not said in their place."""

    said: tuple[str, ...]
    never: tuple[str, ...]


def table() -> list[Word]:
    text = (ROOT / "docs" / "console.md").read_text(encoding="utf-8")
    section = text.partition("\n## Chinese\n")[2].partition("\n## ")[0]
    return [
        Word(tuple(said.split("; ")), tuple(never.split(", ")))
        for said, never in _ROW.findall(section)
        if _CHINESE.search(said)
    ]


def said() -> Iterator[tuple[str, str]]:
    """(Where, what), of all Chinese that pages, alerts and reports are made of."""
    for file, phrases in chinese_files().items():
        for words in phrases.values():
            yield file, words
    for folder in ("server", "analytics"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if path.name in _READ_ONLY:
                continue
            for node in ast.walk(ast.parse(path.read_bytes())):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield path.name, node.value
    for path in sorted((ROOT / "server" / "console").rglob("*")):
        if path.suffix in (".html", ".js"):
            yield path.name, path.read_text(encoding="utf-8")


def never_said(words: str, word: Word) -> list[str]:
    """What stands there that is no part of the word that is right."""
    right = [found.span() for each in word.said for found in re.finditer(re.escape(each), words)]
    return [
        wrong
        for wrong in word.never
        for found in re.finditer(re.escape(wrong), words)
        if not any(first <= found.start() and found.end() <= last for first, last in right)
    ]


def test_one_word_for_one_thing() -> None:
    words = table()
    everything = [(where, each) for where, each in said() if _CHINESE.search(each)]
    assert len(words) > 20
    assert len(everything) > 1500
    wrong = [
        (where, each, found)
        for where, each in everything
        for word in words
        if (found := never_said(each, word))
    ]
    assert wrong == []


def test_each_word_of_the_table_is_said() -> None:
    everything = "\n".join(each for _, each in said())
    assert [each for word in table() for each in word.said if each not in everything] == []


@pytest.mark.parametrize(
    ("words", "found"),
    [("终端代理已停止", []), ("代理已停止", ["代理"]), ("代理程序已停止", ["代理程序", "代理"])],
)
def test_a_wrong_word_within_the_right_one_is_none(words: str, found: list[str]) -> None:
    assert never_said(words, Word(("终端代理",), ("代理程序", "代理"))) == found
