"""What can be said of a rule's condition before any event comes: its parts, its fields, its classes."""

from __future__ import annotations

from collections.abc import Iterator

from sigma.types import SigmaNumber

from policies.detection.condition_tree import Either, Every, FieldTest, Negated, TextTest, Tree, ValueTest


def fields_of(tree: Tree) -> Iterator[str]:
    match tree:
        case Every(parts=parts) | Either(parts=parts):
            for part in parts:
                yield from fields_of(part)
        case Negated(part=part):
            yield from fields_of(part)
        case FieldTest(field=field, other=other):
            yield field
            yield other.field
        case TextTest(field=field) | ValueTest(field=field):
            if field is not None:
                yield field


def has_keyword(tree: Tree) -> bool:
    match tree:
        case Every(parts=parts) | Either(parts=parts):
            return any(map(has_keyword, parts))
        case Negated(part=part):
            return has_keyword(part)
        case TextTest(field=field) | ValueTest(field=field):
            return field is None
    return False


def conjuncts(tree: Tree) -> Iterator[Tree]:
    """The tests that must all hold."""
    if isinstance(tree, Every):
        for part in tree.parts:
            yield from conjuncts(part)
    else:
        yield tree


def pinned_classes(tree: Tree) -> frozenset[int] | None:
    """The class_uid values outside of which the condition cannot hold; None: any."""
    match tree:
        case ValueTest(field="class_uid", value=SigmaNumber(number=number)):
            return frozenset({int(number)})
        case ValueTest(field="type_uid", value=SigmaNumber(number=number)):
            return frozenset({int(number) // 100})
        case Every(parts=parts):
            known = [classes for classes in map(pinned_classes, parts) if classes is not None]
            return frozenset.intersection(*known) if known else None
        case Either(parts=parts):
            each = [pinned_classes(part) for part in parts]
            found = [classes for classes in each if classes is not None]
            return frozenset().union(*found) if len(found) == len(each) else None
    return None
