"""The OpenAPI 3.1 document of the JSON API, made from its calls: GET /api/openapi.json."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from starlette.responses import Response

from server.console.api_calls import ApiCall
from server.console.page import Ask, Console, Open, Page
from server.people.roles import Right, Role, may

_PARAMETER: Final = re.compile(r"\{(\w+)(?::(\w+))?\}")
_REF: Final = "#/components/schemas/{name}"


class Refusal(msgspec.Struct, frozen=True):
    """What every refused call answers: a sentence for people, a word for programs."""

    error: str
    reason: str


_REFUSALS: Final = {
    400: "the query or the body cannot be taken",
    401: "no session, or a token that is wrong or ended",
    403: "this role, or this token, may not",
    404: "there is no such thing, or this role may not know of it",
    409: "something changed meanwhile",
    413: "the body is too large",
    414: "the query is too long",
    415: "another content type",
    422: "what is asked for cannot be done",
    429: "too often",
    503: "not now",
}


def document(calls: Sequence[ApiCall]) -> dict[str, Any]:
    types = [Refusal, *(call.answer for call in calls), *(call.body for call in calls if call.body)]
    schemas, components = msgspec.json.schema_components(types, ref_template=_REF)
    count = len(calls)
    answers, bodies = schemas[1 : count + 1], iter(schemas[count + 1 :])
    paths: dict[str, dict[str, Any]] = {}
    for call, answer in zip(calls, answers, strict=True):
        operation = _operation(call, answer, schemas[0], next(bodies) if call.body else None)
        paths.setdefault(_PARAMETER.sub(r"{\1}", call.path), {})[call.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Leaver",
            "version": "1",
            "description": "What the console shows, for programs. Times are ISO 8601 in UTC. People are"
            " pseudonyms wherever what they did is told.",
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": "__Host-leaver"},
            },
        },
        "security": [{"token": []}, {"session": []}],
    }


def openapi_page(calls: Sequence[ApiCall]) -> Page:
    content = msgspec.json.encode(document(calls))

    def handler(_console: Console, _ask: Ask) -> Response:
        return Response(content, media_type="application/json")

    return Page("GET", "/api/openapi.json", Open.PUBLIC, handler)


def _operation(call: ApiCall, answer: Any, refusal: Any, body: Any) -> dict[str, Any]:
    roles = [role.value for role in Role if call.needs is Open.SIGNED_IN or _allows(call.needs, role)]
    operation: dict[str, Any] = {
        "operationId": f"{call.method.lower()}_{re.sub(r'[^a-z0-9]+', '_', call.path.lower()).strip('_')}",
        "summary": call.summary,
        "description": f"Roles: {', '.join(roles)}.",
        "parameters": [*_path_parameters(call.path), *_query_parameters(call)],
        "responses": {
            "200": {"description": "done", "content": {call.media: _content(call, answer)}},
            **{
                str(status): {"description": why, "content": {"application/json": {"schema": refusal}}}
                for status, why in _REFUSALS.items()
            },
        },
    }
    if body is not None:
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    return operation


def _content(call: ApiCall, answer: Any) -> dict[str, Any]:
    """A file has no schema: its media type says what it is."""
    return {"schema": answer} if call.media == "application/json" else {}


def _allows(needs: Right | Open, role: Role) -> bool:
    return isinstance(needs, Right) and may(role, needs)


def _path_parameters(path: str) -> list[dict[str, Any]]:
    whole = {"type": "integer", "minimum": 0, "maximum": 2**31 - 1}
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": whole if kind == "int" else {"type": "string", "maxLength": 256},
        }
        for name, kind in _PARAMETER.findall(path)
    ]


def _query_parameters(call: ApiCall) -> list[dict[str, Any]]:
    schema = msgspec.json.schema(call.query)
    whole = next(iter(schema.get("$defs", {}).values()), schema)
    required = set(whole.get("required", ()))
    return [
        {"name": name, "in": "query", "required": name in required, "schema": kind}
        for name, kind in whole.get("properties", {}).items()
    ]
