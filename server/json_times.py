"""Times in JSON that programs read, on the command line and over HTTPS: beside each number of milliseconds
`NAME` stands `NAME_dt`, the same moment in RFC 3339 and UTC ("2026-11-22T08:30:00.000Z"), as OCSF names them.

Which fields are times their type tells: Milliseconds. Events inside stay as they were signed.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import msgspec

from event_schema.struct_base import MILLISECONDS_MAX, Milliseconds

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def rfc3339(at: int) -> str | None:
    """`at`: ms UTC. None beyond the year 9999, for which there is no such text."""
    if not 0 <= at <= MILLISECONDS_MAX:
        return None
    return (_EPOCH + timedelta(milliseconds=at)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def with_datetimes(content: Any) -> Any:
    """`content`, whose structs become dicts, with the times of these written twice."""
    match content:
        case msgspec.Struct():
            return _plain(content)
        case dict():
            return {key: with_datetimes(value) for key, value in content.items()}
        case list() | tuple():
            return [with_datetimes(item) for item in content]
        case _:
            return content


def _plain(struct: msgspec.Struct) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    times = _time_fields(type(struct))
    for field in msgspec.structs.fields(struct):
        value = getattr(struct, field.name)
        if struct.__struct_config__.omit_defaults and value == field.default:
            continue
        plain[field.encode_name] = with_datetimes(value)
        if field.name in times:
            plain[f"{field.encode_name}_dt"] = None if value is None else rfc3339(value)
    return plain


@lru_cache
def _time_fields(kind: type[msgspec.Struct]) -> frozenset[str]:
    times = (Milliseconds, Milliseconds | None)
    return frozenset(field.name for field in msgspec.structs.fields(kind) if field.type in times)
