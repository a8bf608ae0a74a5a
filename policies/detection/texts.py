"""Tests on text that is in lower case already, from a rule's shapes; and an event's values as such text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import ahocorasick  # type: ignore[import-not-found]

from policies.detection.condition_tree import Kind, Shape
from policies.field_reader import LISTS
from policies.string_tests import as_text, compare_parts

_AUTOMATON_FROM: Final = 12
_VALUES_MAX: Final = 10_000

OneText = Callable[[str], bool]


def lowered(found: Any) -> str | list[str] | None:
    """A field's value as tests on text see it: text, a list of texts, or None where there is none."""
    if found.__class__ is str:
        return str.lower(found)
    if isinstance(found, LISTS):
        texts = [text.lower() for text in map(as_text, found) if text is not None]
        return texts or None
    text = as_text(found)
    return None if text is None else text.lower()


def all_values(record: Any) -> list[Any]:
    """Every single value of a record, at any depth, without None; no more than a bounded number of them."""
    values: list[Any] = []
    waiting: list[Any] = [record]
    left = _VALUES_MAX
    while waiting and left:
        left -= 1
        value = waiting.pop()
        if isinstance(value, Mapping):
            waiting.extend(value.values())
        elif isinstance(value, LISTS):
            waiting.extend(value)
        elif value is not None:
            values.append(value)
    return values


def all_texts(record: Any) -> list[str]:
    return [text.lower() for text in map(as_text, all_values(record)) if text is not None]


class ShapeSet:
    """Shapes of one field, sorted by what compares them cheapest. `whole` and so on: literals."""

    def __init__(self, shapes: Iterable[Shape]) -> None:
        by_kind: dict[Kind, list[str]] = {}
        self.patterns: Final[list[OneText]] = []
        for shape in shapes:
            if shape.kind is Kind.PATTERN:
                self.patterns.append(compare_parts(list(shape.parts)))
            else:
                by_kind.setdefault(shape.kind, []).append(shape.literal)
        self.anything: Final = Kind.ANY in by_kind
        self.whole: Final = tuple(by_kind.get(Kind.WHOLE, ()))
        self.starts: Final = tuple(by_kind.get(Kind.START, ()))
        self.ends: Final = tuple(by_kind.get(Kind.END, ()))
        self.inside: Final = tuple(by_kind.get(Kind.INSIDE, ()))


def any_inside(literals: Sequence[str]) -> OneText:
    """Whether one of the literals lies in the text."""
    if len(literals) < _AUTOMATON_FROM or "" in literals:

        def search(text: str) -> bool:
            for literal in literals:  # noqa: SIM110 - a generator in any() costs twice the time
                if literal in text:
                    return True
            return False

        return search
    automaton = ahocorasick.Automaton()
    for literal in literals:
        automaton.add_word(literal, True)
    automaton.make_automaton()
    find = automaton.iter
    return lambda text: next(find(text), None) is not None


def any_text(test: OneText) -> Callable[[Iterable[str]], bool]:
    return lambda texts: any(map(test, texts))
