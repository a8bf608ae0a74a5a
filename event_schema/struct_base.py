"""The shape that every shared word has: frozen, keyword-only, strict about unknown fields.

Unknown fields are refused on purpose: what nobody declared (with a purpose, in this package) is not
collected, not sent and not stored. `None` means "not known" and is left out of the encoded form.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

NAME_CHARACTERS = 512
"""Longest name (user, host, device, product), in characters."""
PATH_CHARACTERS = 16_384
"""Longest path, in characters: PATH_MAX is 4,096 bytes, and an undecodable byte shows as four characters."""


class Word(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True, gc=False
):
    """Base of all event and control types. Not tracked by the garbage collector: frozen values make no
    cycles, and looking for them took more than a third of the time of decoding events."""


def purpose(text: str, *, names_person: bool = False, not_yet: bool = False, **limits: Any) -> Meta:
    """Field annotation: why the field is collected, and whether its value can give a person away.

    `not_yet`: the field is kept for later; nothing fills it.

    The transparency page, the pseudonyms and tests read it through `field_registry`.
    """
    extra = {"names_person": names_person, "not_yet": not_yet}
    return Meta(description=text, extra_json_schema=extra, **limits)


MILLISECONDS_MAX = 253_402_300_799_999
Milliseconds = Annotated[int, Meta(ge=0, le=MILLISECONDS_MAX)]
"""Milliseconds since 1970-01-01T00:00:00Z, up to the year 9999."""
Label = Annotated[str, Meta(max_length=64)]
"""A word of a fixed or configured vocabulary."""
Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Name = Annotated[str, Meta(max_length=NAME_CHARACTERS)]
PathText = Annotated[str, Meta(max_length=PATH_CHARACTERS)]


def check_type_uid(class_uid: int, activity_id: int, type_uid: int) -> None:
    """Raises ValueError where OCSF's derived number does not fit."""
    expected = class_uid * 100 + activity_id
    if type_uid != expected:
        raise ValueError(f"type_uid {type_uid} is not class_uid * 100 + activity_id = {expected}")
