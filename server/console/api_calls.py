"""The JSON API: what a call takes and answers are msgspec types, from which requests are read and the OpenAPI
document is made. Sessions and tokens of programs may call; access.py checks them as for pages."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, get_args, get_origin, get_type_hints

import msgspec
from starlette.datastructures import ImmutableMultiDict
from starlette.responses import Response

from server.api.errors import ApiError
from server.console.page import FORM_BYTES, Ask, Console, Open, Page
from server.json_times import with_datetimes
from server.people.roles import Right

_JSON: Final = "application/json"


class Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of calls that take no query."""


class ApiCall(msgspec.Struct, frozen=True):
    """One call. `query` and `body` are Structs that forbid unknown fields; `body` None: there is none. The
    handler gets both decoded and returns what `answer` says; it raises ApiError to refuse."""

    method: str
    path: str
    needs: Right | Open
    handler: Callable[[Console, Ask, Any, Any], object]
    answer: Any
    summary: str
    query: type[msgspec.Struct] = Nothing
    body: type[msgspec.Struct] | None = None
    body_limit: int = FORM_BYTES
    media: str = _JSON
    """Of the answer. Where it is another one, `answer` is None and the handler returns the Response."""


_NUL: Final = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


def call_page(call: ApiCall) -> Page:
    """The call as a route."""

    def handler(console: Console, ask: Ask) -> Response:
        body = None
        if call.body is not None:
            kind = ask.headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind != _JSON:
                raise ApiError(415, "content_type", f"the content type must be {_JSON}")
            body = decoded_body(ask.body, call.body)
        elif ask.body:
            raise ApiError(400, "bad_body", "this call takes no body")
        found = call.handler(console, ask, decoded_query(ask.query, call.query), body)
        return found if isinstance(found, Response) else ask.json(with_datetimes(found))

    return Page(call.method, call.path, call.needs, handler, form_limit=call.body_limit)


def decoded_query(query: ImmutableMultiDict[str, str], kind: type[msgspec.Struct]) -> msgspec.Struct:
    """Fields that are tuples may be given several times. Raises ApiError(400)."""
    hints = get_type_hints(kind)
    values: dict[str, object] = {}
    for field in msgspec.structs.fields(kind):
        given = query.getlist(field.encode_name)
        if not given:
            continue
        if _is_tuple(hints[field.name]):
            values[field.encode_name] = given
        elif len(given) > 1:
            raise ApiError(400, "bad_query", f"query: {field.encode_name} is given more than once")
        else:
            values[field.encode_name] = given[0]
    unknown = set(query) - {field.encode_name for field in msgspec.structs.fields(kind)}
    if unknown:
        raise ApiError(400, "bad_query", f"query: there is no {min(unknown)[:64]!r} here")
    try:
        return msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as error:
        raise ApiError(400, "bad_query", f"query: {error}") from None


def decoded_body(body: bytes, kind: type[msgspec.Struct]) -> msgspec.Struct:
    """Raises ApiError(400)."""
    # The only way to write what no database can keep: a lone surrogate is no JSON here.
    if _NUL.search(body) is not None:
        raise ApiError(400, "bad_body", "body: no text may hold a NUL")
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ApiError(400, "bad_body", f"body: {error}") from None


def _is_tuple(hint: Any) -> bool:
    if get_origin(hint) is tuple:
        return True
    return any(_is_tuple(part) for part in get_args(hint))
