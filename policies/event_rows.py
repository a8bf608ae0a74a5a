"""The fields that rules ask for, read straight from a typed event: no plain copy of the event is made.

Gives the same row as FieldReader does on the event's plain form. Fields that always have a parent are read
together, in C; what lies in lists or under an optional parent takes the slower way over a plain copy of
that part. An enumeration's member stands for its number, as which it compares.
"""

from __future__ import annotations

import enum
import operator
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

import msgspec

from event_schema.leaver_fields import LeaverFields
from policies.field_reader import FieldReader

LEAVER: Final = "leaver."
_SCALARS: Final = (str, int, float, bool, enum.Enum, types.NoneType)


class EventRows:
    """Rows of one class of events, in the order of `reader.position`, with `spare` places of None behind."""

    def __init__(self, kind: type[msgspec.Struct], reader: FieldReader, spare: int) -> None:
        config = kind.__struct_config__
        plain: list[str] = []
        walked: list[str] = []
        fixed: dict[str, Any] = {}
        leaver: list[str] = []
        for path in reader.position:
            if path.startswith(LEAVER):
                leaver.append(path.removeprefix(LEAVER))
            elif path == config.tag_field:
                fixed[path] = config.tag
            else:
                found = _reach(kind, path.split("."))
                if found is None:
                    fixed[path] = None
                else:
                    (plain if found else walked).append(path)
        self.single: Final = frozenset([*plain, *fixed, *(_LEAVER_SINGLE & reader.position.keys())])
        """Paths that never give a list or an object."""
        self._plain: Final = _getter(plain)
        self._walked: Final = FieldReader(walked) if walked else None
        self._tops: Final = sorted({path.split(".")[0].partition("[")[0] for path in walked})
        self._fixed: Final = tuple(fixed.values())
        self._leaver: Final = FieldReader(leaver)
        walked_order = list(self._walked.position) if self._walked is not None else []
        leaver_order = [LEAVER + path for path in self._leaver.position]
        order = [*plain, *walked_order, *fixed, *leaver_order]
        # Place 0 is the record, which nobody looks at here; it and the spare places are None.
        nothing = len(order)
        places = [nothing, *(order.index(path) for path in reader.position), *[nothing] * spare]
        self._arranged: Final = operator.itemgetter(*places, nothing)

    def leaver_values(self, leaver: Mapping[str, Any]) -> tuple[Any, ...]:
        """The rules' `leaver.*` fields; the same for all events that share the words."""
        return tuple(self._leaver.read(leaver)[1:])

    def row(self, event: msgspec.Struct, leaver_values: tuple[Any, ...]) -> list[Any]:
        walked: Sequence[Any] = ()
        if self._walked is not None:
            part = {top: msgspec.to_builtins(getattr(event, top), str_keys=True) for top in self._tops}
            walked = self._walked.read(part)[1:]
        found = (*self._plain(event), *walked, *self._fixed, *leaver_values, None)
        return list(self._arranged(found)[:-1])


def _getter(paths: list[str]) -> Callable[[Any], tuple[Any, ...]]:
    if not paths:
        return lambda _event: ()
    get = operator.attrgetter(*paths)
    return get if len(paths) > 1 else lambda event: (get(event),)


def _reach(kind: Any, parts: Sequence[str]) -> bool | None:
    """Whether the attributes can be read one after another; None: such events have no such field."""
    for at, chosen in enumerate(parts):
        part = chosen.partition("[")[0]
        fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
        if part not in fields or fields[part].name != part:
            return None
        options = _options(fields[part].type)
        if at == len(parts) - 1:
            return all(isinstance(option, type) and issubclass(option, _SCALARS) for option in options)
        if (
            len(options) != 1
            or not isinstance(options[0], type)
            or not issubclass(options[0], msgspec.Struct)
        ):
            return False
        kind = options[0]
    return False


def _options(hint: Any) -> list[Any]:
    """The types that a field may have."""
    origin = get_origin(hint)
    if origin is Annotated:
        return _options(get_args(hint)[0])
    if origin in (Union, types.UnionType):
        return [option for part in get_args(hint) for option in _options(part)]
    if origin is Literal:
        return [type(value) for value in get_args(hint)]
    return [hint]


def _single_fields(kind: type[msgspec.Struct], before: str) -> Iterator[str]:
    for field in msgspec.structs.fields(kind):
        for option in _options(field.type):
            path = before + field.encode_name
            if isinstance(option, type) and issubclass(option, msgspec.Struct):
                yield from _single_fields(option, path + ".")
            else:
                yield path


_LEAVER_SINGLE: Final = frozenset(_single_fields(LeaverFields, LEAVER))
