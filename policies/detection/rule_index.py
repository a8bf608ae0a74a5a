"""Which of many rules an event could make fire: by field, a hash of whole texts and numbers, an automaton.

Every rule lies in a bucket for each of its witnesses (witnesses.py). Looking an event up costs one hash
access and one run of an Aho-Corasick automaton over each field that some rule's witness is about, however
many rules there are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import ahocorasick  # type: ignore[import-not-found]

from policies.detection.texts import all_texts, lowered
from policies.detection.witnesses import NUMBER, PIECE, PRESENT, WHOLE, Atom
from policies.field_reader import LISTS

_FEW_PIECES: Final = 6

Bucket = tuple[int, ...]


class _FieldIndex:
    """Buckets of one field."""

    __slots__ = ("few", "numbers", "present", "scan", "whole")

    def __init__(self, atoms: Mapping[Atom, Bucket]) -> None:
        pieces = {atom.value: bucket for atom, bucket in atoms.items() if atom.kind == PIECE}
        self.whole = {atom.value: bucket for atom, bucket in atoms.items() if atom.kind == WHOLE}
        self.numbers = {atom.value: bucket for atom, bucket in atoms.items() if atom.kind == NUMBER}
        self.present: Bucket = next((b for atom, b in atoms.items() if atom.kind == PRESENT), ())
        self.few: list[tuple[Any, Bucket]] = list(pieces.items()) if len(pieces) <= _FEW_PIECES else []
        self.scan: Any = None
        if len(pieces) > _FEW_PIECES:
            automaton = ahocorasick.Automaton()
            for piece, bucket in pieces.items():
                automaton.add_word(piece, bucket)
            automaton.make_automaton()
            self.scan = automaton.iter

    def add_text(self, text: str, possible: set[int]) -> None:
        if text in self.whole:
            possible.update(self.whole[text])
        if self.scan is not None:
            for _, bucket in self.scan(text):
                possible.update(bucket)
        else:
            for piece, bucket in self.few:
                if piece in text:
                    possible.update(bucket)

    def add_numbers(self, value: Any, possible: set[int]) -> None:
        for each in value if isinstance(value, LISTS) else (value,):
            number: Any = each
            if each.__class__ is str:
                try:
                    number = float(each)
                except ValueError:
                    continue
            if isinstance(number, int | float) and number in self.numbers:
                possible.update(self.numbers[number])


class RuleIndex:
    """`witnesses` by rule number; None: the rule is looked at for every event."""

    def __init__(self, witnesses: Sequence[frozenset[Atom] | None], position: Mapping[str, int]) -> None:
        by_atom: dict[Atom, list[int]] = {}
        always: list[int] = []
        for number, atoms in enumerate(witnesses):
            if atoms is None or any(atom.field is None and atom.kind == PRESENT for atom in atoms):
                always.append(number)
            else:
                for atom in atoms:
                    by_atom.setdefault(atom, []).append(number)
        self.always: Final = frozenset(always)
        by_field: dict[str | None, dict[Atom, Bucket]] = {}
        for atom, numbers in by_atom.items():
            by_field.setdefault(atom.field, {})[atom] = tuple(numbers)
        self._fields: Final[list[_FieldIndex | None]] = [None] * (len(position) + 1)
        for field, atoms_of_field in by_field.items():
            if field is not None:
                self._fields[position[field]] = _FieldIndex(atoms_of_field)
        self._anywhere: Final = _FieldIndex(by_field[None]) if None in by_field else None

    def candidates(self, values: list[Any], texts: list[Any], found: Sequence[int]) -> set[int]:
        """Rules that may fire. `found`: the places with a value; their `texts` are filled in already."""
        possible = set(self.always)
        fields = self._fields
        for place in found:
            field = fields[place]
            if field is None:
                continue
            if field.present:
                possible.update(field.present)
            text = texts[place]
            if text.__class__ is str:
                field.add_text(text, possible)
            elif text is not None:
                for each in text:
                    field.add_text(each, possible)
            if field.numbers:
                field.add_numbers(values[place], possible)
        if self._anywhere is not None:
            texts[0] = every = all_texts(values[0])
            for each in every:
                possible.update(self._anywhere.whole.get(each, ()))
            self._anywhere.add_text("\0".join(every), possible)
        return possible


def fill_texts(values: list[Any], texts: list[Any], found: Sequence[int]) -> None:
    for place in found:
        value = values[place]
        texts[place] = value.lower() if value.__class__ is str else lowered(value)
