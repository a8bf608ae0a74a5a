"""What an event must hold for a rule to have a chance: the rule's witnesses.

An atom is one thing that an event can be asked for cheaply: a field's whole text, a number, a piece of
text inside it, or that the field is there at all. A rule's witnesses are atoms of which at least one is
true whenever the rule fires; an event that holds none of them need not be looked at by the rule.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import msgspec
from sigma.types import (
    SigmaBool,
    SigmaCasedString,
    SigmaCIDRExpression,
    SigmaCompareExpression,
    SigmaExists,
    SigmaNumber,
    SigmaRegularExpression,
    SigmaTimestampPart,
)

from policies.detection.condition_tree import (
    Either,
    Every,
    FieldTest,
    Kind,
    Negated,
    Shape,
    TextTest,
    Tree,
    ValueTest,
)

_ATOMS_MAX: Final = 20_000
_PRESENT_COST: Final = 2_000.0
"""Of a field that is there: most are, in every event."""


class Atom(msgspec.Struct, frozen=True):
    """`field` None: any value of the event. `value`: text in lower case, a number, or None."""

    field: str | None
    kind: str
    value: str | int | float | None


WHOLE: Final = "whole"
NUMBER: Final = "number"
PIECE: Final = "piece"
PRESENT: Final = "present"


def choose_witnesses(trees: Sequence[Tree]) -> list[frozenset[Atom] | None]:
    """The witnesses of each rule: of all that it has those that fewest events will hold.

    None: it has none, and must be looked at for every event.
    """
    offered = [list(_offers(tree)) for tree in trees]
    uses = Counter(atom for offers in offered for atom in frozenset().union(*offers))
    return [min(offers, key=lambda atoms: _cost(atoms, uses), default=None) for offers in offered]


def _cost(atoms: frozenset[Atom], uses: Counter[Atom]) -> float:
    """What many rules ask for, and what is short, is what many events hold."""
    total = 0.0
    for atom in atoms:
        if atom.kind == PRESENT:
            total += _PRESENT_COST + uses[atom]
        else:
            length = len(atom.value) if isinstance(atom.value, str) else 3
            total += uses[atom] * (1.0 + 64.0 / 2.0**length) + (0.0 if atom.field else 5.0)
    return total


def _offers(tree: Tree) -> Iterator[frozenset[Atom]]:
    """Each is a set of witnesses of its own."""
    match tree:
        case Every(parts=parts):
            for part in parts:
                yield from _offers(part)
        case Either(parts=parts):
            if (found := _of_alternatives(parts)) is not None:
                yield found
        case TextTest(field=field, shapes=shapes):
            yield frozenset(_of_shape(field, shape) for shape in shapes)
        case FieldTest(field=field):
            yield frozenset({Atom(field, PRESENT, None)})
        case ValueTest(field=field, value=value):
            yield from _of_value(field, value)
        case Negated():
            return


def _of_alternatives(parts: Iterable[Tree]) -> frozenset[Atom] | None:
    found: set[Atom] = set()
    for part in parts:
        best = min(_offers(part), key=lambda atoms: _cost(atoms, Counter()), default=None)
        if best is None or len(found) > _ATOMS_MAX:
            return None
        found |= best
    return frozenset(found)


def _of_shape(field: str | None, shape: Shape) -> Atom:
    if shape.kind is Kind.WHOLE:
        return Atom(field, WHOLE, shape.literal)
    if not shape.literal or "\0" in shape.literal:
        return Atom(field, PRESENT, None)
    return Atom(field, PIECE, shape.literal)


def _of_value(field: str | None, value: Any) -> Iterator[frozenset[Atom]]:
    if field is None:
        return
    match value:
        case SigmaCasedString():
            longest = max((part for part in value.s if isinstance(part, str)), key=len, default="")
            # The lower case of a capital sigma depends on what follows it.
            if longest and "\0" not in longest and "Σ" not in longest:
                yield frozenset({Atom(field, PIECE, longest.lower())})
            else:
                yield frozenset({Atom(field, PRESENT, None)})
        case SigmaTimestampPart() | SigmaCompareExpression() | SigmaRegularExpression():
            yield frozenset({Atom(field, PRESENT, None)})
        case SigmaNumber(number=number):
            yield frozenset({Atom(field, NUMBER, number)})
        case SigmaBool(boolean=wanted):
            yield frozenset({Atom(field, WHOLE, "true" if wanted else "false")})
        case SigmaCIDRExpression():
            yield frozenset({Atom(field, PRESENT, None)})
        case SigmaExists(exists=True):
            yield frozenset({Atom(field, PRESENT, None)})
