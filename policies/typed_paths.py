"""Fields of typed events that lie in lists, or below a part that may be missing.

The same values as FieldReader gives of the event's plain form, without making one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from types import NoneType
from typing import Any, Final, get_args, get_origin

import msgspec

from policies.event_rows import options_of

_TEXT_LIKE: Final = (str, int, float, bool)

_Step = tuple[str, str | None]
"""An attribute's name, and the type of elements that are chosen of it."""


def path_reader(hint: Any, parts: Sequence[str]) -> Callable[[Any], Any] | None:
    """From a field of this type to what lies at parts[1:] below it; parts[0] is the field, perhaps with a
    choice in brackets. None: it cannot be read so."""
    steps = [(part.partition("[")[0], _choice(part)) for part in parts]
    if steps[-1][1] is not None or not _is_named_so([hint], steps):
        return None
    (_, chosen), *below = steps

    def read(value: Any) -> Any:
        if chosen is not None:
            value = _chosen(value, chosen)
        for at, (name, wanted) in enumerate(below):
            if value.__class__ is tuple:
                return list(_values(value, below, at))
            if not isinstance(value, msgspec.Struct):
                return None
            value = getattr(value, name, None)
            if wanted is not None:
                value = _chosen(value, wanted)
        return _plain(value)

    return read


def _values(value: Any, steps: Sequence[_Step], at: int) -> Iterator[Any]:
    if value.__class__ is tuple:
        for element in value:
            yield from _values(element, steps, at)
    elif at == len(steps):
        if value is not None:
            yield _plain(value)
    elif isinstance(value, msgspec.Struct):
        name, wanted = steps[at]
        inside = getattr(value, name, None)
        yield from _values(inside if wanted is None else _chosen(inside, wanted), steps, at + 1)


def _chosen(value: Any, wanted: str) -> Any:
    return tuple([each for each in value if each.type == wanted]) if value.__class__ is tuple else None


def _plain(value: Any) -> Any:
    return (
        value if value.__class__ in _TEXT_LIKE or value is None else msgspec.to_builtins(value, str_keys=True)
    )


def _choice(part: str) -> str | None:
    return part[part.index("[") + 1 : -1] if part.endswith("]") else None


def _is_named_so(hints: list[Any], steps: Sequence[_Step]) -> bool:
    """Whether all objects on the way have attributes that are written as they are called, and choices are
    made of lists of objects with a type."""
    for at, (name, wanted) in enumerate(steps):
        if at:
            fields = [field for kind in _objects(hints) for field in msgspec.structs.fields(kind)]
            if any((field.name == name) != (field.encode_name == name) for field in fields):
                return False
            hints = [field.type for field in fields if field.name == name]
        if wanted is not None and not all(map(_has_types, hints)):
            return False
    return True


def _has_types(hint: Any) -> bool:
    options = [option for option in options_of(hint) if option is not NoneType]
    lists = all(get_origin(option) is tuple for option in options)
    return lists and all("type" in kind.__struct_fields__ for kind in _objects(options))


def _objects(hints: list[Any]) -> list[type[msgspec.Struct]]:
    """The classes of objects that fields of these types hold, at any depth of lists."""
    found: list[type[msgspec.Struct]] = []
    for hint in hints:
        for option in options_of(hint):
            if get_origin(option) is tuple:
                found += _objects([each for each in get_args(option) if each is not Ellipsis])
            elif isinstance(option, type) and issubclass(option, msgspec.Struct):
                found.append(option)
    return found
