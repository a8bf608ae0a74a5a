"""Settings of the labels: table [labels], shared by all collectors that label files."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from collectors.contract import narrowed_by

_ListName = Annotated[str, Meta(pattern="^[a-z][a-z0-9_]{0,47}$")]
_KeyWord = Annotated[str, Meta(min_length=2, max_length=200)]


class LabelSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one file may cost, and the company's own words. The defaults suit most endpoints."""

    enabled: bool = True
    """Whether files are labelled at all."""
    cpu_share: Annotated[float, Meta(gt=0, le=1), narrowed_by("smaller")] = 0.25
    """How much of one core labelling may use; all who hash and label take turns (reading_pace.py)."""
    cpu_seconds: Annotated[float, Meta(ge=0.1, le=600), narrowed_by("smaller")] = 5.0
    """CPU time for one file; what was found until then is told, as partial."""
    read_bytes_max: Annotated[int, Meta(ge=4096, le=1 << 40), narrowed_by("smaller")] = 64 << 20
    """Bytes read of one file."""
    unpacked_bytes_max: Annotated[int, Meta(ge=4096, le=1 << 40), narrowed_by("smaller")] = 128 << 20
    """Bytes unpacked from one file, all its archives and documents taken together."""
    members_max: Annotated[int, Meta(ge=1, le=1_000_000), narrowed_by("smaller")] = 2_000
    """Members of archives looked at, in one file."""
    depth_max: Annotated[int, Meta(ge=1, le=16), narrowed_by("smaller")] = 4
    """Archives within archives."""
    pages_max: Annotated[int, Meta(ge=1, le=100_000), narrowed_by("smaller")] = 500
    """Pages of one PDF."""
    memory_bytes_max: Annotated[int, Meta(ge=64 << 20, le=4 << 30), narrowed_by("smaller")] = 160 << 20
    """Memory of the process that reads the files."""
    keyword_lists: Annotated[
        dict[_ListName, Annotated[tuple[_KeyWord, ...], Meta(max_length=10_000)]], Meta(max_length=24)
    ] = msgspec.field(default_factory=dict)
    """The company's own words, by the name of the list. The name and a count leave the endpoint, no word."""
