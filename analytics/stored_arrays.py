"""Structs of arrays as plain values for MessagePack, and back: no pickle, reading runs no code.

One array is [type, shape, bytes]: little-endian 8-byte floats ("<f8"), whole numbers ("<i8") or flags
("|b1"), row by row. A struct of arrays is a mapping from its fields' names to arrays.
"""

from __future__ import annotations

import math
from typing import Any, Final, Protocol, TypeVar

import msgspec
import numpy as np

from analytics.sealed_bytes import StoredStateError

_Struct = TypeVar("_Struct", bound=msgspec.Struct)
_TYPES: Final = ("<f8", "<i8", "|b1")


class StoredArray(msgspec.Struct, frozen=True, forbid_unknown_fields=True, array_like=True):
    type: str
    shape: list[int]
    data: bytes


class _OfArrays(Protocol):
    @property
    def __struct_fields__(self) -> tuple[str, ...]: ...


Stored = dict[str, StoredArray]


def stored(arrays: _OfArrays) -> Stored:
    """Of a struct all of whose fields are arrays."""
    found: Stored = {}
    for name in arrays.__struct_fields__:
        array = np.ascontiguousarray(getattr(arrays, name))
        if array.dtype.str not in _TYPES:
            raise TypeError(f"{name} is of type {array.dtype}")
        found[name] = StoredArray(array.dtype.str, list(array.shape), array.tobytes())
    return found


def restored(kind: type[_Struct], found: Stored, what: str) -> _Struct:
    """The struct again. Raises StoredStateError unless exactly its fields are there and whole."""
    if set(found) != set(kind.__struct_fields__):
        raise StoredStateError(f"{what} holds {sorted(found)}; train it again")
    arrays: dict[str, Any] = {}
    for name, each in found.items():
        if each.type not in _TYPES or any(length < 0 for length in each.shape):
            raise StoredStateError(f"{name} of {what} has type {each.type} and shape {each.shape}")
        if math.prod(each.shape) * int(each.type[2]) != len(each.data):
            raise StoredStateError(f"{name} of {what} is cut short; train it again")
        array = np.frombuffer(each.data, dtype=each.type).reshape(each.shape)
        if each.type == "<f8" and np.isnan(array).any():
            raise StoredStateError(f"{name} of {what} holds what is not a number; train it again")
        arrays[name] = array
    return kind(**arrays)
