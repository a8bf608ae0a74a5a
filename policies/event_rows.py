"""The fields that rules ask for, read from a typed event: no plain copy of the whole event is made.

Gives the same row as RecordReader does on the event's plain form. Fields that always have a parent are read
together, in C; what lies in lists or under an optional parent takes the slower way over a plain copy of
that part. An enumeration's member stands for its number, as which it compares.
"""

from __future__ import annotations

import enum
import operator
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

import msgspec

from policies.field_reader import FieldReader

LEAVER: Final = "leaver."
_SCALARS: Final = (str, int, float, bool, enum.Enum, types.NoneType)


class EventRows:
    """Rows of one class of events. `position`: the place of each path; place 0 is the record, here None."""

    def __init__(self, kind: type[msgspec.Struct], position: Mapping[str, int]) -> None:
        config = kind.__struct_config__
        plain: list[str] = []
        walked: list[str] = []
        fixed: dict[str, Any] = {}
        leaver: list[str] = []
        for path in position:
            if path.startswith(LEAVER):
                leaver.append(path.removeprefix(LEAVER))
            elif path == config.tag_field:
                fixed[path] = config.tag
            else:
                found = reach(kind, path.split("."))
                if found is None:
                    fixed[path] = None
                else:
                    (plain if found else walked).append(path)
        self._plain: Final = _getter(plain)
        self._walked: Final = FieldReader(walked)
        self._tops: Final = sorted({path.split(".")[0].partition("[")[0] for path in walked})
        self._fixed: Final = tuple(fixed.values())
        self._leaver: Final = FieldReader(leaver)
        leaver_order = [LEAVER + path for path in self._leaver.position]
        order = [*plain, *self._walked.position, *fixed, *leaver_order]
        places = [order.index(path) for path in sorted(position, key=lambda path: position[path])]
        # Place 0 is the record, which nobody looks at here. Of one place itemgetter would give no tuple.
        self._arranged: Final = operator.itemgetter(len(order), *places, len(order))

    def row(self, event: msgspec.Struct, leaver: Mapping[str, Any]) -> list[Any]:
        """`leaver`: plain."""
        part = {top: msgspec.to_builtins(getattr(event, top), str_keys=True) for top in self._tops}
        found = (
            *self._plain(event),
            *self._walked.read(part)[1:],
            *self._fixed,
            *self._leaver.read(leaver)[1:],
            None,
        )
        return list(self._arranged(found)[:-1])


def _getter(paths: list[str]) -> Callable[[Any], tuple[Any, ...]]:
    if not paths:
        return lambda _event: ()
    get = operator.attrgetter(*paths)
    return get if len(paths) > 1 else lambda event: (get(event),)


def reach(kind: Any, parts: Sequence[str]) -> bool | None:
    """Whether the attributes can be read one after another; None: such events have no such field."""
    for at, chosen in enumerate(parts):
        part = chosen.partition("[")[0]
        fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
        if part not in fields or fields[part].name != part:
            return None
        options = options_of(fields[part].type)
        if at == len(parts) - 1:
            return part == chosen and all(
                isinstance(option, type) and issubclass(option, _SCALARS) for option in options
            )
        if not is_always_there(options):
            return False
        kind = options[0]
    return False


def is_always_there(options: Sequence[Any]) -> bool:
    """Whether a field of these types is one object, and never missing."""
    return len(options) == 1 and isinstance(options[0], type) and issubclass(options[0], msgspec.Struct)


def field_type(kind: type[msgspec.Struct], name: str) -> Any:
    return next(field.type for field in msgspec.structs.fields(kind) if field.encode_name == name)


def options_of(hint: Any) -> list[Any]:
    """The types that a field may have."""
    origin = get_origin(hint)
    if origin is Annotated:
        return options_of(get_args(hint)[0])
    if origin in (Union, types.UnionType):
        return [option for part in get_args(hint) for option in options_of(part)]
    if origin is Literal:
        return [type(value) for value in get_args(hint)]
    return [hint]
