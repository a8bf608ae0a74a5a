"""A key of a typed event that decides which rules fire: what their tests say of each of its fields.

The key is a tuple, read by a function that is written for the class of events and the fields that its rules
ask for: a number for all that is known around the event (`leaver.*`), then one part for each field. Kinds
and states stand for themselves; of text, numbers and the like stands what the tests say (outcomes.py); what
lies in lists or below something that may be missing is one part together, and None where that is missing.

Only attribute names of our own event classes are written into the source; rules reach it as functions.
"""

from __future__ import annotations

import enum
import itertools
import types
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, Final

import msgspec

from policies.detection.condition_tree import FieldTest, Tree
from policies.detection.outcomes import Outcome, comparisons, outcome_of, tests_by_field
from policies.event_rows import LEAVER, field_type, is_always_there, options_of, reach
from policies.field_reader import FieldReader
from policies.typed_paths import path_reader
from policies.value_tests import field_values_fit

_TEXTS_KEPT: Final = 2_000
_LEAVER_KEPT: Final = 50_000

Key = Callable[[msgspec.Struct, Mapping[str, Any]], Hashable]


class EventKeys:
    """`key(event, leaver)`; `leaver` is plain and must not change: it is known again by its identity."""

    def __init__(self, kind: type[msgspec.Struct], trees: Sequence[Tree]) -> None:
        outcomes = {field: outcome_of(field, tests) for field, tests in tests_by_field(trees).items()}
        leaver = {f.removeprefix(LEAVER): each for f, each in outcomes.items() if f.startswith(LEAVER)}
        self._leaver: Final = _Outcomes(leaver, [test for tree in trees for test in comparisons(tree)])
        self._numbers: Final[dict[Hashable, int]] = {}
        self._next_number: Final = itertools.count()
        self._known: Final[dict[int, tuple[Mapping[str, Any], int]]] = {}
        writer = _Writer(kind, {"known": self._known, "number_of": self._number_of})
        gates: dict[tuple[str, ...], dict[str, Outcome]] = {}
        for field, outcome in outcomes.items():
            if field.startswith(LEAVER):
                continue
            parts = field.split(".")
            reached = reach(kind, parts)
            if reached is True:
                writer.add_field(parts, outcome)
            elif reached is False:
                gates.setdefault(_gate(kind, parts), {})[field] = outcome
        for gate, below in gates.items():
            writer.add_gate(gate, _below(kind, gate, below))
        self.key: Final[Key] = writer.compiled()

    def _number_of(self, leaver: Mapping[str, Any]) -> int:
        if len(self._known) >= _LEAVER_KEPT:
            self._known.clear()
            self._numbers.clear()
        said = self._leaver(leaver)
        number = self._numbers.get(said)
        if number is None:
            # Never one again that answers stand by.
            number = self._numbers[said] = next(self._next_number)
        # Holding the words themselves keeps their id from being given to others.
        self._known[id(leaver)] = leaver, number
        return number


class _Outcomes:
    """Of several fields of a plain record. `compared`: fields of `leaver`, whose record it is then."""

    def __init__(self, outcomes: Mapping[str, Outcome], compared: Sequence[FieldTest] = ()) -> None:
        pairs = [
            (test.field.removeprefix(LEAVER), test.other.field.removeprefix(LEAVER)) for test in compared
        ]
        self._reader: Final = FieldReader([*outcomes, *(path for pair in pairs for path in pair)])
        position = self._reader.position
        self._outcomes: Final = [(position[path], outcome) for path, outcome in outcomes.items()]
        self._compared: Final = [
            (position[one], position[two], field_values_fit(test.other))
            for (one, two), test in zip(pairs, compared, strict=True)
        ]

    def __call__(self, record: Mapping[str, Any]) -> Hashable:
        values = self._reader.read(record)
        found = [outcome(values[place]) for place, outcome in self._outcomes]
        return (*found, *[fit(values[one], values[two]) for one, two, fit in self._compared])


def _gate(kind: Any, parts: Sequence[str]) -> tuple[str, ...]:
    """The way to the first attribute that may be missing, or has several values."""
    for at, chosen in enumerate(parts):
        part = chosen.partition("[")[0]
        options = options_of(field_type(kind, part))
        if at == len(parts) - 1 or not is_always_there(options):
            return (*parts[:at], part)
        kind = options[0]
    raise AssertionError("a path has an end")


def _below(kind: type[msgspec.Struct], gate: tuple[str, ...], outcomes: Mapping[str, Outcome]) -> Outcome:
    """Of the fields at the gate or below it, from the value that is there."""
    hint: Any = kind
    for part in gate:
        hint = field_type(options_of(hint)[0], part)
    direct: list[tuple[Callable[[Any], Any], Outcome]] = []
    others: dict[str, Outcome] = {}
    for path, outcome in outcomes.items():
        read = path_reader(hint, path.split(".")[len(gate) - 1 :])
        if read is None:
            others[path] = outcome
        else:
            direct.append((read, outcome))
    of_plain = _Outcomes(others)

    def found(value: Any) -> Hashable:
        said = [outcome(read(value)) for read, outcome in direct]
        if others:
            record: Any = msgspec.to_builtins(value, str_keys=True)
            for part in reversed(gate):
                record = {part: record}
            said.append(of_plain(record))
        return tuple(said)

    return found


def _of_texts(outcome: Outcome, known: dict[str | None, Hashable]) -> Outcome:
    def found(value: Any) -> Hashable:
        if len(known) >= _TEXTS_KEPT:
            known.clear()
        said = known[value] = outcome(value)
        return said

    return found


class _Writer:
    """Of the key's function."""

    def __init__(self, kind: type[msgspec.Struct], constants: dict[str, Any]) -> None:
        self._kind: Final = kind
        self._constants: Final = constants
        self._lines: Final[list[str]] = [
            "    kept = known.get(id(leaver))",
            "    n = number_of(leaver) if kept is None else kept[1]",
        ]
        self._names: Final[dict[tuple[str, ...], str]] = {(): "event"}
        self._parts: Final = ["n"]

    def add_field(self, path: Sequence[str], outcome: Outcome) -> None:
        """One that is always reached, and has one value."""
        kind: Any = self._kind
        for part in path[:-1]:
            kind = options_of(field_type(kind, part))[0]
        options = set(options_of(field_type(kind, path[-1])))
        value = self._value(tuple(path))
        some = options - {types.NoneType}
        if some == {bool}:
            self._parts.append(value)
        elif all(issubclass(option, enum.Enum) for option in some):
            # An enumeration's member is slow to hash.
            missing = f"None if {value} is None else " if some != options else ""
            self._parts.append(f"({missing}{value}._value_)")
        elif some == {str}:
            known: dict[str | None, Hashable] = {}
            texts, found = self._constant(known), self._constant(_of_texts(outcome, known))
            name = f"s{len(self._parts)}"
            self._lines.append(f"    {name} = {texts}.get({value})")
            self._lines.append(f"    if {name} is None: {name} = {found}({value})")
            self._parts.append(name)
        else:
            self._parts.append(f"{self._constant(outcome)}({value})")

    def add_gate(self, path: tuple[str, ...], outcome: Outcome) -> None:
        value = self._value(path)
        self._parts.append(f"(None if {value} is None else {self._constant(outcome)}({value}))")

    def compiled(self) -> Key:
        body = "\n".join([*self._lines, f"    return ({', '.join(self._parts)},)"])
        names = dict(self._constants)
        exec(compile(f"def key(event, leaver):\n{body}\n", "<key>", "exec"), names)
        key: Key = names["key"]
        return key

    def _value(self, path: tuple[str, ...]) -> str:
        """The name of a variable that holds it."""
        name = self._names.get(path)
        if name is None:
            parent = self._value(path[:-1])
            name = self._names[path] = f"a{len(self._names)}"
            self._lines.append(f"    {name} = {parent}.{path[-1]}")
        return name

    def _constant(self, value: Any) -> str:
        name = f"c{len(self._constants)}"
        self._constants[name] = value
        return name
